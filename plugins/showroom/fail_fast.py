"""Translate the project's errors for Airflow: retry, or fail without a retry."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from include.contracts.errors import ShowroomError


@contextmanager
def fail_fast_on_terminal() -> Iterator[None]:
    """Raise terminal errors as AirflowFailException. All other errors pass unchanged, and Airflow retries."""
    try:
        yield
    except ShowroomError as error:
        if error.retry:
            raise
        raise AirflowFailException(str(error)) from error
