"""API keys of an Elasticsearch with security, against an HTTP server with its recorded responses."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from include.contracts.errors import SettingsError, TerminalError
from include.contracts.settings import ElasticsearchSettings, Settings
from include.provision.__main__ import read_logins
from include.provision.api_keys import AIRFLOW_ROLE, STREAM_ROLE, Logins, ensure_access

SUPERUSER = "Basic " + base64.b64encode(b"elastic:secret").decode()
JSON = "application/vnd.elasticsearch+json;compatible-with=8"


class Security(ThreadingHTTPServer):
    """Accepts one superuser, creates API keys and records requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.passwords: dict[str, str] = {}
        self.created: list[dict[str, Any]] = []
        self.updated: dict[str, dict[str, Any]] = {}
        self.valid_keys: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Security
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _respond(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("x-elastic-product", "Elasticsearch")
        self.send_header("content-type", JSON)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _handle(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        caller = self.headers.get("authorization", "")
        if self.path == "/_security/_authenticate" and caller.removeprefix("ApiKey ") in self.server.valid_keys:
            key_id = caller.removeprefix("ApiKey key-")
            self._respond(200, {"username": "elastic", "api_key": {"id": key_id, "name": "one"}})
        elif caller != SUPERUSER:
            self._respond(401, {"error": {"type": "security_exception", "reason": "unable to authenticate"}})
        elif self.path == "/_security/user/kibana_system/_password":
            self.server.passwords["kibana_system"] = body["password"]
            self._respond(200, {})
        elif self.path == "/_security/api_key" and self.command == "DELETE":
            names = {f"key-{number}": key["name"] for number, key in enumerate(self.server.created, 1)}
            self.server.valid_keys -= {key for key, name in names.items() if name == body["name"]}
            self._respond(200, {"invalidated_api_keys": [], "error_count": 0})
        elif self.path == "/_security/api_key":
            self.server.created.append(body)
            key = f"key-{len(self.server.created)}"
            self.server.valid_keys.add(key)
            self._respond(200, {"id": "1", "name": body["name"], "api_key": "x", "encoded": key})
        elif self.path.startswith("/_security/api_key/"):
            self.server.updated[self.path.rpartition("/")[2]] = body
            self._respond(200, {"updated": True})
        else:
            self._respond(404, {"error": self.path})

    do_GET = do_POST = do_PUT = do_DELETE = _handle


@pytest.fixture
def server() -> Iterator[Security]:
    with Security() as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    stream, airflow = tmp_path / "stream.key", tmp_path / "airflow.key"
    return Logins.from_strings(
        elastic="secret", kibana_system="kibana's", stream_key_file=stream, airflow_key_file=airflow
    )


def stored_keys(logins: Logins) -> dict[str, str]:
    return {name: file.read_text() for name, file in logins.key_files.items()}


def ensure(server: Security, logins: Logins) -> list[str]:
    settings = Settings(elasticsearch=ElasticsearchSettings(url=server.url))
    with Elasticsearch(server.url, basic_auth=("elastic", logins.elastic.reveal())) as client:
        return ensure_access(client, settings.elasticsearch, logins)


def test_ensure_access_new_stack_sets_password_and_creates_keys(server: Security, logins: Logins) -> None:
    assert ensure(server, logins) == ["stream", "airflow"]
    assert server.passwords == {"kibana_system": "kibana's"}
    assert stored_keys(logins) == {"stream": "key-1\n", "airflow": "key-2\n"}
    assert {file.stat().st_mode & 0o777 for file in logins.key_files.values()} == {0o600}
    assert server.created == [
        {"name": "stream", "role_descriptors": {"stream": STREAM_ROLE}},
        {"name": "airflow", "role_descriptors": {"airflow": AIRFLOW_ROLE}},
    ]


def test_ensure_access_valid_keys_are_retained_with_updated_roles(server: Security, logins: Logins) -> None:
    ensure(server, logins)
    assert server.updated == {}
    assert ensure(server, logins) == []
    assert stored_keys(logins) == {"stream": "key-1\n", "airflow": "key-2\n"}
    assert len(server.created) == 2
    assert server.updated == {
        "1": {"role_descriptors": {"stream": STREAM_ROLE}},
        "2": {"role_descriptors": {"airflow": AIRFLOW_ROLE}},
    }


@pytest.mark.parametrize("content", ["", "key-of-an-earlier-cluster\n"])
@pytest.mark.parametrize("name", ["stream", "airflow"])
def test_ensure_access_replaces_only_the_invalid_key(server: Security, logins: Logins, name: str, content: str) -> None:
    ensure(server, logins)
    before = stored_keys(logins)
    file = logins.key_files[name]
    file.write_text(content)
    file.chmod(0o644)
    assert ensure(server, logins) == [name]
    assert stored_keys(logins) == before | {name: "key-3\n"}
    assert file.stat().st_mode & 0o777 == 0o600


def test_ensure_access_invalid_password_raises_and_writes_no_key(server: Security, logins: Logins) -> None:
    incorrect = logins._replace(elastic=type(logins.elastic)("other"))
    with pytest.raises(TerminalError, match="401"):
        ensure(server, incorrect)
    assert not any(file.exists() for file in logins.key_files.values())


def test_logins_repr_hides_passwords(logins: Logins) -> None:
    assert "secret" not in repr(logins)
    assert "kibana's" not in repr(logins)


def test_read_logins_without_superuser_password_returns_none() -> None:
    assert read_logins({}) is None
    assert read_logins({"ELASTIC_PASSWORD": "", "KIBANA_SYSTEM_PASSWORD": "x"}) is None


def test_read_logins_incomplete_raises_settings_error() -> None:
    with pytest.raises(SettingsError, match="KIBANA_SYSTEM_PASSWORD and STREAM_KEY_FILE and AIRFLOW_KEY_FILE"):
        read_logins({"ELASTIC_PASSWORD": "x"})


def test_read_logins_returns_the_values_of_the_environment(tmp_path: Path) -> None:
    environment = {
        "ELASTIC_PASSWORD": "secret",
        "KIBANA_SYSTEM_PASSWORD": "other",
        "KIBANA_ENCRYPTION_KEY": "k" * 32,
        "STREAM_KEY_FILE": str(tmp_path / "stream"),
        "AIRFLOW_KEY_FILE": str(tmp_path / "airflow"),
    }
    result = read_logins(environment)
    assert result is not None
    assert (result.elastic.reveal(), result.kibana_system.reveal()) == ("secret", "other")
    assert result.key_files == {"stream": tmp_path / "stream", "airflow": tmp_path / "airflow"}


def test_ensure_access_missing_key_file_invalidates_the_replaced_key(server: Security, logins: Logins) -> None:
    ensure(server, logins)
    logins.key_files["stream"].unlink()
    assert ensure(server, logins) == ["stream"]
    assert server.valid_keys == {"key-2", "key-3"}
    assert stored_keys(logins) == {"stream": "key-3\n", "airflow": "key-2\n"}


@pytest.mark.parametrize("key", ["", "k" * 31])
def test_read_logins_short_encryption_key_raises_settings_error(key: str) -> None:
    names = ("ELASTIC_PASSWORD", "KIBANA_SYSTEM_PASSWORD", "STREAM_KEY_FILE", "AIRFLOW_KEY_FILE")
    with pytest.raises(SettingsError, match="KIBANA_ENCRYPTION_KEY has fewer than 32 characters"):
        read_logins(dict.fromkeys(names, "x") | {"KIBANA_ENCRYPTION_KEY": key})
