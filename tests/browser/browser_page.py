"""A page in a browser that records errors and requests."""

from playwright.sync_api import BrowserContext, Dialog, FrameLocator, Page, expect

from local.stack import Stack

CHART_MS = 30_000


class BrowserPage:
    """One page in a browser; records script errors, dialogs, and requests to other origins."""

    def __init__(self, context: BrowserContext, stack: Stack) -> None:
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.external_requests: list[str] = []
        self.requests: list[str] = []
        self._base = stack.settings.airflow.url
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", lambda request: self._record(request.url))

    def _dismiss(self, dialog: Dialog) -> None:
        self.errors.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _record(self, url: str) -> None:
        self.requests.append(url)
        if not url.startswith((self._base, "data:", "blob:")):
            self.external_requests.append(url)

    def open(self, name: str) -> FrameLocator:
        """Open a page from Airflow's navigation."""
        self.page.goto(self._base)
        self.page.get_by_role("link", name=name, exact=True).first.click()
        frame = self.page.frame_locator("iframe")
        expect(frame.locator("h1")).to_have_text(name, timeout=CHART_MS)
        return frame

    def show(self, address: str, height: int = 1000) -> Page:
        """Open a page without Airflow's frame, in a window of this height."""
        self.page.set_viewport_size({"width": 1280, "height": height})
        self.page.goto(f"{self._base}/showroom/{address}")
        return self.page
