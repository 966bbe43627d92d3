"""The pages' web application, mounted into Airflow's API server; every address asks for Airflow's login."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Depends, FastAPI, HTTPException, Request, status
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from include.contracts.errors import SettingsError, TerminalError
from include.serving.panels import Board, load
from showroom.pages import asked, login
from showroom.pages.answers import Answer, Answers, refusal
from showroom.pages.boards import board_page
from showroom.pages.held import Held
from showroom.pages.metrics import CONTENT_TYPE, read_metrics
from showroom.pages.sources import Away, Sources
from showroom.pages.stream import StreamPage, stream_page

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
PLOTLY = "plotly.min.js"
KEEP_S = 4.0
REFRESH_S = 5

_T = TypeVar("_T")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every page: nothing from elsewhere is loaded, and what it shows is not kept."""


class Pages:
    """The pages over their sources, which are opened by the first request; answers are held for some seconds."""

    def __init__(self, open_sources: Callable[[], Sources], boards: Callable[[], Mapping[str, Board]]) -> None:
        self._open = open_sources
        self._boards = boards
        self._answers = Answers(lambda: self._sources, boards)
        self._templates = Jinja2Templates(FOLDER / "templates")

    def live(self, request: Request) -> HTMLResponse:
        """The frame of a board; the browser asks for each panel's figures."""
        boards = self._boards()
        try:
            settings = self._sources.settings
            addresses = {"MLflow": settings.mlflow_url, "Flink": settings.flink_url}
            page = board_page(boards, asked.read(request.query_params, next(iter(boards))), addresses)
        except SettingsError as error:
            return self._show(request, "live", page=_unconfigured(error))
        except TerminalError as error:
            gone = Away("The address", error.message, error.remedy, busy=False)
            return self._show(request, "live", status.HTTP_422_UNPROCESSABLE_CONTENT, page=gone)
        return self._show(request, "live", page=page, refresh_s=page.asked.refresh_s)

    async def panel(self, request: Request, panel_id: str) -> JSONResponse:
        """The figures of one panel."""
        try:
            wanted = asked.read(request.query_params)
        except TerminalError as error:
            return _json(refusal(error))
        return _json(await self._answers.panel(panel_id, wanted))

    async def about(self, request: Request) -> JSONResponse:
        """What a viewer may narrow by, and the newest session."""
        try:
            wanted = asked.read(request.query_params)
        except TerminalError as error:
            return _json(refusal(error))
        return _json(await self._answers.about(wanted))

    def stream(self, request: Request) -> HTMLResponse:
        """The stages, the supervisor's decisions, the reconciliation, the rejected records."""
        return self._show(request, "stream", page=self._answer(lambda: self._stream))

    def metrics(self) -> Response:
        """All metrics as Prometheus text."""
        try:
            text = self._metrics.get()
        except SettingsError as error:
            return Response(error.message, status.HTTP_503_SERVICE_UNAVAILABLE, headers=HEADERS)
        return Response(text, headers=HEADERS, media_type=CONTENT_TYPE)

    @cached_property
    def _metrics(self) -> Held[bytes]:
        sources = self._sources
        return Held(lambda: read_metrics(sources), KEEP_S)

    @cached_property
    def _sources(self) -> Sources:
        return self._open()

    @cached_property
    def _stream(self) -> Held[StreamPage]:
        sources = self._sources
        return Held(lambda: read_stream(sources), KEEP_S)

    def _answer(self, held: Callable[[], Held[_T]]) -> _T | Away:
        try:
            return held().get()
        except SettingsError as error:
            return _unconfigured(error)

    def _show(self, request: Request, name: str, code: int = status.HTTP_200_OK, **values: Any) -> HTMLResponse:
        shown = {"updated": datetime.now(UTC), "refresh_s": REFRESH_S, "plotly": plotly_version()}
        return self._templates.TemplateResponse(request, f"{name}.html", {**shown, **values}, code, headers=HEADERS)


def create_app(
    open_sources: Callable[[], Sources] = Sources.from_env, boards: Callable[[], Mapping[str, Board]] = load
) -> FastAPI:
    """The application over the sources that `open_sources` gives; making it touches no server."""
    app = FastAPI(
        title="Showroom", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(login.require_login)]
    )
    app.add_exception_handler(HTTPException, login.refuse)
    pages = Pages(open_sources, boards)
    app.get("/")(first)
    app.get("/live")(pages.live)
    app.get("/live/about")(pages.about)
    app.get("/live/panel/{panel_id}")(pages.panel)
    app.get("/stream")(pages.stream)
    app.get(login.METRICS_PATH)(pages.metrics)
    app.get(f"/static/{PLOTLY}")(plotly)
    app.get("/static/{name}")(static)
    return app


def first() -> Response:
    """The Live page."""
    return RedirectResponse("live")


def plotly() -> FileResponse:
    """The charts' library, out of the plotly package; its address carries what changes with its version."""
    return FileResponse(plotly_file(), headers={"Cache-Control": "private, max-age=31536000, immutable"})


def static(name: str) -> FileResponse:
    """A file of our own. HTTPException 404 for any other name."""
    known = {path.name: path for path in STATIC.iterdir()}
    if name not in known:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such file")
    return FileResponse(known[name], headers={"Cache-Control": "private, no-cache"})


@cache
def plotly_file() -> Path:
    """plotly.min.js of the installed plotly package, found without importing it."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the plotly package is not installed")
    return Path(spec.origin).parent / "package_data" / PLOTLY


@cache
def plotly_version() -> str:
    """What changes when the file does."""
    return f"{plotly_file().stat().st_size:x}"


def _unconfigured(error: SettingsError) -> Away:
    return Away("The configuration", error.message, error.remedy, busy=False)


def _json(answer: Answer) -> JSONResponse:
    code, content = answer
    return JSONResponse(content, code, headers=HEADERS)


def read_stream(sources: Sources) -> StreamPage:
    """All sources side by side: one that is away costs its own time limit only."""
    with ThreadPoolExecutor(5, thread_name_prefix="source") as pool:
        rows, entries = pool.submit(sources.stages), pool.submit(sources.decisions)
        rejected, hours = pool.submit(sources.rejected), pool.submit(sources.reconciliations)
        newest = pool.submit(sources.newest_rejected)
        return stream_page(rows.result(), entries.result(), rejected.result(), hours.result(), newest.result())


app = create_app()
