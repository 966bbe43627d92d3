"""Import the dashboards into Kibana: data views, saved searches and dashboards, each replaced as a whole."""

import json
import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from include.contracts.errors import TerminalError, TransientError
from include.contracts.setting import Secret
from include.contracts.settings import Settings

OBJECTS_FILE = Path(__file__).parent / "generated" / "kibana.ndjson"
TIMEOUT_S = 60.0
MAX_SHOWN_ERRORS = 5
IGNORE_FILTER_SETTING = "courier:ignoreFilterIfFieldNotInIndex"
"""Kibana's advanced setting: a control filters only the panels whose index has its field."""

_UNAVAILABLE_STATUSES = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_URL_REMEDY = "write it as http://host:5601"
_REJECTED_REMEDY = "see Kibana's log, and whether its version is that of docker-compose.yaml"

_log = logging.getLogger(__name__)


class Imported(NamedTuple):
    """Number of imported objects, and whether controls filter only the panels that have their field."""

    objects: int
    controls_scoped: bool


def import_objects(
    settings: Settings,
    login: tuple[str, Secret] | None = None,
    transport: httpx.BaseTransport | None = None,
    path: Path = OBJECTS_FILE,
) -> Imported | None:
    """Import all objects and replace existing ones.

    Args:
        settings: Kibana's URL, and the API key to use without `login`.
        login: User and password.
        transport: HTTP transport for tests.
        path: File with the saved objects.

    Returns:
        The result; None if no Kibana is configured.

    Raises:
        TransientError: Kibana is unavailable or not ready.
        TerminalError: Kibana rejects the import or imports only some of the objects.
    """
    if not settings.kibana.url:
        return None
    text = rewrite_links(path.read_text(encoding="utf-8"), settings)
    with _connect(settings, login, transport) as http:
        _require_ready(http)
        body = _request(http, "POST", "/api/saved_objects/_import", params={"overwrite": "true"}, files=_upload(text))
        _require_all(body, len(text.splitlines()))
        return Imported(len(text.splitlines()), _scope_controls(http))


def link_urls(settings: Settings) -> dict[str, str]:
    """Map the default URL of Airflow, MLflow and Flink, as in the dashboards, to the URL in `settings`."""
    defaults = Settings()
    return {
        defaults.airflow.url: settings.airflow.url,
        defaults.mlflow.url: settings.mlflow.url,
        defaults.flink.url: settings.flink.url,
    }


def rewrite_links(text: str, settings: Settings) -> str:
    """Return the saved objects with links to the URLs of Airflow, MLflow and Flink in `settings`.

    A link to a host that resolves only inside the containers' network is dropped.
    """
    urls = link_urls(settings)
    objects = [json.loads(line) for line in text.splitlines()]
    for saved in objects:
        if "panelsJSON" not in saved["attributes"]:
            continue
        panels = json.loads(saved["attributes"]["panelsJSON"])
        for attributes in (panel["embeddableConfig"].get("attributes", {}) for panel in panels):
            if "links" in attributes:
                attributes["links"] = list(_reachable(attributes["links"], urls))
        saved["attributes"]["panelsJSON"] = json.dumps(panels, ensure_ascii=False, separators=(",", ":"))
    return "".join(json.dumps(saved, ensure_ascii=False) + "\n" for saved in objects)


def _reachable(links: list[dict[str, Any]], urls: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    order = 0
    for link in links:
        if link["type"] == "externalLink":
            link["destination"] = urls.get(link["destination"], link["destination"])
            host = urlsplit(link["destination"]).hostname or ""
            if "." not in host and host != "localhost":
                continue
        yield {**link, "order": order}
        order += 1


def _connect(
    settings: Settings, login: tuple[str, Secret] | None, transport: httpx.BaseTransport | None
) -> httpx.Client:
    headers = {"kbn-xsrf": "showroom"}
    key = settings.elasticsearch.api_key.reveal()
    if key and login is None:
        headers["Authorization"] = f"ApiKey {key}"
    try:
        return httpx.Client(
            base_url=settings.kibana.url,
            headers=headers,
            auth=(login[0], login[1].reveal()) if login else None,
            timeout=TIMEOUT_S,
            transport=transport,
        )
    except httpx.InvalidURL as error:
        raise TerminalError(f"SHOWROOM_KIBANA_URL is not a URL ({error})", _URL_REMEDY) from error


def _upload(text: str) -> dict[str, tuple[str, bytes, str]]:
    return {"file": ("showroom.ndjson", text.encode(), "application/ndjson")}


def _require_ready(http: httpx.Client) -> None:
    status = _request(http, "GET", "/api/status")
    overall = status.get("status", {}).get("overall", {}) if isinstance(status.get("status"), dict) else {}
    level = overall.get("level", "unknown")
    if level not in ("available", "degraded"):
        raise TransientError(f"Kibana's status is {level}", "wait until it is available")


def _require_all(body: dict[str, Any], expected: int) -> None:
    count = body.get("successCount")
    if body.get("success") is True and count == expected and not body.get("errors"):
        return
    errors = [f"{error.get('type')} {error.get('id')}: {_reason(error)}" for error in body.get("errors") or ()]
    shown = "; ".join(errors[:MAX_SHOWN_ERRORS]) or "no reason given"
    more = f"; and {len(errors) - MAX_SHOWN_ERRORS} more" if len(errors) > MAX_SHOWN_ERRORS else ""
    raise TerminalError(f"Kibana imported {count} of {expected} objects ({shown}{more})", _REJECTED_REMEDY)


def _reason(error: dict[str, Any]) -> str:
    cause = error.get("error") or {}
    return " ".join(str(part) for part in (cause.get("type"), cause.get("reason"), cause.get("message")) if part)


def _scope_controls(http: httpx.Client) -> bool:
    """Set the advanced setting of the space; without it a control empties the panels of other indices."""
    try:
        _request(http, "POST", "/api/kibana/settings", json={"changes": {IGNORE_FILTER_SETTING: True}})
    except (TerminalError, TransientError) as error:
        _log.warning("setting %s failed: %s. Controls empty panels without their field.", IGNORE_FILTER_SETTING, error)
        return False
    return True


def _request(http: httpx.Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    # Because a URL can contain a password, errors show it without.
    address = f"Kibana at {http.base_url.copy_with(username=None, password=None)}"
    try:
        response = http.request(method, path, **options)
    except httpx.UnsupportedProtocol as error:
        raise TerminalError(f"{address}: the URL has no scheme", _URL_REMEDY) from error
    except httpx.HTTPError as error:
        raise TransientError(f"{address} is unavailable ({type(error).__name__})", "check that it runs") from error
    if response.status_code in _UNAVAILABLE_STATUSES:
        raise TransientError(f"{address} returned {response.status_code}", "wait until it is available")
    if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise TerminalError(
            f"{address} rejected the login ({response.status_code})", "check the password or the API key"
        )
    try:
        body = response.json()
    except ValueError:
        body = None
    if not response.is_success or not isinstance(body, dict):
        text = " ".join(response.text.split())[:200]
        raise TerminalError(f"{address} returned {response.status_code} to {path} ({text})", _REJECTED_REMEDY)
    return body
