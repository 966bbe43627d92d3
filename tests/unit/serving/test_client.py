"""Which answers of Elasticsearch are worth asking again."""

from collections.abc import Callable
from http import HTTPStatus

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import ApiError, ConnectionError

from include.contracts.errors import ShowroomError, TerminalError, TransientError
from include.serving.client import errors, with_retries


def refusal(status: int) -> ApiError:
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, NodeConfig("http", "localhost", 9200))
    return ApiError("refused", meta, {})


def failing_request(*outcomes: Exception | int) -> tuple[Callable[[], int], list[int]]:
    """A question that fails or answers in turn, and a count of how often it was asked."""
    left, calls = list(outcomes), [0]

    def question() -> int:
        calls[0] += 1
        outcome = left.pop(0)
        with errors("a test"):
            if isinstance(outcome, Exception):
                raise outcome
        return int(str(outcome))

    return question, calls


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_with_retries_overloaded_server_is_retried(status: int) -> None:
    question, calls = failing_request(refusal(status), 7)
    assert with_retries(question) == 7
    assert calls == [2]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refusal(HTTPStatus.BAD_REQUEST), TerminalError),
        (refusal(HTTPStatus.FORBIDDEN), TerminalError),
        # A server that is not there is the caller's to wait for.
        (ConnectionError("refused"), TransientError),
    ],
)
def test_with_retries_other_errors_are_raised_at_once(error: Exception, kind: type[ShowroomError]) -> None:
    question, calls = failing_request(error)
    with pytest.raises(kind):
        with_retries(question)
    assert calls == [1]
