"""Dashboards written as YAML for kb-dashboard, translated to what Elasticsearch is asked for each panel.

Kibana asks the same of the same index; what cannot be asked that way is refused, never left out.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from include.contracts.errors import TerminalError
from include.serving.charts import chart
from include.serving.fields import Fields, Refused
from include.serving.panels import FIELDS, Board, Column, Grid, Link, Panel

FOLDER = Path(__file__).parent / "dashboards"
ORDER = ("shop", "products", "customers", "pipeline")
SEARCHES = "objects/searches.yaml"
PREFIX = "showroom-"

_PANEL = {"id", "title", "description", "size", "position", "hide_title", "drilldowns"}
_KINDS = ("lens", "search", "markdown", "links")
_BOARD = {"id", "name", "description", "time_range", "controls", "panels", "settings"}
_FORMATS = {"text": "text", "keyword": "text", "date": "time", "boolean": "text", "long": "number", "double": "number"}
_TYPES = {"text": "text", "keyword": "text", "date": "time", "boolean": "boolean", "long": "number", "double": "number"}


def boards(folder: Path = FOLDER) -> list[Board]:
    """All dashboards of a folder, in the order of their tabs.

    Raises TerminalError that names file, panel and field for what cannot be translated.
    """
    searches = {found["id"]: found for found in _read(folder / SEARCHES)}
    paths = sorted(folder.glob("*.yaml"), key=lambda path: (_place(path.stem), path.stem))
    translated = [_board(path, entry, searches) for path in paths for entry in _read(path)["dashboards"]]
    seen: set[str] = set()
    for panel in (panel for board in translated for panel in board.panels):
        if panel.id in seen:
            raise TerminalError(f"two panels have the id {panel.id}", "give each panel an id of its own")
        seen.add(panel.id)
    return translated


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise TerminalError(f"{path.name} cannot be read ({reason})", "mend the file") from error


def _board(path: Path, entry: Mapping[str, Any], searches: Mapping[str, Any]) -> Board:
    name = path.stem
    try:
        _only(entry, _BOARD, "the dashboard")
        panels = tuple(_panels(path, name, entry["panels"], searches))
    except Refused as error:
        raise TerminalError(f"{path.name}: {error.message}", error.remedy) from error
    return Board(id=name, name=str(entry["name"]), description=str(entry.get("description", "")), panels=panels)


def _panels(path: Path, board: str, entries: Any, searches: Mapping[str, Any]) -> Iterator[Panel]:
    for place, entry in enumerate(entries):
        shown = entry.get("id") or entry.get("title") or f"number {place + 1}"
        try:
            yield _panel(board, entry, searches)
        except Refused as error:
            raise TerminalError(f"{path.name}, panel {shown}: {error.message}", error.remedy) from error
        except KeyError as error:
            raise TerminalError(f"{path.name}, panel {shown}: {error} is missing", "add it") from error


def _panel(board: str, entry: Mapping[str, Any], searches: Mapping[str, Any]) -> Panel:
    kinds = [kind for kind in entry if kind not in _PANEL]
    if len(kinds) != 1 or kinds[0] not in _KINDS:
        raise Refused(f"a panel of kind {' and '.join(map(str, kinds))!r} cannot be translated, only {_KINDS} can")
    size, position = entry["size"], entry["position"]
    common: dict[str, Any] = {
        "id": str(entry["id"]),
        "board": board,
        "title": str(entry["title"]),
        "description": str(entry.get("description", "")),
        "grid": Grid(x=position["x"], y=position["y"], w=size["w"], h=size["h"]),
    }
    about = entry[kinds[0]]
    match kinds[0]:
        case "markdown":
            return Panel(**common, kind="markdown", text=str(about["content"]))
        case "links":
            return Panel(**common, kind="links", links=tuple(_link(item) for item in about["items"]))
        case "search":
            return _search(common, about, searches)
    fields = Fields(str(about["data_view"]))
    body, columns, mode = chart(about, fields)
    return Panel(**common, kind=about["type"], mode=mode, **_asked(fields), body=body, columns=columns)


def _search(common: dict[str, Any], about: Mapping[str, Any], searches: Mapping[str, Any]) -> Panel:
    name = str(about["saved_search_id"])
    if name not in searches:
        raise Refused(f"there is no saved search {name!r}")
    saved = searches[name]
    fields = Fields(str(saved["data_view"]))
    columns = tuple(_field(fields, str(column)) for column in saved["columns"])
    filters = [fields.query({"kql": saved["query"]})] if saved.get("query") else []
    order = saved["sort"]
    fields.require(order["field"], ("date", "keyword", "long", "double"), "a sort")
    body = {
        "size": int(saved.get("size", 50)),
        "track_total_hits": False,
        "query": {"bool": {"filter": filters}},
        "sort": [{order["field"]: order["direction"]}],
        "_source": [column.key for column in columns],
    }
    return Panel(**common, kind="search", **_asked(fields), body=body, columns=columns)


def _asked(fields: Fields) -> dict[str, Any]:
    return {"index": fields.alias, "time_field": fields.time, "narrowed_by": tuple(FIELDS.get(fields.alias, ()))}


def _field(fields: Fields, name: str) -> Column:
    found = fields.require(name, _TYPES, "a column")
    label = name.replace("_", " ")
    return Column(key=name, label=label, role="field", type=_TYPES[found], format=_FORMATS[found])  # type: ignore[arg-type]


def _link(item: Mapping[str, Any]) -> Link:
    label = str(item["label"])
    if "dashboard" in item:
        return Link(label=label, board=str(item["dashboard"]).removeprefix(PREFIX))
    return Link(label=label, url=str(item["url"]))


def _only(found: Mapping[str, Any], known: set[str], what: str) -> None:
    strange = sorted(set(found) - known)
    if strange:
        raise Refused(f"{what} has {', '.join(strange)}, which cannot be translated")
