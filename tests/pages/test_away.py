"""Both pages where no server runs: each says what is away and what to do, and none fails."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from include.contracts.errors import SettingsError
from include.contracts.settings import Secret, Settings
from showroom.pages import login
from showroom.pages.app import create_app
from showroom.pages.sources import Sources

NOWHERE = "127.0.0.1:9"


def browser(open_sources: "type[Sources] | object") -> TestClient:
    app = create_app(open_sources)  # type: ignore[arg-type]
    app.dependency_overrides[login.require_login] = lambda: None
    return TestClient(app)


@pytest.fixture
def nowhere() -> TestClient:
    settings = Settings(
        state_dir=Path(".showroom/nowhere"),
        kafka_bootstrap=NOWHERE,
        redis_url=Secret(f"redis://{NOWHERE}/0"),
        elasticsearch_url=f"http://{NOWHERE}",
        flink_url=f"http://{NOWHERE}",
        mongo_url=Secret(f"mongodb://{NOWHERE}"),
    )
    return browser(lambda: Sources(settings))


def test_the_live_page_names_elasticsearch(nowhere: TestClient) -> None:
    answer = nowhere.get("/live")
    assert answer.status_code == 200
    assert "Elasticsearch is away" in answer.text
    assert "./showroom status" in answer.text


def test_the_stream_page_names_what_is_away_and_shows_the_rest(nowhere: TestClient) -> None:
    answer = nowhere.get("/stream")
    assert answer.status_code == 200
    for name in ("Redis is away", "MongoDB is away", "Reconciliation", "Rejected records"):
        assert name in answer.text


def test_wrong_settings_are_said_and_do_not_break_airflow() -> None:
    def refuse() -> Sources:
        raise SettingsError("SHOWROOM_COLOUR is <unknown>", "see docs/contracts.md")

    for address in ("/live", "/stream"):
        answer = browser(refuse).get(address)
        assert answer.status_code == 200
        assert "SHOWROOM_COLOUR is &lt;unknown&gt;" in answer.text


def test_only_own_files_are_served(nowhere: TestClient) -> None:
    assert nowhere.get("/static/page.js").status_code == 200
    assert nowhere.get("/static/plotly.min.js").headers["cache-control"].endswith("immutable")
    for address in ("/static/app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/docs", "/openapi.json"):
        assert nowhere.get(address).status_code == 404
