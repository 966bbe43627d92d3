"""Error states of the Live page, in a real browser and a real Airflow."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Route, expect

from include.clients.elasticsearch import connect
from include.contracts.index_documents import INDICES
from include.serving.templates import ensure_templates
from local.stack import Stack
from tests.browser.browser_page import CHART_MS, BrowserPage
from tests.browser.conftest import SESSIONS
from tests.browser.sample_shop import fill
from tools.screenshots import settle

VALUE = "#panel-shop-sessions .value"
BUSY = {
    "state": "unavailable",
    "source": "Elasticsearch",
    "message": "panel shop-sessions failed: Elasticsearch returned 429 es_rejected_execution_exception",
    "remedy": "wait until Elasticsearch is less busy, then try again",
}


@contextmanager
def empty_indices(stack: Stack) -> Iterator[None]:
    """Delete all indices, as before the first session."""
    with connect(stack.settings.elasticsearch) as client:
        names = client.indices.get(index=",".join(f"{alias}-*" for alias in INDICES))
        client.indices.delete(index=",".join(names))
        try:
            yield
        finally:
            ensure_templates(client, stack.settings.elasticsearch)
            fill(client, datetime.now(UTC), SESSIONS, hours=6.0)


@contextmanager
def unexpected_mapping(stack: Stack) -> Iterator[None]:
    """Create an index of reviews whose labels are full text, as without the index template."""
    name = "product_sentiment-2000.01"
    with connect(stack.settings.elasticsearch) as client:
        client.indices.delete_index_template(name="product_sentiment")
        mapping = {"properties": {"label": {"type": "text"}, "name": {"type": "text"}, "started_at": {"type": "date"}}}
        client.indices.create(index=name, mappings=mapping, aliases={"product_sentiment": {}})
        client.index(index=name, document={"label": "good", "started_at": datetime.now(UTC).isoformat()}, refresh=True)
        try:
            yield
        finally:
            client.indices.delete(index=name)
            ensure_templates(client, stack.settings.elasticsearch)


def test_live_page_without_sessions_shows_no_data(
    browser_page: BrowserPage, stack: Stack, theme: str, screenshots: Path
) -> None:
    # A time range that no other test uses, because responses are cached.
    until = datetime.now(UTC)
    since = until - timedelta(days=2 if theme == "light" else 3)
    with empty_indices(stack):
        page = browser_page.show(
            f"live?dashboard=shop&since={since:%Y-%m-%dT%H:%M}&until={until:%Y-%m-%dT%H:%M}", height=1800
        )
        settle(page)
        expect(page.get_by_role("heading", name="No sessions yet")).to_be_visible(timeout=CHART_MS)
        expect(page.locator("#freshness")).to_have_text("no session yet")
        expect(page.locator(VALUE)).to_have_text("0")
        expect(page.locator("#panel-shop-traffic")).to_have_attribute("data-state", "empty")
        expect(page.locator("#error")).to_be_hidden()
        page.screenshot(path=screenshots / f"live-empty-{theme}.png")
    assert browser_page.errors == []


def test_live_page_unavailable_elasticsearch_is_named_and_data_is_stale(
    browser_page: BrowserPage, stack: Stack, theme: str, screenshots: Path
) -> None:
    page = browser_page.show("live?dashboard=shop&span=hour")
    expect(page.locator("#panel-shop-traffic .main-svg").first).to_be_visible(timeout=CHART_MS)
    stack.stop("elasticsearch")
    try:
        expect(page.get_by_role("heading", name="Elasticsearch is unavailable or overloaded")).to_be_visible(
            timeout=CHART_MS
        )
        expect(page.locator("#panel-shop-traffic")).to_have_attribute("data-state", "stale", timeout=CHART_MS)
        expect(page.locator("#panel-shop-traffic .note")).to_contain_text("as of")
        page.screenshot(path=screenshots / f"live-unavailable-{theme}.png")
        page.reload()
        expect(page.locator("#panel-shop-sessions .failed")).to_have_text("no response", timeout=CHART_MS)
        expect(page.locator("#error")).to_contain_text("./showroom status")
        page.screenshot(path=screenshots / f"live-unavailable-from-the-start-{theme}.png")
    finally:
        stack.start("elasticsearch")
        stack.wait(("elasticsearch",))
    expect(page.locator("#error")).to_be_hidden(timeout=CHART_MS)
    expect(page.locator("#panel-shop-traffic .main-svg").first).to_be_visible(timeout=CHART_MS)
    assert browser_page.errors == []


def test_live_page_rejected_query_is_shown_in_its_panel(
    browser_page: BrowserPage, stack: Stack, theme: str, screenshots: Path
) -> None:
    with unexpected_mapping(stack):
        page = browser_page.show("live?dashboard=products&span=day", height=1800)
        settle(page)
        failed = page.locator("#panel-products-sentiment")
        expect(failed).to_have_attribute("data-state", "failed", timeout=CHART_MS)
        expect(failed.locator(".failed")).to_contain_text("Elasticsearch returned 400")
        expect(page.get_by_role("heading", name="Elasticsearch rejected the request")).to_be_visible()
        expect(page.locator("#panel-products-table")).to_have_attribute("data-state", "shown")
        page.screenshot(path=screenshots / f"live-rejected-{theme}.png")
    assert browser_page.errors == []


def test_live_page_overloaded_and_slow_server(browser_page: BrowserPage, theme: str, screenshots: Path) -> None:
    page = browser_page.page
    is_available = threading.Event()

    def busy(route: Route) -> None:
        if is_available.is_set():
            route.fallback()
        else:
            route.fulfill(status=503, content_type="application/json", body=json.dumps(BUSY))

    page.route("**/live/panel/shop-sessions?*", busy)
    page.route("**/live/panel/shop-traffic?*", lambda route: None if not is_available.is_set() else route.fallback())
    browser_page.show("live?dashboard=shop&span=hour")
    expect(page.locator("#panel-shop-sales .value")).to_be_visible(timeout=CHART_MS)
    expect(page.locator("#panel-shop-sessions")).to_have_attribute("data-state", "failed", timeout=CHART_MS)
    expect(page.locator("#error")).to_contain_text("returned 429")
    expect(page.locator("#panel-shop-traffic")).to_have_attribute("aria-busy", "true")
    page.screenshot(path=screenshots / f"live-busy-{theme}.png")
    is_available.set()
    expect(page.locator(VALUE)).to_be_visible(timeout=CHART_MS)
    expect(page.locator("#panel-shop-traffic .main-svg").first).to_be_visible(timeout=2 * CHART_MS)
    expect(page.locator("#error")).to_be_hidden()
    assert browser_page.errors == []
