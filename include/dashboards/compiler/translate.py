"""Compile dashboard definitions, YAML for kb-dashboard, to one Elasticsearch query per panel.

Kibana sends the same query to the same index. A definition that has no equivalent query is rejected, never dropped.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from include.contracts.errors import TerminalError
from include.dashboards.compiler.index_schema import IndexSchema, UnsupportedDashboardError
from include.dashboards.compiler.lens import compile_chart
from include.dashboards.model import FILTER_FIELDS, Column, Dashboard, Grid, Link, Panel

DEFINITIONS = Path(__file__).parent.parent / "definitions"
TAB_ORDER = ("shop", "products", "customers", "pipeline")
SEARCHES = "objects/searches.yaml"
ID_PREFIX = "showroom-"

_PANEL_OPTIONS = {"id", "title", "description", "size", "position", "hide_title", "drilldowns"}
_KINDS = ("lens", "search", "markdown", "links")
_DASHBOARD_OPTIONS = {"id", "name", "description", "time_range", "controls", "panels", "settings"}
_FORMATS = {"text": "text", "keyword": "text", "date": "time", "boolean": "text", "long": "number", "double": "number"}
_TYPES = {"text": "text", "keyword": "text", "date": "time", "boolean": "boolean", "long": "number", "double": "number"}
_SORT_TYPES = ("date", "keyword", "long", "double")


def compile_dashboards(folder: Path = DEFINITIONS) -> list[Dashboard]:
    """Compile all dashboards of a folder, in the order of their tabs.

    Raises:
        TerminalError: A definition is invalid or unsupported; the message names file, panel and field.
    """
    searches = {search["id"]: search for search in _read(folder / SEARCHES)}
    paths = sorted(folder.glob("*.yaml"), key=lambda path: (_tab_position(path.stem), path.stem))
    dashboards = [_dashboard(path, entry, searches) for path in paths for entry in _read(path)["dashboards"]]
    ids: set[str] = set()
    for panel in (panel for dashboard in dashboards for panel in dashboard.panels):
        if panel.id in ids:
            raise TerminalError(f"two panels have the id {panel.id}", "give each panel an id of its own")
        ids.add(panel.id)
    return dashboards


def _tab_position(name: str) -> int:
    return TAB_ORDER.index(name) if name in TAB_ORDER else len(TAB_ORDER)


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise TerminalError(f"{path.name} cannot be read ({reason})", "correct the file") from error


def _dashboard(path: Path, entry: Mapping[str, Any], searches: Mapping[str, Any]) -> Dashboard:
    name = path.stem
    try:
        _require_options(entry, _DASHBOARD_OPTIONS, "the dashboard")
        panels = tuple(_panels(path, name, entry["panels"], searches))
    except UnsupportedDashboardError as error:
        raise TerminalError(f"{path.name}: {error.message}", error.remedy) from error
    return Dashboard(id=name, name=str(entry["name"]), description=str(entry.get("description", "")), panels=panels)


def _panels(path: Path, dashboard: str, entries: Any, searches: Mapping[str, Any]) -> Iterator[Panel]:
    for number, entry in enumerate(entries, 1):
        label = entry.get("id") or entry.get("title") or f"number {number}"
        try:
            yield _panel(dashboard, entry, searches)
        except UnsupportedDashboardError as error:
            raise TerminalError(f"{path.name}, panel {label}: {error.message}", error.remedy) from error
        except KeyError as error:
            raise TerminalError(f"{path.name}, panel {label}: {error} is missing", "add it") from error


def _panel(dashboard: str, entry: Mapping[str, Any], searches: Mapping[str, Any]) -> Panel:
    kinds = [kind for kind in entry if kind not in _PANEL_OPTIONS]
    if len(kinds) != 1 or kinds[0] not in _KINDS:
        raise UnsupportedDashboardError(
            f"a panel of kind {' and '.join(map(str, kinds))!r} cannot be translated, only {_KINDS} can"
        )
    size, position = entry["size"], entry["position"]
    common: dict[str, Any] = {
        "id": str(entry["id"]),
        "dashboard": dashboard,
        "title": str(entry["title"]),
        "description": str(entry.get("description", "")),
        "grid": Grid(x=position["x"], y=position["y"], w=size["w"], h=size["h"]),
    }
    definition = entry[kinds[0]]
    match kinds[0]:
        case "markdown":
            return Panel(**common, kind="markdown", text=str(definition["content"]))
        case "links":
            return Panel(**common, kind="links", links=tuple(_link(item) for item in definition["items"]))
        case "search":
            return _search(common, definition, searches)
    schema = IndexSchema(str(definition["data_view"]))
    body, columns, mode = compile_chart(definition, schema)
    return Panel(**common, kind=definition["type"], mode=mode, **_source(schema), body=body, columns=columns)


def _search(common: dict[str, Any], definition: Mapping[str, Any], searches: Mapping[str, Any]) -> Panel:
    name = str(definition["saved_search_id"])
    if name not in searches:
        raise UnsupportedDashboardError(f"there is no saved search {name!r}")
    search = searches[name]
    schema = IndexSchema(str(search["data_view"]))
    columns = tuple(_field_column(schema, str(column)) for column in search["columns"])
    filters = [schema.query({"kql": search["query"]})] if search.get("query") else []
    order = search["sort"]
    schema.require(order["field"], _SORT_TYPES, "a sort")
    body = {
        "size": int(search.get("size", 50)),
        "track_total_hits": False,
        "query": {"bool": {"filter": filters}},
        "sort": [{order["field"]: order["direction"]}],
        "_source": [column.key for column in columns],
    }
    return Panel(**common, kind="search", **_source(schema), body=body, columns=columns)


def _source(schema: IndexSchema) -> dict[str, Any]:
    """Return the members of a panel that depend on its index."""
    filters = tuple(FILTER_FIELDS.get(schema.alias, ()))
    return {"index": schema.alias, "time_field": schema.time_field, "supported_filters": filters}


def _field_column(schema: IndexSchema, name: str) -> Column:
    field_type = schema.require(name, _TYPES, "a column")
    label = name.replace("_", " ")
    return Column(
        key=name,
        label=label,
        role="field",
        type=_TYPES[field_type],  # type: ignore[arg-type]
        format=_FORMATS[field_type],  # type: ignore[arg-type]
    )


def _link(item: Mapping[str, Any]) -> Link:
    label = str(item["label"])
    if "dashboard" in item:
        return Link(label=label, dashboard=str(item["dashboard"]).removeprefix(ID_PREFIX))
    return Link(label=label, url=str(item["url"]))


def _require_options(entry: Mapping[str, Any], supported: set[str], subject: str) -> None:
    unknown = sorted(set(entry) - supported)
    if unknown:
        raise UnsupportedDashboardError(f"{subject} has {', '.join(unknown)}, which cannot be translated")
