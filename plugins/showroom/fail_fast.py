"""Map errors of this project to Airflow: retry, or fail at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from include.contracts.errors import ShowroomError


@contextmanager
def fail_fast_on_terminal() -> Iterator[None]:
    """Raise AirflowFailException for errors that a retry cannot repair; others pass and are retried."""
    try:
        yield
    except ShowroomError as error:
        if error.retry:
            raise
        raise AirflowFailException(str(error)) from error
