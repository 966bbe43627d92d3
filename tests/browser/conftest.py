"""Fixtures of the browser tests: Airflow with the pages, a sample shop, and Debian's chromium."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from include.clients.elasticsearch import connect
from include.contracts.settings import Settings
from include.serving.templates import ensure_templates
from local.stack import Stack
from tests.browser.browser_page import BrowserPage
from tests.browser.sample_shop import fill
from tests.locking import turn
from tools.screenshots import chromium as open_chromium
from tools.screenshots import log_in
from tools.test_runner import RESULTS

SESSIONS = 3_000
WINDOW_WIDTH, WINDOW_HEIGHT = 1440, 1000


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests. Raises PrerequisiteError if Debian's chromium is not installed."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def stack(settings: Settings) -> Iterator[Stack]:
    """Airflow's API server and the servers behind the pages, with the sample shop indexed."""
    running = Stack(settings)
    with turn(settings):
        running.purge()
        try:
            running.up(("redis", "elasticsearch", "mongodb", "airflow-api"))
            with connect(settings.elasticsearch) as client:
                ensure_templates(client, settings.elasticsearch)
                fill(client, datetime.now(UTC), SESSIONS, hours=6.0)
            yield running
        finally:
            running.down()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Folder of the screenshots."""
    folder = RESULTS / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def login(chromium: Browser, stack: Stack) -> dict[str, object]:
    """Browser storage state after a login to Airflow."""
    return log_in(chromium, stack.settings.airflow, stack.layout)


@pytest.fixture(params=["light", "dark"])
def user_context(
    chromium: Browser, login: dict[str, object], request: pytest.FixtureRequest
) -> Iterator[BrowserContext]:
    """Browser context of a logged-in user, light and dark."""
    context = chromium.new_context(
        storage_state=login,  # type: ignore[arg-type]
        color_scheme=request.param,
        viewport={"width": WINDOW_WIDTH, "height": WINDOW_HEIGHT},
    )
    yield context
    context.close()


@pytest.fixture
def browser_page(user_context: BrowserContext, stack: Stack) -> BrowserPage:
    """A new page of the logged-in user."""
    return BrowserPage(user_context, stack)


@pytest.fixture
def theme(request: pytest.FixtureRequest) -> str:
    """Color scheme of the page: light or dark."""
    return str(request.node.callspec.params["user_context"])
