"""The Elasticsearch client and its errors in the project's own family."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TypeVar

from elasticsearch import ApiError, Elasticsearch, TransportError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings

TIMEOUT_S = 30.0
PATIENCE_S = 15.0
BUSY = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)

_T = TypeVar("_T")


def connect(settings: Settings) -> Elasticsearch:
    """A client of the configured Elasticsearch; opens no connection yet. Close it after use."""
    key = settings.elasticsearch.api_key.reveal()
    return Elasticsearch(
        settings.elasticsearch.url,
        api_key=key or None,
        request_timeout=TIMEOUT_S,
        max_retries=0,
        retry_on_timeout=False,
    )


def with_retries(question: Callable[[], _T]) -> _T:
    """Ask again for some seconds while Elasticsearch answers that it is busy.

    An index that is just being made answers 503 to a search until its shard has started.
    """
    retrying = Retrying(
        retry=retry_if_exception(
            lambda error: isinstance(error.__cause__, ApiError) and bool(getattr(error, "retry", 0))
        ),
        stop=stop_after_delay(PATIENCE_S),
        wait=wait_exponential(0.1, max=1.0),
        reraise=True,
    )
    return retrying(question)


@contextmanager
def errors(doing: str) -> Iterator[None]:
    """Raise what fails inside as TransientError (away, busy) or TerminalError (refused)."""
    try:
        yield
    except ApiError as error:
        message = f"{doing}: Elasticsearch answered {error.status_code} {error.message}"
        if error.status_code in BUSY:
            raise TransientError(message, "wait until Elasticsearch is less busy, then try again") from error
        raise TerminalError(message, "see Elasticsearch's log for what it refused") from error
    except TransportError as error:
        raise TransientError(
            f"{doing}: Elasticsearch does not answer ({type(error).__name__})", "see that it runs: ./showroom status"
        ) from error
