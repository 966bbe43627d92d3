"""Logins of a secured Elasticsearch, against a server that speaks its security interface as recorded."""

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
from include.provision.__main__ import logins_of
from include.provision.api_keys import AIRFLOW_ROLE, STREAM_ROLE, Logins, ensure_access

SUPERUSER = "Basic " + base64.b64encode(b"elastic:secret").decode()
JSON = "application/vnd.elasticsearch+json;compatible-with=8"


class Security(ThreadingHTTPServer):
    """Takes one superuser, hands out keys and remembers what it was told."""

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

    def _answer(self, status: int, body: dict[str, Any]) -> None:
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
            identity = caller.removeprefix("ApiKey key-")
            self._answer(200, {"username": "elastic", "api_key": {"id": identity, "name": "one"}})
        elif caller != SUPERUSER:
            self._answer(401, {"error": {"type": "security_exception", "reason": "unable to authenticate"}})
        elif self.path == "/_security/user/kibana_system/_password":
            self.server.passwords["kibana_system"] = body["password"]
            self._answer(200, {})
        elif self.path == "/_security/api_key" and self.command == "DELETE":
            names = {f"key-{number}": made["name"] for number, made in enumerate(self.server.created, 1)}
            self.server.valid_keys -= {key for key, name in names.items() if name == body["name"]}
            self._answer(200, {"invalidated_api_keys": [], "error_count": 0})
        elif self.path == "/_security/api_key":
            self.server.created.append(body)
            key = f"key-{len(self.server.created)}"
            self.server.valid_keys.add(key)
            self._answer(200, {"id": "1", "name": body["name"], "api_key": "x", "encoded": key})
        elif self.path.startswith("/_security/api_key/"):
            self.server.updated[self.path.rpartition("/")[2]] = body
            self._answer(200, {"updated": True})
        else:
            self._answer(404, {"error": self.path})

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
    return Logins.of(elastic="secret", kibana_system="kibana's", stream_key_file=stream, airflow_key_file=airflow)


def stored_keys(logins: Logins) -> dict[str, str]:
    return {name: file.read_text() for name, file in logins.key_files.items()}


def ensure(server: Security, logins: Logins) -> list[str]:
    settings = Settings(elasticsearch=ElasticsearchSettings(url=server.url))
    with Elasticsearch(server.url, basic_auth=("elastic", logins.elastic.reveal())) as client:
        return ensure_access(client, settings, logins)


def test_a_new_stack_gets_kibanas_password_and_the_keys(server: Security, logins: Logins) -> None:
    assert ensure(server, logins) == ["stream", "airflow"]
    assert server.passwords == {"kibana_system": "kibana's"}
    assert stored_keys(logins) == {"stream": "key-1\n", "airflow": "key-2\n"}
    assert {file.stat().st_mode & 0o777 for file in logins.key_files.values()} == {0o600}
    assert server.created == [
        {"name": "stream", "role_descriptors": {"stream": STREAM_ROLE}},
        {"name": "airflow", "role_descriptors": {"airflow": AIRFLOW_ROLE}},
    ]


def test_keys_that_work_are_kept_and_may_do_what_this_version_needs(server: Security, logins: Logins) -> None:
    ensure(server, logins)
    assert server.updated == {}
    assert ensure(server, logins) == []
    assert stored_keys(logins) == {"stream": "key-1\n", "airflow": "key-2\n"}
    assert len(server.created) == 2
    assert server.updated == {
        "1": {"role_descriptors": {"stream": STREAM_ROLE}},
        "2": {"role_descriptors": {"airflow": AIRFLOW_ROLE}},
    }


@pytest.mark.parametrize("content", ["", "key-of-an-earlier-life\n"])
@pytest.mark.parametrize("name", ["stream", "airflow"])
def test_only_the_key_that_does_not_work_is_replaced(server: Security, logins: Logins, name: str, content: str) -> None:
    ensure(server, logins)
    before = stored_keys(logins)
    file = logins.key_files[name]
    file.write_text(content)
    file.chmod(0o644)
    assert ensure(server, logins) == [name]
    assert stored_keys(logins) == before | {name: "key-3\n"}
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_wrong_password_is_an_error_and_leaves_no_key(server: Security, logins: Logins) -> None:
    wrong = logins._replace(elastic=type(logins.elastic)("other"))
    with pytest.raises(TerminalError, match="401"):
        ensure(server, wrong)
    assert not any(file.exists() for file in logins.key_files.values())


def test_logins_print_as_stars(logins: Logins) -> None:
    assert "secret" not in repr(logins)
    assert "kibana's" not in repr(logins)


def test_without_the_superusers_password_there_are_no_logins() -> None:
    assert logins_of({}) is None
    assert logins_of({"ELASTIC_PASSWORD": "", "KIBANA_SYSTEM_PASSWORD": "x"}) is None


def test_some_logins_without_the_others_are_an_error() -> None:
    with pytest.raises(SettingsError, match="KIBANA_SYSTEM_PASSWORD and STREAM_KEY_FILE and AIRFLOW_KEY_FILE"):
        logins_of({"ELASTIC_PASSWORD": "x"})


def test_logins_come_from_the_environment(tmp_path: Path) -> None:
    environment = {
        "ELASTIC_PASSWORD": "secret",
        "KIBANA_SYSTEM_PASSWORD": "other",
        "KIBANA_ENCRYPTION_KEY": "k" * 32,
        "STREAM_KEY_FILE": str(tmp_path / "stream"),
        "AIRFLOW_KEY_FILE": str(tmp_path / "airflow"),
    }
    result = logins_of(environment)
    assert result is not None
    assert (result.elastic.reveal(), result.kibana_system.reveal()) == ("secret", "other")
    assert result.key_files == {"stream": tmp_path / "stream", "airflow": tmp_path / "airflow"}


def test_ensure_access_with_a_lost_key_file_invalidates_the_key_that_it_replaces(
    server: Security, logins: Logins
) -> None:
    ensure(server, logins)
    logins.key_files["stream"].unlink()
    assert ensure(server, logins) == ["stream"]
    assert server.valid_keys == {"key-2", "key-3"}
    assert stored_keys(logins) == {"stream": "key-3\n", "airflow": "key-2\n"}


@pytest.mark.parametrize("key", ["", "k" * 31])
def test_logins_of_a_short_encryption_key_of_kibana_fails_and_names_it(key: str) -> None:
    names = ("ELASTIC_PASSWORD", "KIBANA_SYSTEM_PASSWORD", "STREAM_KEY_FILE", "AIRFLOW_KEY_FILE")
    with pytest.raises(SettingsError, match="KIBANA_ENCRYPTION_KEY has fewer than 32 characters"):
        logins_of(dict.fromkeys(names, "x") | {"KIBANA_ENCRYPTION_KEY": key})
