"""The frame of the Live page, and its answers to the browser."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from showroom.pages.sources import Away
from tests.pages.sample import ATTACK, GONE, Told, browser

NOISE = "a \"b\" & 'c' 🪑 <img src=x onerror=alert(1)>"


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def client(told: Told) -> TestClient:
    return browser(lambda: told)


def test_the_frame_asks_no_server(client: TestClient, told: Told) -> None:
    page = client.get("/live").text
    assert told.asked == []
    assert 'aria-current="page">Shop now' in page
    assert "Products &amp; more" in page
    assert re.findall(r'data-panel="([^"]+)"', page) == ["shop-metric", "shop-bar"]
    # The bar of links on top is not a panel; what follows moves up.
    assert "--x:1;--y:1;--w:24;--h:8" in page
    assert "--x:25;--y:1;--w:24;--h:8" in page


def test_text_is_text_wherever_it_comes_from(client: TestClient) -> None:
    page = client.get("/live", params={"category": NOISE}).text
    assert ATTACK not in page
    assert "<img" not in page
    assert "<strong>Bold</strong> &lt;script&gt;" in page
    assert "javascript:" not in page


def test_ways_out_lead_where_the_settings_say(client: TestClient) -> None:
    page = client.get("/live").text
    assert 'class="out" href="http://flink:8081">Flink' in page
    assert "elsewhere" not in page


def test_a_tab_keeps_the_filters(client: TestClient) -> None:
    page = client.get("/live", params={"span": "day", "category": NOISE, "device": "mobile"}).text
    (address,) = re.findall(r'href="(live\?board=products[^"]*)"', page)
    assert client.get("/" + address.replace("&amp;", "&")).status_code == 200
    assert "span=day" in address
    assert "device=mobile" in address


@pytest.mark.parametrize("given", [{"board": "nowhere"}, {"span": "year"}, {"span": "custom"}])
def test_an_address_without_sense_is_said(client: TestClient, given: dict[str, str]) -> None:
    answer = client.get("/live", params=given)
    assert answer.status_code == 422
    assert "The address makes no sense" in answer.text


def test_a_panel_is_narrowed_and_says_what_it_cannot_follow(client: TestClient, told: Told) -> None:
    told.rows["shop-bar"] = [[ATTACK, 3]]
    answer = client.get("/live/panel/shop-bar", params={"category": NOISE, "referrer": "google"}).json()
    (_, narrow), *_ = told.asked
    assert client.get("/live/panel/shop-metric", params={"device": "mobile"}).json()["unfiltered"] == "all devices"
    assert (narrow.category, narrow.referrer, narrow.device) == (NOISE, "google", "")
    assert answer["unfiltered"] == ""
    assert answer["table"]["rows"] == [[ATTACK, "3"]]


def test_a_filter_that_no_panel_can_follow_is_not_offered_and_goes_along(client: TestClient) -> None:
    page = client.get("/live", params={"referrer": "google", "device": "mobile"}).text
    assert re.findall(r'<select name="([^"]+)"', page) == ["category", "device"]
    assert '<input type="hidden" name="referrer" value="google">' in page


def test_a_key_figure_is_asked_for_twice_and_a_chart_once(client: TestClient, told: Told) -> None:
    assert client.get("/live/panel/shop-metric").json()["tiles"][0]["change"] == "±0 %"
    assert client.get("/live/panel/shop-bar").json()["chart"]["shape"] == "bars"
    assert [name for name, _ in told.asked] == ["shop-metric", "shop-metric", "shop-bar"]
    assert told.asked[1][1].until == told.asked[0][1].since


def test_ten_viewers_cost_one_question(told: Told) -> None:
    together = threading.Barrier(10)

    # One application, as in a server; its answers are shared by all that ask.
    with browser(lambda: told) as client:

        def view(number: int) -> int:
            together.wait(10)
            answer = client.get("/live/panel/shop-bar", params={"span": "day", "device": "", "x": number})
            return int(answer.status_code)

        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(view, range(10))) == [200] * 10
        assert len(told.asked) == 1
        client.get("/live/panel/shop-bar", params={"span": "day", "device": "mobile"})
    assert len(told.asked) == 2


@pytest.mark.parametrize(
    ("gone", "code", "state"),
    [
        (GONE, 503, "away"),
        (Away("Elasticsearch", "it answered 400", "see its log", busy=False), 502, "refused"),
    ],
)
def test_a_source_that_gives_no_answer_is_named(
    client: TestClient, told: Told, gone: Away, code: int, state: str
) -> None:
    told.gone = gone
    for address in ("panel/shop-bar", "about"):
        answer = client.get(f"/live/{address}")
        assert answer.status_code == code
        assert answer.json() == {
            "state": state,
            "source": "Elasticsearch",
            "message": gone.message,
            "remedy": gone.remedy,
        }


@pytest.mark.parametrize("name", ["nothing", "shop-links", "shop-markdown", NOISE])
def test_what_shows_no_figures_is_not_asked_for(client: TestClient, told: Told, name: str) -> None:
    answer = client.get(f"/live/panel/{name}")
    assert answer.status_code == 404
    assert told.asked == []


def test_a_wrong_question_is_refused_before_it_is_asked(client: TestClient, told: Told) -> None:
    for address in ("panel/shop-bar", "about"):
        assert client.get(f"/live/{address}", params={"span": "year"}).status_code == 422
    assert told.asked == []


def test_the_choices_and_the_newest_session(client: TestClient, told: Told) -> None:
    answer = client.get("/live/about").json()
    assert answer["choices"]["category"] == ["living_room"]
    assert answer["fresh"]
    told.found = told.found._replace(newest_at=None)
    before = client.get("/live/about", params={"span": "day"}).json()
    assert (before["empty"], before["fresh"]) == (True, False)
