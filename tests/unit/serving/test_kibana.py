"""The import into Kibana, against a small server that answers as Kibana does, or does not."""

import json
import threading
from collections.abc import Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.contracts.errors import SettingsError, TerminalError, TransientError
from include.contracts.settings import Secret, Settings
from include.provision.kibana import main, publish
from include.serving.kibana import IGNORES, OBJECTS, addressed, import_objects
from include.serving.objects import complaints

COUNT = len(OBJECTS.read_text().splitlines())
READY: tuple[int, Any] = (200, {"status": {"overall": {"level": "available"}}})
DONE: tuple[int, Any] = (200, {"success": True, "successCount": COUNT})
STATUS, IMPORT, OPTIONS = "/api/status", "/api/saved_objects/_import?overwrite=true", "/api/kibana/settings"


class Kibana(ThreadingHTTPServer):
    """Answers by path, the last answer again and again, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[tuple[int, Any]]] = {
            STATUS: [READY],
            IMPORT: [DONE],
            OPTIONS: [(200, {"settings": {}})],
        }
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def settings(self) -> Settings:
        return Settings(kibana_url=f"http://127.0.0.1:{self.server_address[1]}")

    def uploaded(self) -> list[dict[str, Any]]:
        """The objects of the newest import."""
        _, headers, body = next(asked for asked in reversed(self.asked) if asked[0] == IMPORT)
        form = BytesParser().parsebytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body)
        part = next(part for part in form.walk() if part.get_filename())
        assert part.get_filename() == "showroom.ndjson"
        text = part.get_payload(decode=True)
        assert isinstance(text, bytes)
        return [json.loads(line) for line in text.decode().splitlines()]


class Handler(BaseHTTPRequestHandler):
    server: Kibana

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        left = self.server.answers[self.path]
        status, found = left.pop(0) if len(left) > 1 else left[0]
        text = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _answer

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


def test_all_objects_are_imported_over_those_there_are(kibana: Kibana) -> None:
    done = import_objects(kibana.settings, ("elastic", Secret("secret")))

    assert done is not None
    assert done == (COUNT, True)
    assert [path for path, _, _ in kibana.asked] == [STATUS, IMPORT, OPTIONS]
    assert all(headers["kbn-xsrf"] for _, headers, _ in kibana.asked)
    assert all(headers["authorization"].startswith("Basic ") for _, headers, _ in kibana.asked)
    assert kibana.uploaded() == [json.loads(line) for line in OBJECTS.read_text().splitlines()]
    assert json.loads(kibana.asked[-1][2]) == {"changes": {IGNORES: True}}


def test_the_key_of_elasticsearch_logs_in_where_no_password_is_given(kibana: Kibana) -> None:
    import_objects(kibana.settings.replace(elasticsearch_api_key=Secret("k3y")))
    assert {headers["authorization"] for _, headers, _ in kibana.asked} == {"ApiKey k3y"}


def test_no_address_means_no_import() -> None:
    assert import_objects(Settings()) is None


def test_links_lead_to_where_the_other_programs_are(kibana: Kibana) -> None:
    import_objects(kibana.settings.replace(airflow_url="https://airflow.shop.example"))

    ends = [
        link["destination"]
        for about in kibana.uploaded()
        for panel in json.loads(about["attributes"].get("panelsJSON", "[]"))
        for link in panel["embeddableConfig"].get("attributes", {}).get("links", ())
        if link["type"] == "externalLink"
    ]
    assert set(ends) == {"https://airflow.shop.example", "http://127.0.0.1:19012", "http://127.0.0.1:19005"}
    assert addressed(OBJECTS.read_text(), Settings(port_offset=100)).count("http://127.0.0.1:19105") == len(ends) // 3


def test_a_program_that_no_browser_reaches_gets_no_link() -> None:
    text = addressed(OBJECTS.read_text(), Settings(flink_url="http://flink-jobmanager:8081"))
    objects = [json.loads(line) for line in text.splitlines()]
    for about in (found for found in objects if found["type"] == "dashboard"):
        (holder,) = [
            panel["embeddableConfig"]["attributes"]
            for panel in json.loads(about["attributes"]["panelsJSON"])
            if panel["type"] == "links"
        ]
        assert [link["label"] for link in holder["links"]][-2:] == ["Airflow", "MLflow"]
        assert [link["order"] for link in holder["links"]] == list(range(5))
    assert complaints(text) == []


def test_nobody_at_the_address_is_told_as_being_away() -> None:
    with pytest.raises(TransientError, match="is unavailable"):
        import_objects(Settings(kibana_url="http://127.0.0.1:9"))


def test_a_password_in_the_address_is_never_told() -> None:
    with pytest.raises(TransientError) as told:
        import_objects(Settings(kibana_url="http://elastic:hidden@127.0.0.1:9"))
    assert "hidden" not in str(told.value)


@pytest.mark.parametrize("address", ["http://kibana:56x1", "kibana:5601"])
def test_what_is_no_address_is_told_for_good(address: str) -> None:
    with pytest.raises(TerminalError, match="address"):
        import_objects(Settings(kibana_url=address))


@pytest.mark.parametrize(
    "answer",
    [(503, b"Kibana server is not ready yet"), (429, {}), (200, {"status": {"overall": {"level": "unavailable"}}})],
)
def test_a_kibana_that_starts_is_told_as_being_away_and_gets_nothing(kibana: Kibana, answer: tuple[int, Any]) -> None:
    kibana.answers[STATUS] = [answer]
    with pytest.raises(TransientError):
        import_objects(kibana.settings)
    assert [path for path, _, _ in kibana.asked] == [STATUS]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {"success": True, "successCount": COUNT - 1}), f"took {COUNT - 1} of {COUNT} objects"),
        ((200, {"success": False, "successCount": COUNT}), "it does not say why"),
        ((200, {}), f"took None of {COUNT} objects"),
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
        ((200, b"<html>"), "answered 200 to /api/saved_objects/_import"),
        ((200, []), "answered 200"),
        ((400, {"message": "Unexpected token"}), "Unexpected token"),
        ((401, {}), "refuses the login"),
        ((403, {}), "refuses the login"),
    ],
)
def test_anything_less_than_all_objects_is_an_error(kibana: Kibana, answer: tuple[int, Any], said: str) -> None:
    kibana.answers[IMPORT] = [answer]
    with pytest.raises(TerminalError) as caught:
        import_objects(kibana.settings)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_errors_are_told_in_one_short_line(kibana: Kibana) -> None:
    errors = [{"type": "search", "id": f"s{number}", "error": {"type": "unknown"}} for number in range(12)]
    kibana.answers[IMPORT] = [(200, {"success": False, "successCount": 0, "errors": errors})]
    with pytest.raises(TerminalError, match="search s4: unknown; and 7 more"):
        import_objects(kibana.settings)


def test_objects_count_as_imported_where_the_option_cannot_be_set(kibana: Kibana) -> None:
    kibana.answers[OPTIONS] = [(404, {})]
    assert import_objects(kibana.settings) == (COUNT, False)


def test_a_password_is_never_told(kibana: Kibana) -> None:
    kibana.answers[IMPORT] = [(401, {})]
    with pytest.raises(TerminalError) as caught:
        import_objects(kibana.settings, ("elastic", Secret("s3cr3t")))
    assert "s3cr3t" not in str(caught.value)


def test_publishing_waits_until_kibana_is_ready(kibana: Kibana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.provision.kibana.PAUSE_S", 0.01)
    kibana.answers[STATUS] = [(503, b""), (503, b""), READY]
    assert publish(kibana.settings, Secret("secret")) == (COUNT, True)
    assert [path for path, _, _ in kibana.asked] == [STATUS, STATUS, STATUS, IMPORT, OPTIONS]


def test_publishing_ends_at_its_deadline_and_at_a_refusal(kibana: Kibana) -> None:
    with pytest.raises(TransientError):
        publish(Settings(kibana_url="http://127.0.0.1:9"), deadline_s=0.0)
    kibana.answers[IMPORT] = [(403, {})]
    with pytest.raises(TerminalError):
        publish(kibana.settings)
    assert [path for path, _, _ in kibana.asked] == [STATUS, IMPORT]


def test_publishing_nowhere_is_a_mistake() -> None:
    with pytest.raises(SettingsError):
        publish(Settings())


def test_the_programs_exit_code_tells_what_came_of_it(kibana: Kibana, capsys: pytest.CaptureFixture[str]) -> None:
    address = {"SHOWROOM_KIBANA_URL": kibana.settings.kibana_url}
    assert main(address | {"ELASTIC_PASSWORD": "secret"}) == 0
    assert main({}) == 2
    kibana.answers[IMPORT] = [(403, {})]
    assert main(address) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("publish: ")] == lines[-2:]
