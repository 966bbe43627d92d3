"""Both pages in a real browser, inside a real Airflow."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Dialog, FrameLocator, Page, expect

from include.local.servers import airflow
from include.local.stack import Stack
from tests.browser.shop import ATTACK

ADDRESSES = ("", "live", "live?window=day", "stream", "static/plotly.min.js", "static/page.css", "static/live.svg")
CHART_S = 30_000


class Seen:
    """A page and what went wrong in it."""

    def __init__(self, context: BrowserContext, stack: Stack) -> None:
        self.page: Page = context.new_page()
        self.wrong: list[str] = []
        self.elsewhere: list[str] = []
        self._base = stack.settings.airflow_url
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", self._refuse)
        self.page.on("request", lambda request: self._note(request.url))

    def _refuse(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _note(self, url: str) -> None:
        if not url.startswith((self._base, "data:", "blob:")):
            self.elsewhere.append(url)

    def open(self, name: str) -> FrameLocator:
        """A page by way of Airflow's side bar."""
        self.page.goto(self._base)
        self.page.get_by_role("link", name=name, exact=True).first.click()
        frame = self.page.frame_locator("iframe")
        expect(frame.locator("h1")).to_have_text(name, timeout=CHART_S)
        return frame


@pytest.fixture
def seen(visitor: BrowserContext, stack: Stack) -> Seen:
    return Seen(visitor, stack)


@pytest.fixture
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["visitor"])


def test_the_live_page_shows_the_shop(seen: Seen, theme: str, screenshots: Path) -> None:
    frame = seen.open("Live")
    expect(frame.locator(".tile")).to_have_count(6)
    expect(frame.locator("#sessions .main-svg").first).to_be_visible(timeout=CHART_S)
    expect(frame.locator(".tile .value").first).to_have_text(re.compile(r"^[1-9][\d,]*$"))
    expect(frame.locator(".pulse")).to_contain_text("newest session")
    expect(frame.locator("html")).to_have_attribute("data-theme", theme)
    # Names are text, wherever they stand.
    expect(frame.locator("tbody th", has_text=ATTACK)).to_be_visible()
    expect(frame.locator("#products .ytick", has_text=ATTACK)).to_be_visible()
    seen.page.screenshot(path=screenshots / f"live-{theme}.png")
    frame.get_by_role("link", name="last day").click()
    expect(frame.get_by_role("link", name="last day")).to_have_attribute("aria-current", "page")
    expect(frame.locator(".tile .value").first).to_have_text("3,000")
    expect(frame.locator("#sessions .main-svg").first).to_be_visible(timeout=CHART_S)
    seen.page.screenshot(path=screenshots / f"live-day-{theme}.png")
    assert (seen.wrong, seen.elsewhere) == ([], [])


def test_the_live_page_keeps_itself_new(seen: Seen) -> None:
    frame = seen.open("Live")
    first = frame.locator("#updated").inner_text()
    drawn = frame.locator("#sessions .main-svg").first
    expect(drawn).to_be_visible(timeout=CHART_S)
    expect(frame.locator("#updated")).not_to_have_text(first, timeout=CHART_S)
    expect(drawn).to_be_visible()
    expect(frame.locator("#trouble")).to_have_text("")
    assert seen.wrong == []


def test_the_stream_page_shows_every_part(seen: Seen, theme: str, screenshots: Path) -> None:
    frame = seen.open("Stream")
    for title in ("Decisions of the supervisor", "Reconciliation", "Rejected records"):
        expect(frame.get_by_role("heading", name=title)).to_be_visible()
    expect(frame.locator(".stages .stage").first).to_be_visible()
    seen.page.screenshot(path=screenshots / f"stream-{theme}.png")
    assert (seen.wrong, seen.elsewhere) == ([], [])


@pytest.mark.parametrize("address", ADDRESSES)
def test_nobody_gets_in_without_a_login(stack: Stack, address: str) -> None:
    url = f"{stack.settings.airflow_url}/showroom/{address}"
    program = httpx.get(url)
    person = httpx.get(url, headers={"Accept": "text/html"})
    forged = httpx.get(url, headers={"Authorization": "Bearer e30.e30.e30"})

    assert program.status_code == 401
    assert person.status_code == 307
    assert "/auth/login" in person.headers["location"]
    assert forged.status_code in (401, 403)


def test_a_token_opens_the_pages_for_reading_only(stack: Stack) -> None:
    base, keys = stack.settings.airflow_url, airflow.read_keys(stack.layout)
    assert keys is not None
    asked = httpx.post(f"{base}/auth/token", json={"username": airflow.USER, "password": keys.password})
    bearer = {"Authorization": f"Bearer {asked.json()['access_token']}"}

    page = httpx.get(f"{base}/showroom/live", headers=bearer)
    assert page.status_code == 200
    assert ATTACK not in page.text
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    assert httpx.get(f"{base}/showroom/live?window=year", headers=bearer).status_code == 422
    assert httpx.get(f"{base}/showroom/static/..%2Fapp.py", headers=bearer).status_code == 404
    assert httpx.post(f"{base}/showroom/live", headers=bearer).status_code == 405
    assert httpx.get(f"{base}/api/v2/plugins/importErrors", headers=bearer).json()["import_errors"] == []


def test_an_elasticsearch_that_is_away_is_named(seen: Seen, stack: Stack, theme: str, screenshots: Path) -> None:
    frame = seen.open("Live")
    expect(frame.locator(".tile")).to_have_count(6)
    stack.stop("elasticsearch")
    try:
        expect(frame.get_by_role("heading", name="Elasticsearch is away")).to_be_visible(timeout=CHART_S)
        seen.page.screenshot(path=screenshots / f"live-away-{theme}.png")
    finally:
        stack.start("elasticsearch")
        stack.wait(("elasticsearch",))
    expect(frame.locator(".tile")).to_have_count(6, timeout=CHART_S)
    expect(frame.locator("#sessions .main-svg").first).to_be_visible(timeout=CHART_S)
    assert seen.wrong == []
