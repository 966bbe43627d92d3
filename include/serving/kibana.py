"""The dashboards, brought into Kibana: data views, saved searches and dashboards, each replaced as a whole."""

import json
import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from include.clients.errors import unavailable
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Secret, Settings

OBJECTS = Path(__file__).parent / "saved" / "kibana.ndjson"
TIMEOUT_S = 60.0
SHOWN_ERRORS = 5
IGNORES = "courier:ignoreFilterIfFieldNotInIndex"
"""Kibana's option that a control narrows only the panels whose index has its field."""

_AWAY = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_ADDRESS = "write it as http://host:5601"
_REFUSED = "see Kibana's log, and whether its version is that of docker-compose.yaml"

_log = logging.getLogger(__name__)


class Imported(NamedTuple):
    """What Kibana took: objects, and whether controls narrow only the panels that have their field."""

    objects: int
    narrows: bool


def import_objects(
    settings: Settings,
    login: tuple[str, Secret] | None = None,
    transport: httpx.BaseTransport | None = None,
    path: Path = OBJECTS,
) -> Imported | None:
    """Import all objects, replacing those there are; None where no Kibana is configured.

    Logs in as user and password, or with the API key of the settings. Raises TransientError while Kibana is away or
    not ready, TerminalError where it refuses or takes fewer objects than there are.
    """
    if not settings.kibana_url:
        return None
    text = addressed(path.read_text(encoding="utf-8"), settings)
    with _connect(settings, login, transport) as http:
        _require_ready(http)
        answer = _ask(http, "POST", "/api/saved_objects/_import", params={"overwrite": "true"}, files=_upload(text))
        _require_all(answer, len(text.splitlines()))
        return Imported(len(text.splitlines()), _let_controls_narrow(http))


def elsewhere(settings: Settings) -> dict[str, str]:
    """The address of each other program as the dashboards' links have it, and as it is with these settings."""
    written = Settings()
    return {
        written.airflow_url: settings.airflow_url,
        written.mlflow_url: settings.mlflow_url,
        written.flink_url: settings.flink_url,
    }


def addressed(text: str, settings: Settings) -> str:
    """The objects with links that lead to where Airflow, MLflow and Flink are with these settings.

    A program that has only a name inside the containers' network, as Flink there has, gets no link.
    """
    places = elsewhere(settings)
    lines = [json.loads(line) for line in text.splitlines()]
    for about in lines:
        if "panelsJSON" not in about["attributes"]:
            continue
        panels = json.loads(about["attributes"]["panelsJSON"])
        for holder in (panel["embeddableConfig"].get("attributes", {}) for panel in panels):
            if "links" in holder:
                holder["links"] = list(_reachable(holder["links"], places))
        about["attributes"]["panelsJSON"] = json.dumps(panels, ensure_ascii=False, separators=(",", ":"))
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _reachable(links: list[dict[str, Any]], places: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    order = 0
    for link in links:
        if link["type"] == "externalLink":
            link["destination"] = places.get(link["destination"], link["destination"])
            host = urlsplit(link["destination"]).hostname or ""
            if "." not in host and host != "localhost":
                continue
        yield {**link, "order": order}
        order += 1


def _connect(
    settings: Settings, login: tuple[str, Secret] | None, transport: httpx.BaseTransport | None
) -> httpx.Client:
    headers = {"kbn-xsrf": "showroom"}
    key = settings.elasticsearch_api_key.reveal()
    if key and login is None:
        headers["Authorization"] = f"ApiKey {key}"
    try:
        return httpx.Client(
            base_url=settings.kibana_url,
            headers=headers,
            auth=(login[0], login[1].reveal()) if login else None,
            timeout=TIMEOUT_S,
            transport=transport,
        )
    except httpx.InvalidURL as error:
        raise TerminalError(f"SHOWROOM_KIBANA_URL is no address ({error})", _ADDRESS) from error


def _upload(text: str) -> dict[str, tuple[str, bytes, str]]:
    return {"file": ("showroom.ndjson", text.encode(), "application/ndjson")}


def _require_ready(http: httpx.Client) -> None:
    status = _ask(http, "GET", "/api/status")
    overall = status.get("status", {}).get("overall", {}) if isinstance(status.get("status"), dict) else {}
    level = overall.get("level", "unknown")
    if level not in ("available", "degraded"):
        raise TransientError(f"Kibana's status is {level}", "wait until it is available")


def _require_all(answer: dict[str, Any], wanted: int) -> None:
    count = answer.get("successCount")
    if answer.get("success") is True and count == wanted and not answer.get("errors"):
        return
    errors = [f"{error.get('type')} {error.get('id')}: {_why(error)}" for error in answer.get("errors") or ()]
    shown = "; ".join(errors[:SHOWN_ERRORS]) or "it does not say why"
    more = f"; and {len(errors) - SHOWN_ERRORS} more" if len(errors) > SHOWN_ERRORS else ""
    raise TerminalError(f"Kibana took {count} of {wanted} objects ({shown}{more})", _REFUSED)


def _why(error: dict[str, Any]) -> str:
    about = error.get("error") or {}
    return " ".join(str(part) for part in (about.get("type"), about.get("reason"), about.get("message")) if part)


def _let_controls_narrow(http: httpx.Client) -> bool:
    """An option of the whole space, without which a control empties the panels of other indices."""
    try:
        _ask(http, "POST", "/api/kibana/settings", json={"changes": {IGNORES: True}})
    except (TerminalError, TransientError) as error:
        _log.warning("Kibana does not let %s be set: controls empty panels without their field (%s)", IGNORES, error)
        return False
    return True


def _ask(http: httpx.Client, method: str, path: str, **request: Any) -> dict[str, Any]:
    # An address may hold a password.
    address = f"Kibana at {http.base_url.copy_with(username=None, password=None)}"
    try:
        response = http.request(method, path, **request)
    except httpx.UnsupportedProtocol as error:
        raise TerminalError(f"{address}: the address names no protocol", _ADDRESS) from error
    except httpx.HTTPError as error:
        raise unavailable(f"{method} {path}", address, error, "see that it runs") from error
    if response.status_code in _AWAY:
        raise TransientError(f"{address} answered {response.status_code}", "wait until it is available")
    if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise TerminalError(f"{address} refuses the login ({response.status_code})", "see the password or the key")
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not response.is_success or not isinstance(answer, dict):
        said = " ".join(response.text.split())[:200]
        raise TerminalError(f"{address} answered {response.status_code} to {path} ({said})", _REFUSED)
    return answer
