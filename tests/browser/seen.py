"""A page in a browser, and what went wrong in it."""

from playwright.sync_api import BrowserContext, Dialog, FrameLocator, Page, expect

from local.stack import Stack

CHART_MS = 30_000


class Seen:
    """One page of a visitor; scripts that fail or ask something, and requests to elsewhere, are noted."""

    def __init__(self, context: BrowserContext, stack: Stack) -> None:
        self.page: Page = context.new_page()
        self.wrong: list[str] = []
        self.elsewhere: list[str] = []
        self.asked: list[str] = []
        self._base = stack.settings.airflow_url
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", self._refuse)
        self.page.on("request", lambda request: self._note(request.url))

    def _refuse(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _note(self, url: str) -> None:
        self.asked.append(url)
        if not url.startswith((self._base, "data:", "blob:")):
            self.elsewhere.append(url)

    def open(self, name: str) -> FrameLocator:
        """A page by way of Airflow's side bar."""
        self.page.goto(self._base)
        self.page.get_by_role("link", name=name, exact=True).first.click()
        frame = self.page.frame_locator("iframe")
        expect(frame.locator("h1")).to_have_text(name, timeout=CHART_MS)
        return frame

    def show(self, address: str, height: int = 1000) -> Page:
        """A page on its own, in a window of this height."""
        self.page.set_viewport_size({"width": 1280, "height": height})
        self.page.goto(f"{self._base}/showroom/{address}")
        return self.page
