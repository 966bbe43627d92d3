"""The read-only login in a browser."""

import re
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect

from local.airflow_login import viewer_login
from local.stack import Stack

WAIT_MS = 60_000
LIVE = re.compile(r"/plugin/showroom-live$")


def test_viewer_login_lands_on_live(chromium: Browser, stack: Stack, screenshots: Path) -> None:
    user, password = viewer_login(stack.layout)
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    try:
        page = context.new_page()
        page.goto(stack.settings.airflow.url)
        page.locator('input[name="username"]').fill(user)
        page.locator('input[name="password"]').fill(password)
        page.locator('button[type="submit"]').click()
        page.wait_for_url(LIVE, timeout=WAIT_MS)

        board = page.frame_locator("iframe")
        expect(board.locator("h1")).to_be_visible(timeout=WAIT_MS)
        board.locator('[data-panel][data-state="shown"]').first.wait_for(timeout=WAIT_MS)
        page.screenshot(path=screenshots / "viewer-live.png")
        page.get_by_role("link", name="Stream").first.click()
        expect(page.frame_locator("iframe").locator("h1")).to_contain_text("Stream", timeout=WAIT_MS)
    finally:
        context.close()


def test_viewer_landing_forged_or_missing_token_shows_nothing(stack: Stack) -> None:
    for token in ("", "e30.eyJyb2xlIjoidmlld2VyIn0.x", "a.b", "..", "x" * 5_000):
        with httpx.Client(base_url=stack.settings.airflow.url, cookies={"_token": token}, timeout=60) as client:
            response = client.get("/", headers={"Accept": "text/html"})
            assert response.status_code < httpx.codes.INTERNAL_SERVER_ERROR
            assert client.get("/showroom/live").status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
