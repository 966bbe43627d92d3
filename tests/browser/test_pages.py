"""Both pages in a real browser and a real Airflow."""

import re
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from include.dashboards.panels import load_dashboards
from local.servers import airflow
from local.stack import Stack
from tests.browser.browser_page import CHART_MS, BrowserPage
from tests.browser.sample_shop import ATTACK, HOSTILE
from tools.screenshots import PICTURES, settle, take

DASHBOARDS = load_dashboards()
ADDRESSES = (
    "",
    "live",
    "live?span=day",
    "live/overview",
    "live/panel/shop-sessions",
    "stream",
    "static/plotly.min.js",
    "static/page.css",
    "static/live.svg",
)
SESSIONS = "#panel-shop-sessions .value"


def number(page: Page | FrameLocator, selector: str = SESSIONS) -> int:
    """Wait for a number in the element and return it."""
    expect(page.locator(selector)).to_have_text(re.compile(r"^[\d,]+$"), timeout=CHART_MS)
    return int(page.locator(selector).inner_text().replace(",", ""))


def test_live_page_is_shown_in_airflow(browser_page: BrowserPage, theme: str, screenshots: Path) -> None:
    frame = browser_page.open("Live")
    expect(frame.locator("#panel-shop-traffic .main-svg").first).to_be_visible(timeout=CHART_MS)
    expect(frame.locator(SESSIONS)).to_have_text(re.compile(r"^[1-9][\d,]*$"))
    expect(frame.locator("#freshness")).to_contain_text("newest session")
    expect(frame.locator("html")).to_have_attribute("data-theme", theme)
    browser_page.page.screenshot(path=screenshots / f"airflow-{theme}.png")
    frame.get_by_role("link", name="Products").click()
    expect(frame.get_by_role("link", name="Products")).to_have_attribute("aria-current", "page")
    expect(frame.locator("#panel-products-table tbody td", has_text=ATTACK).first).to_be_visible(timeout=CHART_MS)
    assert (browser_page.errors, browser_page.external_requests) == ([], [])


def test_live_page_external_link_opens_a_new_window(browser_page: BrowserPage) -> None:
    frame = browser_page.open("Live")
    expect(frame.locator("#freshness")).to_contain_text("newest session")
    link = frame.locator("a.out").first
    address = str(link.get_attribute("href"))
    assert address.startswith("http://127.0.0.1:")
    browser_page.page.context.route(f"{address}**", lambda route: route.fulfill(body="external"))
    with browser_page.page.context.expect_page() as opened:
        link.click()
    expect(opened.value.locator("body")).to_have_text("external")
    assert opened.value.url.rstrip("/") == address.rstrip("/")
    assert opened.value.evaluate("window.opener") is None
    expect(frame.locator("h1")).to_have_text("Live")
    assert browser_page.errors == []


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_live_page_every_panel_shows_data(
    browser_page: BrowserPage, theme: str, screenshots: Path, dashboard: str
) -> None:
    page = browser_page.show(f"live?dashboard={dashboard}&span=day", height=1800)
    settle(page)
    page.locator("main").screenshot(path=screenshots / f"live-{dashboard}-{theme}.png")
    states = {
        panel.id: page.locator(f"#panel-{panel.id}").get_attribute("data-state")
        for panel in DASHBOARDS[dashboard].panels
        if panel.index
    }
    # The sample shop has no dead letters.
    empty = {"pipeline-refusals": "empty"}
    assert states == dict.fromkeys(states, "shown") | {key: empty[key] for key in empty if key in states}
    for panel in (
        panel for panel in DASHBOARDS[dashboard].panels if panel.kind in ("line", "area", "bar", "pie", "heatmap")
    ):
        if states[panel.id] == "shown":
            expect(page.locator(f"#panel-{panel.id} .main-svg").first).to_be_visible()
    assert (browser_page.errors, browser_page.external_requests) == ([], [])


