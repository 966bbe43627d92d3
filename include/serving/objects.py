"""Checks on Kibana's saved objects, as they would be imported: what is wrong with them, one line each.

Kibana imports most of what is wrong here without a word and shows an error, or a wrong figure, to who looks.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from include.serving.object_fields import control_complaints, data_view_complaints, lens_complaints, search_complaints

COLUMNS = 48

# Members that Kibana stores as JSON inside a string, by type of object.
_ENCODED: dict[str, tuple[str, ...]] = {
    "dashboard": (
        "panelsJSON",
        "optionsJSON",
        "kibanaSavedObjectMeta.searchSourceJSON",
        "controlGroupInput.panelsJSON",
        "controlGroupInput.ignoreParentSettingsJSON",
    ),
    "search": ("kibanaSavedObjectMeta.searchSourceJSON",),
    "index-pattern": ("fieldFormatMap", "fieldAttrs", "runtimeFieldMap", "sourceFilters", "typeMeta", "fields"),
}
SERIES_TYPES = frozenset(
    {
        *("bar", "bar_stacked", "bar_percentage_stacked"),
        *("bar_horizontal", "bar_horizontal_stacked", "bar_horizontal_percentage_stacked"),
        *("line", "area", "area_stacked", "area_percentage_stacked"),
    }
)
"""Kibana's names of the series of an xy chart; its editor fails on any other."""
_NEEDED: dict[str, tuple[str, ...]] = {
    "dashboard": ("panelsJSON", "optionsJSON", "kibanaSavedObjectMeta.searchSourceJSON"),
    "search": ("kibanaSavedObjectMeta.searchSourceJSON",),
}


class _Unreadable(Exception):
    """An object cannot be looked into; the message is the complaint."""


class Place(NamedTuple):
    """Where a panel lies on a dashboard."""

    panel: str
    x: int
    y: int
    w: int
    h: int

    def overlaps(self, other: "Place") -> bool:
        """Whether two panels cover a cell in common."""
        beside = self.x + self.w <= other.x or other.x + other.w <= self.x
        return not (beside or self.y + self.h <= other.y or other.y + other.h <= self.y)


def complaints(text: str) -> list[str]:
    """All that is wrong with saved objects in the form in which Kibana imports them, a JSON object a line."""
    found: list[str] = []
    objects: list[dict[str, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            objects.append(_object(line))
        except _Unreadable as error:
            found.append(f"line {number} {error}")
    known = [(about["type"], about["id"]) for about in objects]
    found += [f"{kind} {name} is there twice" for kind, name in sorted({key for key in known if known.count(key) > 1})]
    for about in objects:
        label = f"{about['type']} {about['id']}"
        found += [f"{label}: {complaint}" for complaint in _all(about, set(known))]
    return found


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise _Unreadable(f"is not JSON ({error})") from error
    lacking = [name for name in ("type", "id", "attributes", "references") if name not in found]
    if lacking:
        raise _Unreadable(f"has no {' and no '.join(lacking)}")
    return dict(found)


def _all(about: Mapping[str, Any], known: set[tuple[str, str]]) -> list[str]:
    try:
        return list(_about(about, known))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return [f"is not built as Kibana builds it ({type(error).__name__}: {error})"]


def _about(about: Mapping[str, Any], known: set[tuple[str, str]]) -> Iterator[str]:
    for reference in about["references"]:
        if (reference["type"], reference["id"]) not in known:
            yield f"reference {reference['name']} leads to no {reference['type']} {reference['id']}"
    try:
        attributes = decoded(about)
    except _Unreadable as error:
        yield str(error)
        return
    match about["type"]:
        case "index-pattern":
            yield from data_view_complaints(attributes)
        case "search":
            yield from search_complaints(attributes, about["references"])
        case "dashboard":
            yield from _dashboard(attributes, about["references"])
        case strange:
            yield f"is of a type that nobody checks: {strange}"


def decoded(about: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of an object with the members that are JSON in a string read."""
    attributes: dict[str, Any] = json.loads(json.dumps(about["attributes"]))
    for path in _ENCODED.get(about["type"], ()):
        *parents, name = path.split(".")
        holder = attributes
        for parent in parents:
            holder = holder.get(parent, {})
        if name not in holder:
            if path in _NEEDED.get(about["type"], ()):
                raise _Unreadable(f"has no {path}")
            continue
        try:
            holder[name] = json.loads(holder[name])
        except (TypeError, ValueError) as error:
            raise _Unreadable(f"{path} does not hold JSON in a string ({error})") from error
    return attributes


def _dashboard(attributes: Mapping[str, Any], references: list[Mapping[str, str]]) -> Iterator[str]:
    names = {reference["name"] for reference in references}
    views = {reference["name"]: reference["id"] for reference in references}
    ids = [panel["panelIndex"] for panel in attributes["panelsJSON"]]
    yield from (f"panel {panel} is there twice" for panel in sorted({panel for panel in ids if ids.count(panel) > 1}))
    yield from _overlaps([_place(panel) for panel in attributes["panelsJSON"]])
    for panel in attributes["panelsJSON"]:
        for name in _named(panel):
            if f"{panel['panelIndex']}:{name}" not in names:
                yield f"panel {panel['panelIndex']} names {name}, which is not among the references"
        if panel["type"] == "lens":
            about = panel["embeddableConfig"]["attributes"]
            for complaint in (*lens_complaints(about), *_series_complaints(about["state"]["visualization"])):
                yield f"panel {panel['panelIndex']}: {complaint}"
    for control in attributes.get("controlGroupInput", {}).get("panelsJSON", {}).values():
        about = control["explicitInput"]
        view = views.get(f"controlGroup_{about['id']}:optionsListDataView")
        yield from (f"control {about['id']}: {found}" for found in control_complaints(about, view))


def _series_complaints(drawn: Mapping[str, Any]) -> Iterator[str]:
    names = [layer["seriesType"] for layer in drawn.get("layers", ()) if "seriesType" in layer]
    if "preferredSeriesType" in drawn:
        names.append(drawn["preferredSeriesType"])
    yield from (f"{name} is no series type of Kibana" for name in dict.fromkeys(names) if name not in SERIES_TYPES)


def _named(panel: Mapping[str, Any]) -> Iterator[str]:
    """The names of references inside a panel."""
    if "panelRefName" in panel:
        yield panel["panelRefName"]
    elif panel["type"] == "search":
        yield "its saved search"
    attributes = panel["embeddableConfig"].get("attributes", {})
    yield from (reference["name"] for reference in attributes.get("references", ()))
    yield from (link["destinationRefName"] for link in attributes.get("links", ()) if link["type"] == "dashboardLink")


def _place(panel: Mapping[str, Any]) -> Place:
    grid = panel["gridData"]
    return Place(panel["panelIndex"], grid["x"], grid["y"], grid["w"], grid["h"])


def _overlaps(places: list[Place]) -> Iterator[str]:
    for number, place in enumerate(places):
        if place.x < 0 or place.y < 0 or place.w < 1 or place.h < 1 or place.x + place.w > COLUMNS:
            yield f"panel {place.panel} lies outside the {COLUMNS} columns"
        yield from (
            f"panels {place.panel} and {other.panel} overlap" for other in places[number + 1 :] if place.overlaps(other)
        )
