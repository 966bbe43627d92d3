"""The Live page when there is nothing to show, or nobody to ask: in a real browser, inside a real Airflow."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Route, expect

from include.clients.elasticsearch import connect
from include.contracts.documents import INDICES
from include.serving.templates import ensure_templates
from local.stack import Stack
from tests.browser.conftest import SESSIONS
from tests.browser.seen import CHART_MS, Seen
from tests.browser.shop import fill
from tools.screenshots import settle

VALUE = "#panel-shop-sessions .value"
BUSY = {
    "state": "away",
    "source": "Elasticsearch",
    "message": "panel shop-sessions failed: Elasticsearch returned 429 es_rejected_execution_exception",
    "remedy": "wait until Elasticsearch is less busy, then try again",
}


@contextmanager
def closed_shop(stack: Stack) -> Iterator[None]:
    """No index at all, as before the first session."""
    with connect(stack.settings) as client:
        names = client.indices.get(index=",".join(f"{alias}-*" for alias in INDICES))
        client.indices.delete(index=",".join(names))
        try:
            yield
        finally:
            ensure_templates(client, stack.settings)
            fill(client, datetime.now(UTC), SESSIONS, hours=6.0)


@contextmanager
def wrong_mapping(stack: Stack) -> Iterator[None]:
    """A month of reviews whose labels are full text, as an index made without its template has them."""
    name = "product_sentiment-2000.01"
    with connect(stack.settings) as client:
        client.indices.delete_index_template(name="product_sentiment")
        mapping = {"properties": {"label": {"type": "text"}, "name": {"type": "text"}, "started_at": {"type": "date"}}}
        client.indices.create(index=name, mappings=mapping, aliases={"product_sentiment": {}})
        client.index(index=name, document={"label": "good", "started_at": datetime.now(UTC).isoformat()}, refresh=True)
        try:
            yield
        finally:
            client.indices.delete(index=name)
            ensure_templates(client, stack.settings)


def test_before_the_first_session(seen: Seen, stack: Stack, theme: str, screenshots: Path) -> None:
    # A time that no other test asks for: answers are held for a while.
    until = datetime.now(UTC)
    since = until - timedelta(days=2 if theme == "light" else 3)
    with closed_shop(stack):
        page = seen.show(f"live?board=shop&since={since:%Y-%m-%dT%H:%M}&until={until:%Y-%m-%dT%H:%M}", height=1800)
        settle(page)
        expect(page.get_by_role("heading", name="No sessions yet")).to_be_visible(timeout=CHART_MS)
        expect(page.locator("#pulse")).to_have_text("no session yet")
        expect(page.locator(VALUE)).to_have_text("0")
        expect(page.locator("#panel-shop-traffic")).to_have_attribute("data-state", "empty")
        expect(page.locator("#away")).to_be_hidden()
        page.screenshot(path=screenshots / f"live-empty-{theme}.png")
    assert seen.wrong == []


def test_an_elasticsearch_that_is_away_is_named_and_old_figures_stay(
    seen: Seen, stack: Stack, theme: str, screenshots: Path
) -> None:
    page = seen.show("live?board=shop&span=hour")
    expect(page.locator("#panel-shop-traffic .main-svg").first).to_be_visible(timeout=CHART_MS)
    stack.stop("elasticsearch")
    try:
        expect(page.get_by_role("heading", name="Elasticsearch is away")).to_be_visible(timeout=CHART_MS)
        expect(page.locator("#panel-shop-traffic")).to_have_attribute("data-state", "old", timeout=CHART_MS)
        expect(page.locator("#panel-shop-traffic .note")).to_contain_text("as of")
        page.screenshot(path=screenshots / f"live-away-{theme}.png")
        page.reload()
        expect(page.locator("#panel-shop-sessions .failed")).to_have_text("no answer", timeout=CHART_MS)
        expect(page.locator("#away")).to_contain_text("./showroom status")
        page.screenshot(path=screenshots / f"live-away-from-the-start-{theme}.png")
    finally:
        stack.start("elasticsearch")
        stack.wait(("elasticsearch",))
    expect(page.locator("#away")).to_be_hidden(timeout=CHART_MS)
    expect(page.locator("#panel-shop-traffic .main-svg").first).to_be_visible(timeout=CHART_MS)
    assert seen.wrong == []


def test_what_elasticsearch_refuses_is_said_where_it_is(
    seen: Seen, stack: Stack, theme: str, screenshots: Path
) -> None:
    with wrong_mapping(stack):
        page = seen.show("live?board=products&span=day", height=1800)
        settle(page)
        failed = page.locator("#panel-products-sentiment")
        expect(failed).to_have_attribute("data-state", "failed", timeout=CHART_MS)
        expect(failed.locator(".failed")).to_contain_text("Elasticsearch returned 400")
        expect(page.get_by_role("heading", name="Elasticsearch refuses")).to_be_visible()
        expect(page.locator("#panel-products-table")).to_have_attribute("data-state", "shown")
        page.screenshot(path=screenshots / f"live-refused-{theme}.png")
    assert seen.wrong == []


def test_a_busy_server_and_a_slow_one(seen: Seen, theme: str, screenshots: Path) -> None:
    page = seen.page
    answered = threading.Event()

    def busy(route: Route) -> None:
        if answered.is_set():
            route.fallback()
        else:
            route.fulfill(status=503, content_type="application/json", body=json.dumps(BUSY))

    page.route("**/live/panel/shop-sessions?*", busy)
    page.route("**/live/panel/shop-traffic?*", lambda route: None if not answered.is_set() else route.fallback())
    seen.show("live?board=shop&span=hour")
    expect(page.locator("#panel-shop-sales .value")).to_be_visible(timeout=CHART_MS)
    expect(page.locator("#panel-shop-sessions")).to_have_attribute("data-state", "failed", timeout=CHART_MS)
    expect(page.locator("#away")).to_contain_text("returned 429")
    expect(page.locator("#panel-shop-traffic")).to_have_attribute("aria-busy", "true")
    page.screenshot(path=screenshots / f"live-busy-{theme}.png")
    answered.set()
    expect(page.locator(VALUE)).to_be_visible(timeout=CHART_MS)
    expect(page.locator("#panel-shop-traffic .main-svg").first).to_be_visible(timeout=2 * CHART_MS)
    expect(page.locator("#away")).to_be_hidden()
    assert seen.wrong == []
