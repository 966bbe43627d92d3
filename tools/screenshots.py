"""Screenshots of the pages of a running stack, taken with Debian's chromium."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Error, Page, sync_playwright

from include.contracts.errors import PrerequisiteError, TransientError
from include.contracts.settings import AirflowSettings
from local.layout import Layout
from local.servers import airflow

WIDTH, HEIGHT = 1280, 1800
WAIT_MS = 30_000


class Picture(NamedTuple):
    """One page and the file of its screenshot."""

    name: str
    address: str
    theme: str = "light"


PICTURES = (
    Picture("live-shop.png", "live?dashboard=shop&span=14d"),
    Picture("live-shop-dark.png", "live?dashboard=shop&span=14d", "dark"),
    Picture("live-products.png", "live?dashboard=products&span=14d"),
    Picture("live-customers.png", "live?dashboard=customers&span=14d"),
    Picture("live-pipeline.png", "live?dashboard=pipeline&span=hour"),
    Picture("stream.png", "stream"),
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a headless browser. Raises PrerequisiteError if chromium is not installed."""
    path = shutil.which("chromium")
    if path is None:
        raise PrerequisiteError("chromium is not installed", "run: apt-get install -y --no-install-recommends chromium")
    with sync_playwright() as playwright:
        # Disable the sandbox only for root, as in a container, where chromium cannot use it.
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=Path.home() != Path("/root"))
        try:
            yield browser
        finally:
            browser.close()


def log_in(browser: Browser, settings: AirflowSettings, layout: Layout) -> dict[str, Any]:
    """Return the browser's storage state after a login to Airflow. Raises TransientError if Airflow is unavailable."""
    keys = airflow.read_keys(layout)
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(settings.url)
        page.locator('input[name="username"]').fill(airflow.USER)
        page.locator('input[name="password"]').fill(keys.password if keys else "")
        page.locator('button[type="submit"]').click()
        page.get_by_role("link", name="Live").first.wait_for()
        return dict(context.storage_state())
    except Error as error:
        reason = str(error).splitlines()[0]
        raise TransientError(f"no login to Airflow at {settings.url} ({reason})", "run: ./showroom up") from error
    finally:
        context.close()


def settle(page: Page) -> None:
    """Wait until every visible panel shows its data, including charts."""
    page.locator("h1").wait_for()
    page.locator('[data-state="loading"]').first.wait_for(state="detached", timeout=WAIT_MS)
    page.wait_for_load_state("networkidle")


def take(
    browser: Browser, settings: AirflowSettings, layout: Layout, folder: Path, on_progress: Callable[[str], None]
) -> list[Path]:
    """Take all screenshots into a folder; return the files. Raises TransientError if a page does not load."""
    folder.mkdir(parents=True, exist_ok=True)
    existing = log_in(browser, settings, layout)
    paths = []
    for picture in PICTURES:
        path = folder / picture.name
        _take(browser, existing, f"{settings.url}/showroom/{picture.address}", picture.theme, path)
        on_progress(f"{path} ({path.stat().st_size / 1024:.0f} KiB)")
        paths.append(path)
    return paths


def _take(browser: Browser, existing: Any, address: str, theme: Any, path: Path) -> None:
    context = browser.new_context(
        storage_state=existing, color_scheme=theme, viewport={"width": WIDTH, "height": HEIGHT}
    )
    try:
        page = context.new_page()
        page.goto(address)
        settle(page)
        page.locator("main").screenshot(path=path, animations="disabled")
    except Error as error:
        reason = str(error).splitlines()[0]
        raise TransientError(f"{address} does not load ({reason})", "run: ./showroom status") from error
    finally:
        context.close()