def test_live_page_escapes_names(browser_page: BrowserPage) -> None:
    page = browser_page.show(f"live?dashboard=products&span=day&category={quote(HOSTILE)}", height=1800)
    settle(page)
    expect(page.locator('select[name="category"]')).to_have_value(HOSTILE)
    expect(page.locator("#panel-products-table td", has_text=ATTACK).first).to_be_visible()
    expect(page.locator("#panel-products-sentiment .ytick", has_text=ATTACK)).to_be_visible()
    review = page.locator("#panel-products-newest-reviews td", has_text="characters)").first
    expect(review).to_contain_text(ATTACK)
    assert len(review.inner_text()) < 400
    page.goto(page.url.replace("dashboard=products", "dashboard=pipeline"))
    settle(page)
    expect(page.locator("#panel-pipeline-alerts td", has_text="'single' & 🪑").first).to_be_visible()
    assert page.locator("main script:not([type]), main b, main [onmouseover]").count() == 0
    assert browser_page.errors == []


def test_live_page_filters_apply_and_are_in_the_url(browser_page: BrowserPage, theme: str, screenshots: Path) -> None:
    page = browser_page.show("live?dashboard=shop&span=day")
    assert number(page) == 3_000
    expect(page.locator('select[name="device"] option[value="tablet"]')).to_be_attached(timeout=CHART_MS)
    page.locator('select[name="device"]').select_option("tablet")
    expect(page).to_have_url(re.compile("device=tablet"))
    tablets = number(page)
    assert 0 < tablets < 1_000
    page.locator('select[name="category"]').select_option(HOSTILE)
    expect(page.locator(SESSIONS)).not_to_have_text(f"{tablets:,}", timeout=CHART_MS)
    assert 0 < number(page) < tablets
    page.screenshot(path=screenshots / f"live-filtered-{theme}.png")
    page.get_by_role("link", name="Customers").click()
    expect(page.locator('select[name="device"]')).to_have_value("tablet")
    expect(page.locator('select[name="category"]')).to_have_value(HOSTILE)
    page.go_back()
    assert 0 < number(page) < tablets
    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator(SESSIONS)).to_have_text("3,000", timeout=CHART_MS)
    expect(page).not_to_have_url(re.compile("device"))
    page.go_back()
    expect(page.locator('select[name="device"]')).to_have_value("tablet")
    expect(page.locator(SESSIONS)).not_to_have_text("3,000", timeout=CHART_MS)
    assert browser_page.errors == []


def test_live_page_custom_time_range(browser_page: BrowserPage) -> None:
    page = browser_page.show("live?dashboard=shop&since=2001-01-01T00:00&until=2001-01-02T00:00", height=1800)
    settle(page)
    expect(page.locator(SESSIONS)).to_have_text("0")
    expect(page.locator("#panel-shop-conversion .value")).to_have_text("\N{EN DASH}")
    expect(page.locator("#panel-shop-traffic .empty")).to_have_text("no data in this time range")
    expect(page.locator("#no-data")).to_be_hidden()
    page.locator('input[name="until"]').fill("2000-01-01T00:00")
    expect(page.locator(SESSIONS)).to_have_text("0")
    expect(page).to_have_url(re.compile("until=2001"))
    page.get_by_text("last day").click()
    expect(page.locator(SESSIONS)).to_have_text("3,000", timeout=CHART_MS)
    assert browser_page.errors == []


