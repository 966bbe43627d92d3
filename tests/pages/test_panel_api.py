"""The Live page and its JSON API."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from showroom.web.data_sources import SourceFailure
from tests.pages.factories import ATTACK, FAILURE, FakeDataSources, logged_in_client

HOSTILE = "a \"b\" & 'c' 🪑 <img src=x onerror=alert(1)>"


@pytest.fixture
def sources() -> FakeDataSources:
    return FakeDataSources()


@pytest.fixture
def client(sources: FakeDataSources) -> TestClient:
    return logged_in_client(lambda: sources)


def test_live_page_queries_no_server(client: TestClient, sources: FakeDataSources) -> None:
    page = client.get("/live").text
    assert sources.queries == []
    assert 'aria-current="page">Shop now' in page
    assert "Products &amp; more" in page
    assert re.findall(r'data-panel="([^"]+)"', page) == ["shop-metric", "shop-bar"]
    # The panel of links on top is not shown, so the other panels move up.
    assert "--x:1;--y:1;--w:24;--h:8" in page
    assert "--x:25;--y:1;--w:24;--h:8" in page


def test_live_page_escapes_all_text(client: TestClient) -> None:
    page = client.get("/live", params={"category": HOSTILE}).text
    assert ATTACK not in page
    assert "<img" not in page
    assert "<strong>Bold</strong> &lt;script&gt;" in page
    assert "javascript:" not in page


def test_live_page_links_use_the_urls_of_the_settings(client: TestClient) -> None:
    page = client.get("/live").text
    assert 'class="out" href="http://flink:8081">Flink' in page
    assert "other-host" not in page


def test_live_page_tabs_keep_the_filters(client: TestClient) -> None:
    page = client.get("/live", params={"span": "day", "category": HOSTILE, "device": "mobile"}).text
    (address,) = re.findall(r'href="(live\?dashboard=products[^"]*)"', page)
    assert client.get("/" + address.replace("&amp;", "&")).status_code == 200
    assert "span=day" in address
    assert "device=mobile" in address


@pytest.mark.parametrize("params", [{"dashboard": "missing"}, {"span": "year"}, {"span": "custom"}])
def test_live_page_invalid_parameters_return_422(client: TestClient, params: dict[str, str]) -> None:
    response = client.get("/live", params=params)
    assert response.status_code == 422
    assert "The URL is invalid" in response.text


def test_panel_applies_filters_and_names_unsupported_ones(client: TestClient, sources: FakeDataSources) -> None:
    sources.rows["shop-bar"] = [[ATTACK, 3]]
    response = client.get("/live/panel/shop-bar", params={"category": HOSTILE, "referrer": "google"}).json()
    (_, filters), *_ = sources.queries
    assert (
        client.get("/live/panel/shop-metric", params={"device": "mobile"}).json()["unsupported_filters"]
        == "all devices"
    )
    assert (filters.category, filters.referrer, filters.device) == (HOSTILE, "google", "")
    assert response["unsupported_filters"] == ""
    assert response["table"]["rows"] == [[ATTACK, "3"]]


def test_live_page_unsupported_filter_is_a_hidden_field(client: TestClient) -> None:
    page = client.get("/live", params={"referrer": "google", "device": "mobile"}).text
    assert re.findall(r'<select name="([^"]+)"', page) == ["category", "device"]
    assert '<input type="hidden" name="referrer" value="google">' in page


def test_panel_metric_queries_two_periods_and_a_chart_one(client: TestClient, sources: FakeDataSources) -> None:
    assert client.get("/live/panel/shop-metric").json()["tiles"][0]["change"] == "±0 %"
    assert client.get("/live/panel/shop-bar").json()["chart"]["shape"] == "bars"
    assert [name for name, _ in sources.queries] == ["shop-metric", "shop-metric", "shop-bar"]
    assert sources.queries[1][1].until == sources.queries[0][1].since


def test_panel_concurrent_requests_share_one_query(sources: FakeDataSources) -> None:
    barrier = threading.Barrier(10)

    # One application, as in a server, so that the requests share its cache.
    with logged_in_client(lambda: sources) as client:

        def view(number: int) -> int:
            barrier.wait(10)
            response = client.get("/live/panel/shop-bar", params={"span": "day", "device": "", "x": number})
            return int(response.status_code)

        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(view, range(10))) == [200] * 10
        assert len(sources.queries) == 1
        client.get("/live/panel/shop-bar", params={"span": "day", "device": "mobile"})
    assert len(sources.queries) == 2


@pytest.mark.parametrize(
    ("failure", "code", "state"),
    [
        (FAILURE, 503, "unavailable"),
        (SourceFailure("Elasticsearch", "it returned 400", "see its log", is_transient=False), 502, "error"),
    ],
)
def test_panel_failed_source_is_named(
    client: TestClient, sources: FakeDataSources, failure: SourceFailure, code: int, state: str
) -> None:
    sources.failure = failure
    for address in ("panel/shop-bar", "overview"):
        response = client.get(f"/live/{address}")
        assert response.status_code == code
        assert response.json() == {
            "state": state,
            "source": "Elasticsearch",
            "message": failure.message,
            "remedy": failure.remedy,
        }


@pytest.mark.parametrize("name", ["nothing", "shop-links", "shop-markdown", HOSTILE])
def test_panel_without_data_returns_404_without_query(client: TestClient, sources: FakeDataSources, name: str) -> None:
    response = client.get(f"/live/panel/{name}")
    assert response.status_code == 404
    assert sources.queries == []


def test_panel_invalid_parameters_return_422_without_query(client: TestClient, sources: FakeDataSources) -> None:
    for address in ("panel/shop-bar", "overview"):
        assert client.get(f"/live/{address}", params={"span": "year"}).status_code == 422
    assert sources.queries == []


def test_overview_has_choices_and_freshness(client: TestClient, sources: FakeDataSources) -> None:
    response = client.get("/live/overview").json()
    assert response["choices"]["category"] == ["living_room"]
    assert response["is_fresh"]
    sources.result = sources.result._replace(latest_at=None)
    response = client.get("/live/overview", params={"span": "day"}).json()
    assert (response["is_empty"], response["is_fresh"]) == (True, False)
