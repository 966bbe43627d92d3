"""What an error of this project means to Airflow: try again, or fail at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from include.contracts.errors import ShowroomError


@contextmanager
def verdicts() -> Iterator[None]:
    """Raise what no retry can help as AirflowFailException; everything else passes and is retried."""
    try:
        yield
    except ShowroomError as error:
        if error.retry:
            raise
        raise AirflowFailException(str(error)) from error