def test_live_page_keyboard_navigation(browser_page: BrowserPage) -> None:
    page = browser_page.show("live?dashboard=shop&span=day")
    assert number(page) == 3_000
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Shop now")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="last day")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("span=week"))
    page.get_by_role("link", name="Skip to the content").focus()
    page.keyboard.press("Enter")
    swap = page.get_by_role("button", name="Sessions and purchases over time as a table")
    expect(swap).to_be_enabled(timeout=CHART_MS)
    page.keyboard.press("Tab")
    expect(swap).to_be_focused()
    page.keyboard.press("Space")
    table = page.get_by_role("region", name="Sessions and purchases over time, table")
    expect(table.locator("tbody tr").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(table).to_be_focused()
    swap.press("Space")
    expect(page.locator("#panel-shop-traffic .main-svg").first).to_be_visible()
    assert browser_page.errors == []


def test_live_page_polls_visible_panels(browser_page: BrowserPage) -> None:
    page = browser_page.show("live?dashboard=shop&span=hour", height=500)
    first = number(page)
    drawn = page.locator("#panel-shop-traffic .main-svg").first
    expect(drawn).to_be_visible(timeout=CHART_MS)
    previous = page.locator("#updated").inner_text()
    expect(page.locator("#updated")).not_to_have_text(previous, timeout=CHART_MS)
    expect(drawn).to_be_visible()
    assert abs(number(page) - first) < 100
    # A panel below the window is queried only once it scrolls into view.
    assert not any("panel/shop-week" in url for url in browser_page.requests)
    page.locator("#panel-shop-week").scroll_into_view_if_needed()
    expect(page.locator("#panel-shop-week .main-svg").first).to_be_visible(timeout=CHART_MS)
    assert browser_page.errors == []


def test_stream_page_shows_every_part(browser_page: BrowserPage, theme: str, screenshots: Path) -> None:
    frame = browser_page.open("Stream")
    titles = ("Decisions of the supervisor", "Reconciliation", "Rejected records since", "Newest rejected records")
    for title in titles:
        expect(frame.get_by_role("heading", name=title)).to_be_visible()
    expect(frame.locator(".stages .stage").first).to_be_visible()
    first = frame.locator("#updated").inner_text()
    expect(frame.locator("#updated")).not_to_have_text(first, timeout=CHART_MS)
    expect(frame.locator("#refresh-error")).to_have_text("")
    browser_page.page.screenshot(path=screenshots / f"stream-{theme}.png")
    assert (browser_page.errors, browser_page.external_requests) == ([], [])


def test_take_screenshots_are_small(chromium: Browser, stack: Stack, tmp_path: Path) -> None:
    paths = take(chromium, stack.settings.airflow, stack.layout, tmp_path, lambda _: None)
    assert [path.name for path in paths] == [picture.name for picture in PICTURES]
    assert {path.name: path.stat().st_size for path in paths if not 20_000 < path.stat().st_size < 300_000} == {}


@pytest.mark.parametrize("address", ADDRESSES)
def test_pages_without_login_are_rejected(stack: Stack, address: str) -> None:
    url = f"{stack.settings.airflow.url}/showroom/{address}"
    program = httpx.get(url)
    person = httpx.get(url, headers={"Accept": "text/html"})
    forged = httpx.get(url, headers={"Authorization": "Bearer e30.e30.e30"})

    assert program.status_code == 401
    assert person.status_code == 307
    assert "/auth/login" in person.headers["location"]
    assert forged.status_code in (401, 403)


def test_pages_with_token_are_read_only(stack: Stack) -> None:
    base, keys = stack.settings.airflow.url, airflow.read_keys(stack.layout)
    assert keys is not None
    token = httpx.post(f"{base}/auth/token", json={"username": airflow.USER, "password": keys.password})
    bearer = {"Authorization": f"Bearer {token.json()['access_token']}"}

    page = httpx.get(f"{base}/showroom/live", params={"category": ATTACK}, headers=bearer)
    assert page.status_code == 200
    assert ATTACK not in page.text
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    panel = httpx.get(f"{base}/showroom/live/panel/products-table?span=day", headers=bearer)
    assert panel.headers["content-type"] == "application/json"
    assert panel.json()["state"] == "shown"
    assert httpx.get(f"{base}/showroom/live?span=year", headers=bearer).status_code == 422
    assert httpx.get(f"{base}/showroom/live/panel/nothing", headers=bearer).status_code == 404
    assert httpx.get(f"{base}/showroom/static/..%2Fapp.py", headers=bearer).status_code == 404
    assert httpx.post(f"{base}/showroom/live/panel/shop-sessions", headers=bearer).status_code == 405
    assert httpx.get(f"{base}/api/v2/plugins/importErrors", headers=bearer).json()["import_errors"] == []
