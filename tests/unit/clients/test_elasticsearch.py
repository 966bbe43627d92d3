"""Which errors of Elasticsearch are transient, and which of those are retried."""

from collections.abc import Callable
from http import HTTPStatus

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import ApiError, ConnectionError, ConnectionTimeout, SerializationError
from elasticsearch.helpers import BulkIndexError

from include.clients.elasticsearch import connect, open_client, retry_busy, translate_errors
from include.contracts.errors import ShowroomError, TerminalError, TransientError
from include.contracts.setting import Secret
from include.contracts.settings import ElasticsearchSettings, Settings

BUSY = "wait until Elasticsearch is less busy, then try again"
CHECK = "check that it runs: ./showroom status"
LOG = "see Elasticsearch's log for the reason"


def api_error(status: int) -> ApiError:
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, NodeConfig("http", "localhost", 9200))
    return ApiError("the reason", meta, {})


def scripted(*outcomes: Exception | int) -> tuple[Callable[[], int], list[int]]:
    """A call that raises or returns in turn, and the number of its calls."""
    left, calls = list(outcomes), [0]

    def call() -> int:
        calls[0] += 1
        outcome = left.pop(0)
        with translate_errors("a test"):
            if isinstance(outcome, Exception):
                raise outcome
        return int(str(outcome))

    return call, calls


@pytest.mark.parametrize(
    ("error", "kind", "message", "remedy"),
    [
        (api_error(429), TransientError, "Elasticsearch returned 429 the reason", BUSY),
        (api_error(502), TransientError, "Elasticsearch returned 502 the reason", BUSY),
        (api_error(503), TransientError, "Elasticsearch returned 503 the reason", BUSY),
        (api_error(504), TransientError, "Elasticsearch returned 504 the reason", BUSY),
        (api_error(400), TerminalError, "Elasticsearch returned 400 the reason", LOG),
        (api_error(403), TerminalError, "Elasticsearch returned 403 the reason", LOG),
        (api_error(500), TerminalError, "Elasticsearch returned 500 the reason", LOG),
        (ConnectionError("refused"), TransientError, "Elasticsearch is unavailable (ConnectionError)", CHECK),
        (ConnectionTimeout("late"), TransientError, "Elasticsearch is unavailable (ConnectionTimeout)", CHECK),
        (
            SerializationError("no JSON"),
            TransientError,
            "Elasticsearch is unavailable (SerializationError)",
            CHECK,
        ),
        (
            BulkIndexError("2 documents", [{"create": {"status": 400}}, {"create": {}}]),
            TerminalError,
            "Elasticsearch refused 2 documents, the first: {'create': {'status': 400}}",
            LOG,
        ),
    ],
)
def test_translate_errors_returns_kind_and_remedy(
    error: Exception, kind: type[ShowroomError], message: str, remedy: str
) -> None:
    with pytest.raises(kind) as raised, translate_errors("a test"):
        raise error
    assert (raised.value.message, raised.value.remedy) == (f"a test failed: {message}", remedy)
    assert raised.value.__cause__ is error


def test_translate_errors_with_error_of_the_code_passes_it_on() -> None:
    with pytest.raises(KeyError), translate_errors("a test"):
        raise KeyError("a bug")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_busy_with_busy_server_calls_again(status: int) -> None:
    call, calls = scripted(api_error(status), 7)
    assert retry_busy(call) == 7
    assert calls == [2]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (api_error(HTTPStatus.BAD_REQUEST), TerminalError),
        (api_error(HTTPStatus.FORBIDDEN), TerminalError),
        # The caller waits for a server that is unavailable.
        (ConnectionError("refused"), TransientError),
    ],
)
def test_retry_busy_with_other_error_raises_at_once(error: Exception, kind: type[ShowroomError]) -> None:
    call, calls = scripted(error)
    with pytest.raises(kind):
        retry_busy(call)
    assert calls == [1]


def test_connect_sends_the_configured_key() -> None:
    with connect(Settings(elasticsearch=ElasticsearchSettings(api_key=Secret("key"))).elasticsearch) as client:
        assert client._headers["authorization"] == "ApiKey key"
    with connect(Settings().elasticsearch) as client:
        assert "authorization" not in client._headers


def test_open_client_sends_the_given_login() -> None:
    with open_client("http://127.0.0.1:9", login=("elastic", "word")) as client:
        assert client._headers["authorization"].startswith("Basic ")
