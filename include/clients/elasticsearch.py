"""Elasticsearch's client: connect, translate its errors, retry while it is busy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

from elasticsearch import ApiError, Elasticsearch, TransportError
from elasticsearch.helpers import BulkIndexError
from tenacity import wait_exponential

from include.clients.errors import MAX_REASON_CHARACTERS, unavailable, with_retries
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import ElasticsearchSettings

TIMEOUT_S = 30.0
BUSY_RETRY_S = 15.0
BUSY = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)

_T = TypeVar("_T")


def connect(settings: ElasticsearchSettings, *, timeout_s: float = TIMEOUT_S) -> Elasticsearch:
    """Return a client of the configured Elasticsearch with the configured API key. It connects with its first request.

    Close it after use.
    """
    return open_client(settings.url, api_key=settings.api_key.reveal() or None, timeout_s=timeout_s)


def open_client(
    url: str,
    *,
    api_key: str | None = None,
    login: tuple[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
    max_retries: int = 0,
) -> Elasticsearch:
    """Return a client of an address with its own login: an API key, or a user and a password.

    Args:
        url: Address of the server.
        api_key: Encoded API key.
        login: User and password, instead of a key.
        timeout_s: Limit of each request.
        max_retries: Retries of the client itself, after a lost connection or a busy server.
    """
    return Elasticsearch(
        url,
        api_key=api_key,
        basic_auth=login,
        request_timeout=timeout_s,
        max_retries=max_retries,
        retry_on_timeout=False,
    )


def retry_busy(call: Callable[[], _T]) -> _T:
    """Retry for some seconds while Elasticsearch responds that it is busy; the call translates its errors.

    A new index responds 503 to a search until its shard has started. A lost connection is not retried.
    """
    return with_retries(call, wait=wait_exponential(0.1, max=1.0), deadline_s=BUSY_RETRY_S, retry_on=_is_busy)


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, TransientError) and isinstance(error.__cause__, ApiError)


@contextmanager
def translate_errors(operation: str) -> Iterator[None]:
    """Raise the client's errors as TransientError (unavailable, busy) or TerminalError (refused)."""
    try:
        yield
    except ApiError as error:
        message = f"{operation} failed: Elasticsearch returned {error.status_code} {error.message}"
        if error.status_code in BUSY:
            raise TransientError(message, "wait until Elasticsearch is less busy, then try again") from error
        raise TerminalError(message, "see Elasticsearch's log for the reason") from error
    except TransportError as error:
        raise unavailable(operation, "Elasticsearch", error) from error
    except BulkIndexError as error:
        first: Any = error.errors[0] if error.errors else {}
        raise TerminalError(
            f"{operation} failed: Elasticsearch refused {len(error.errors)} documents, the first:"
            f" {str(first)[:MAX_REASON_CHARACTERS]}",
            "see Elasticsearch's log for the reason",
        ) from error
