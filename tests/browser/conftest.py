"""A real Airflow with the pages, a shop behind them, and Debian's chromium before them."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from include.contracts.errors import PrerequisiteError
from include.contracts.settings import Settings
from include.local.servers import airflow
from include.local.stack import Stack
from include.local.suites import RESULTS
from include.serving.client import connect
from include.serving.templates import ensure_templates
from tests.browser.shop import fill
from tests.locking import turn

SESSIONS = 3_000
WINDOW_WIDTH, WINDOW_HEIGHT = 1440, 1000


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests. PrerequisiteError where Debian's chromium is not installed."""
    path = shutil.which("chromium")
    if path is None:
        raise PrerequisiteError("chromium is not installed", "run: apt-get install -y --no-install-recommends chromium")
    with sync_playwright() as playwright:
        # Without its sandbox only where it cannot have one: for root, as in a container.
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=Path.home() != Path("/root"))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stack(settings: Settings) -> Iterator[Stack]:
    """Airflow's API server, and what the pages read; the shop is open."""
    running = Stack(settings)
    with turn(settings):
        running.purge()
        try:
            running.up(("redis", "elasticsearch", "mongodb", "airflow-api"))
            with connect(settings) as client:
                ensure_templates(client, settings)
                fill(client, datetime.now(UTC), SESSIONS, hours=6.0)
            yield running
        finally:
            running.down()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of the pages are kept."""
    folder = RESULTS / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def login(chromium: Browser, stack: Stack) -> dict[str, object]:
    """What a browser keeps after a person has logged in to Airflow."""
    keys = airflow.read_keys(stack.layout)
    assert keys is not None
    context = chromium.new_context()
    page = context.new_page()
    page.goto(stack.settings.airflow_url)
    page.locator('input[name="username"]').fill(airflow.USER)
    page.locator('input[name="password"]').fill(keys.password)
    page.locator('button[type="submit"]').click()
    page.get_by_role("link", name="Live").first.wait_for()
    state: dict[str, object] = dict(context.storage_state())
    context.close()
    return state


@pytest.fixture(params=["light", "dark"])
def visitor(chromium: Browser, login: dict[str, object], request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A person who is logged in, by day and by night; any script that asks something fails the test."""
    context = chromium.new_context(
        storage_state=login,  # type: ignore[arg-type]
        color_scheme=request.param,
        viewport={"width": WINDOW_WIDTH, "height": WINDOW_HEIGHT},
    )
    yield context
    context.close()
