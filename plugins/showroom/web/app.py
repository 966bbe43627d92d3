"""The pages' web application, mounted into Airflow's API server; every URL requires Airflow's login."""

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
from include.dashboards.model import Dashboard
from include.dashboards.panels import load_dashboards
from showroom.web import auth
from showroom.web.cache import cached_value
from showroom.web.dashboard_view import dashboard_view
from showroom.web.data_sources import DataSources, SourceFailure
from showroom.web.metrics import CONTENT_TYPE, read_metrics
from showroom.web.panel_api import ApiResponse, PanelService, error_response
from showroom.web.query_params import DashboardQuery, parse_query
from showroom.web.stream import StreamPage, stream_page

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
PLOTLY = "plotly.min.js"
PAGE_TTL_S = 4.0
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
"""Headers of every page: nothing is loaded from other origins, and pages are not stored."""


class Pages:
    """Handlers of the pages. The data sources are created by the first request; responses are cached."""

    def __init__(
        self, open_sources: Callable[[], DataSources], dashboards: Callable[[], Mapping[str, Dashboard]]
    ) -> None:
        self._open_sources = open_sources
        self._dashboards = dashboards
        self._panels = PanelService(lambda: self._sources, dashboards)
        self._templates = Jinja2Templates(FOLDER / "templates")

    def live(self, request: Request) -> HTMLResponse:
        """Render a dashboard without data; the browser requests the data of each panel."""
        dashboards = self._dashboards()
        try:
            settings = self._sources.settings
            urls = {"MLflow": settings.mlflow.url, "Flink": settings.flink.url}
            page = dashboard_view(dashboards, parse_query(request.query_params, next(iter(dashboards))), urls)
        except SettingsError as error:
            return self._render(request, "live", page=SourceFailure.from_error("The configuration", error))
        except TerminalError as error:
            failure = SourceFailure.from_error("The URL", error)
            return self._render(request, "live", status.HTTP_422_UNPROCESSABLE_CONTENT, page=failure)
        return self._render(request, "live", page=page, refresh_s=page.query.refresh_s)

    async def panel(self, request: Request, panel_id: str) -> JSONResponse:
        """Return the data of one panel."""
        query = _parse_or_error(request)
        return _json(await self._panels.panel(panel_id, query) if isinstance(query, DashboardQuery) else query)

    async def overview(self, request: Request) -> JSONResponse:
        """Return the filter choices and the age of the latest session."""
        query = _parse_or_error(request)
        return _json(await self._panels.overview(query) if isinstance(query, DashboardQuery) else query)

    def stream(self, request: Request) -> HTMLResponse:
        """Render stages, decisions of the supervisor, reconciliation and rejected records."""
        return self._render(request, "stream", page=self._load(lambda: self._stream))

    def metrics(self) -> Response:
        """Return all metrics as Prometheus text."""
        try:
            text = self._metrics()
        except SettingsError as error:
            return Response(error.message, status.HTTP_503_SERVICE_UNAVAILABLE, headers=HEADERS)
        return Response(text, headers=HEADERS, media_type=CONTENT_TYPE)

    @cached_property
    def _metrics(self) -> Callable[[], bytes]:
        sources = self._sources
        return cached_value(lambda: read_metrics(sources), PAGE_TTL_S)

    @cached_property
    def _sources(self) -> DataSources:
        return self._open_sources()

    @cached_property
    def _stream(self) -> Callable[[], StreamPage]:
        sources = self._sources
        return cached_value(lambda: load_stream_page(sources), PAGE_TTL_S)

    def _load(self, cached: Callable[[], Callable[[], _T]]) -> _T | SourceFailure:
        try:
            return cached()()
        except SettingsError as error:
            return SourceFailure.from_error("The configuration", error)

    def _render(self, request: Request, name: str, code: int = status.HTTP_200_OK, **values: Any) -> HTMLResponse:
        common = {"updated": datetime.now(UTC), "refresh_s": REFRESH_S, "plotly": plotly_version()}
        return self._templates.TemplateResponse(request, f"{name}.html", {**common, **values}, code, headers=HEADERS)


def create_app(
    open_sources: Callable[[], DataSources] = DataSources.from_env,
    dashboards: Callable[[], Mapping[str, Dashboard]] = load_dashboards,
) -> FastAPI:
    """Create the application. It connects to no server before the first request."""
    app = FastAPI(
        title="Showroom", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(auth.require_login)]
    )
    app.add_exception_handler(HTTPException, auth.handle_http_error)
    pages = Pages(open_sources, dashboards)
    app.get("/")(index)
    app.get("/live")(pages.live)
    app.get("/live/overview")(pages.overview)
    app.get("/live/panel/{panel_id}")(pages.panel)
    app.get("/stream")(pages.stream)
    app.get(auth.METRICS_PATH)(pages.metrics)
    app.get(f"/static/{PLOTLY}")(plotly)
    app.get("/static/{name}")(static)
    return app


def index() -> Response:
    """Redirect to the Live page."""
    return RedirectResponse("live")


def plotly() -> FileResponse:
    """Return plotly.min.js of the plotly package; its URL changes with its version."""
    return FileResponse(plotly_file(), headers={"Cache-Control": "private, max-age=31536000, immutable"})


def static(name: str) -> FileResponse:
    """Return a static file. Raises HTTPException 404 if there is none of this name."""
    files = {path.name: path for path in STATIC.iterdir()}
    if name not in files:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such file")
    return FileResponse(files[name], headers={"Cache-Control": "private, no-cache"})


@cache
def plotly_file() -> Path:
    """Return the path of plotly.min.js in the installed plotly package, without importing the package."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the plotly package is not installed")
    return Path(spec.origin).parent / "package_data" / PLOTLY


@cache
def plotly_version() -> str:
    """Return a text that changes with the file."""
    return f"{plotly_file().stat().st_size:x}"


def load_stream_page(sources: DataSources) -> StreamPage:
    """Read all sources concurrently, so that an unavailable source delays the page only by its own timeout."""
    with ThreadPoolExecutor(5, thread_name_prefix="source") as pool:
        stages, decisions = pool.submit(sources.stages), pool.submit(sources.decisions)
        rejected, hours = pool.submit(sources.rejected), pool.submit(sources.reconciliations)
        newest = pool.submit(sources.newest_rejected)
        return stream_page(stages.result(), decisions.result(), rejected.result(), hours.result(), newest.result())


def _parse_or_error(request: Request) -> DashboardQuery | ApiResponse:
    try:
        return parse_query(request.query_params)
    except TerminalError as error:
        return error_response(error)


def _json(response: ApiResponse) -> JSONResponse:
    code, content = response
    return JSONResponse(content, code, headers=HEADERS)


app = create_app()
