"""Retries and error classes of Elasticsearch requests."""

from collections.abc import Callable
from http import HTTPStatus

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import ApiError, ConnectionError

from include.contracts.errors import ShowroomError, TerminalError, TransientError
from include.serving.client import errors, with_retries


def api_error(status: int) -> ApiError:
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, NodeConfig("http", "localhost", 9200))
    return ApiError("refused", meta, {})


def failing_request(*outcomes: Exception | int) -> tuple[Callable[[], int], list[int]]:
    """Return a request that raises or returns the outcomes in turn, and its number of calls."""
    remaining, calls = list(outcomes), [0]

    def request() -> int:
        calls[0] += 1
        outcome = remaining.pop(0)
        with errors("a test"):
            if isinstance(outcome, Exception):
                raise outcome
        return int(str(outcome))

    return request, calls


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_with_retries_overloaded_server_is_retried(status: int) -> None:
    request, calls = failing_request(api_error(status), 7)
    assert with_retries(request) == 7
    assert calls == [2]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (api_error(HTTPStatus.BAD_REQUEST), TerminalError),
        (api_error(HTTPStatus.FORBIDDEN), TerminalError),
        # An unreachable server is retried by the caller.
        (ConnectionError("refused"), TransientError),
    ],
)
def test_with_retries_other_errors_are_raised_at_once(error: Exception, kind: type[ShowroomError]) -> None:
    request, calls = failing_request(error)
    with pytest.raises(kind):
        with_retries(request)
    assert calls == [1]
