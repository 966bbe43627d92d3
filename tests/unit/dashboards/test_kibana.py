"""Import into Kibana, against an HTTP server that returns Kibana's responses and errors."""

import json
import threading
from collections.abc import Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.contracts.errors import SettingsError, TerminalError, TransientError
from include.contracts.setting import Secret
from include.contracts.settings import FlinkSettings, KibanaSettings, LocalSettings, Settings
from include.dashboards.kibana import IGNORE_FILTER_SETTING, OBJECTS_FILE, import_objects, rewrite_links
from include.dashboards.validation.saved_objects import validate_saved_objects
from include.provision.kibana import import_dashboards, main

COUNT = len(OBJECTS_FILE.read_text().splitlines())
READY: tuple[int, Any] = (200, {"status": {"overall": {"level": "available"}}})
DONE: tuple[int, Any] = (200, {"success": True, "successCount": COUNT})
STATUS, IMPORT, OPTIONS = "/api/status", "/api/saved_objects/_import?overwrite=true", "/api/kibana/settings"


class Kibana(ThreadingHTTPServer):
    """Returns responses by path, repeats the last one, and records requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.responses: dict[str, list[tuple[int, Any]]] = {
            STATUS: [READY],
            IMPORT: [DONE],
            OPTIONS: [(200, {"settings": {}})],
        }
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def settings(self) -> Settings:
        return Settings(kibana=KibanaSettings(url=f"http://127.0.0.1:{self.server_address[1]}"))

    def uploaded(self) -> list[dict[str, Any]]:
        """The objects of the newest import."""
        _, headers, body = next(request for request in reversed(self.requests) if request[0] == IMPORT)
        form = BytesParser().parsebytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body)
        part = next(part for part in form.walk() if part.get_filename())
        assert part.get_filename() == "showroom.ndjson"
        text = part.get_payload(decode=True)
        assert isinstance(text, bytes)
        return [json.loads(line) for line in text.decode().splitlines()]


class Handler(BaseHTTPRequestHandler):
    server: Kibana

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        responses = self.server.responses[self.path]
        status, content = responses.pop(0) if len(responses) > 1 else responses[0]
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _respond

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def kibana() -> Iterator[Kibana]:
    with Kibana() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_import_objects_uploads_all_objects_with_overwrite(kibana: Kibana) -> None:
    done = import_objects(kibana.settings, ("elastic", Secret("secret")))

    assert done is not None
    assert done == (COUNT, True)
    assert [path for path, _, _ in kibana.requests] == [STATUS, IMPORT, OPTIONS]
    assert all(headers["kbn-xsrf"] for _, headers, _ in kibana.requests)
    assert all(headers["authorization"].startswith("Basic ") for _, headers, _ in kibana.requests)
    assert kibana.uploaded() == [json.loads(line) for line in OBJECTS_FILE.read_text().splitlines()]
    assert json.loads(kibana.requests[-1][2]) == {"changes": {IGNORE_FILTER_SETTING: True}}


def test_import_objects_without_password_uses_the_api_key(kibana: Kibana) -> None:
    import_objects(kibana.settings.replace(elasticsearch={"api_key": Secret("k3y")}))
    assert {headers["authorization"] for _, headers, _ in kibana.requests} == {"ApiKey k3y"}


def test_import_objects_without_kibana_url_returns_none() -> None:
    assert import_objects(Settings()) is None


def test_import_objects_links_use_the_urls_of_the_settings(kibana: Kibana) -> None:
    import_objects(kibana.settings.replace(airflow={"url": "https://airflow.shop.example"}))

    destinations = [
        link["destination"]
        for saved in kibana.uploaded()
        for panel in json.loads(saved["attributes"].get("panelsJSON", "[]"))
        for link in panel["embeddableConfig"].get("attributes", {}).get("links", ())
        if link["type"] == "externalLink"
    ]
    assert set(destinations) == {"https://airflow.shop.example", "http://127.0.0.1:19012", "http://127.0.0.1:19005"}
    assert (
        rewrite_links(OBJECTS_FILE.read_text(), Settings(local=LocalSettings(port_offset=100))).count(
            "http://127.0.0.1:19105"
        )
        == len(destinations) // 3
    )


def test_rewrite_links_container_host_drops_the_link() -> None:
    text = rewrite_links(OBJECTS_FILE.read_text(), Settings(flink=FlinkSettings(url="http://flink-jobmanager:8081")))
    objects = [json.loads(line) for line in text.splitlines()]
    for saved in (saved for saved in objects if saved["type"] == "dashboard"):
        (attributes,) = [
            panel["embeddableConfig"]["attributes"]
            for panel in json.loads(saved["attributes"]["panelsJSON"])
            if panel["type"] == "links"
        ]
        assert [link["label"] for link in attributes["links"]][-2:] == ["Airflow", "MLflow"]
        assert [link["order"] for link in attributes["links"]] == list(range(5))
    assert validate_saved_objects(text) == []


def test_import_objects_connection_refused_raises_transient_error() -> None:
    with pytest.raises(TransientError, match="is unavailable"):
        import_objects(Settings(kibana=KibanaSettings(url="http://127.0.0.1:9")))


def test_import_objects_password_in_url_is_not_in_the_error() -> None:
    with pytest.raises(TransientError) as caught:
        import_objects(Settings(kibana=KibanaSettings(url="http://elastic:hidden@127.0.0.1:9")))
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://kibana:56x1", "kibana:5601"])
def test_import_objects_invalid_url_raises_terminal_error(address: str) -> None:
    with pytest.raises(TerminalError, match="URL"):
        import_objects(Settings(kibana=KibanaSettings(url=address)))


@pytest.mark.parametrize(
    "response",
    [(503, b"Kibana server is not ready yet"), (429, {}), (200, {"status": {"overall": {"level": "unavailable"}}})],
)
def test_import_objects_kibana_not_ready_raises_transient_error_without_import(
    kibana: Kibana, response: tuple[int, Any]
) -> None:
    kibana.responses[STATUS] = [response]
    with pytest.raises(TransientError):
        import_objects(kibana.settings)
    assert [path for path, _, _ in kibana.requests] == [STATUS]


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ((200, {"success": True, "successCount": COUNT - 1}), f"imported {COUNT - 1} of {COUNT} objects"),
        ((200, {"success": False, "successCount": COUNT}), "no reason given"),
        ((200, {}), f"imported None of {COUNT} objects"),
        (
            (
                200,
                {
                    "success": False,
                    "successCount": COUNT - 1,
                    "errors": [
                        {
                            "type": "dashboard",
                            "id": "showroom-shop",
                            "error": {"type": "missing_references", "references": [{"id": "x"}]},
                        }
                    ],
                },
            ),
            "dashboard showroom-shop: missing_references",
        ),
        ((200, b"<html>"), "returned 200 to /api/saved_objects/_import"),
        ((200, []), "returned 200"),
        ((400, {"message": "Unexpected token"}), "Unexpected token"),
        ((401, {}), "rejected the login"),
        ((403, {}), "rejected the login"),
    ],
)
def test_import_objects_incomplete_import_raises_terminal_error(
    kibana: Kibana, response: tuple[int, Any], message: str
) -> None:
    kibana.responses[IMPORT] = [response]
    with pytest.raises(TerminalError) as caught:
        import_objects(kibana.settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_import_objects_many_errors_message_is_truncated(kibana: Kibana) -> None:
    errors = [{"type": "search", "id": f"s{number}", "error": {"type": "unknown"}} for number in range(12)]
    kibana.responses[IMPORT] = [(200, {"success": False, "successCount": 0, "errors": errors})]
    with pytest.raises(TerminalError, match="search s4: unknown; and 7 more"):
        import_objects(kibana.settings)


def test_import_objects_rejected_setting_still_counts_objects(kibana: Kibana) -> None:
    kibana.responses[OPTIONS] = [(404, {})]
    assert import_objects(kibana.settings) == (COUNT, False)


def test_import_objects_rejected_login_password_is_not_in_the_error(kibana: Kibana) -> None:
    kibana.responses[IMPORT] = [(401, {})]
    with pytest.raises(TerminalError) as caught:
        import_objects(kibana.settings, ("elastic", Secret("s3cr3t")))
    assert "s3cr3t" not in str(caught.value)


def test_import_dashboards_kibana_not_ready_retries_until_ready(
    kibana: Kibana, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.provision.kibana.RETRY_INTERVAL_S", 0.01)
    kibana.responses[STATUS] = [(503, b""), (503, b""), READY]
    assert import_dashboards(kibana.settings, Secret("secret")) == (COUNT, True)
    assert [path for path, _, _ in kibana.requests] == [STATUS, STATUS, STATUS, IMPORT, OPTIONS]


def test_import_dashboards_past_deadline_or_rejected_raises(kibana: Kibana) -> None:
    with pytest.raises(TransientError):
        import_dashboards(Settings(kibana=KibanaSettings(url="http://127.0.0.1:9")), deadline_s=0.0)
    kibana.responses[IMPORT] = [(403, {})]
    with pytest.raises(TerminalError):
        import_dashboards(kibana.settings)
    assert [path for path, _, _ in kibana.requests] == [STATUS, IMPORT]


def test_import_dashboards_without_kibana_url_raises_settings_error() -> None:
    with pytest.raises(SettingsError):
        import_dashboards(Settings())


def test_main_exit_code_depends_on_the_error(kibana: Kibana, capsys: pytest.CaptureFixture[str]) -> None:
    address = {"SHOWROOM_KIBANA_URL": kibana.settings.kibana.url}
    assert main(address | {"ELASTIC_PASSWORD": "secret"}) == 0
    assert main({}) == 2
    kibana.responses[IMPORT] = [(403, {})]
    assert main(address) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("publish: ")] == lines[-2:]
