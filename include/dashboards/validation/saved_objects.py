"""Validate Kibana's saved objects in the form in which Kibana imports them.

Kibana imports most invalid objects without an error. The viewer then gets an error or an incorrect value.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from include.dashboards.validation.saved_object_fields import (
    control_errors,
    data_view_errors,
    lens_errors,
    search_errors,
)

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
"""Series types of a Kibana xy chart; Kibana's editor fails on any other."""
_REQUIRED: dict[str, tuple[str, ...]] = {
    "dashboard": ("panelsJSON", "optionsJSON", "kibanaSavedObjectMeta.searchSourceJSON"),
    "search": ("kibanaSavedObjectMeta.searchSourceJSON",),
}


class _UndecodableError(Exception):
    """An object cannot be decoded; the message is the validation error."""


class PanelPosition(NamedTuple):
    """Position and size of a panel on a dashboard's grid."""

    panel: str
    x: int
    y: int
    w: int
    h: int

    def overlaps(self, other: "PanelPosition") -> bool:
        """Return whether two panels share a grid cell."""
        beside = self.x + self.w <= other.x or other.x + other.w <= self.x
        return not (beside or self.y + self.h <= other.y or other.y + other.h <= self.y)


def validate_saved_objects(text: str) -> list[str]:
    """Return one line for each error in saved objects, which are one JSON object a line."""
    errors: list[str] = []
    objects: list[dict[str, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            objects.append(_decode_line(line))
        except _UndecodableError as error:
            errors.append(f"line {number} {error}")
    keys = [(saved["type"], saved["id"]) for saved in objects]
    errors += [f"{kind} {name} is duplicated" for kind, name in sorted({key for key in keys if keys.count(key) > 1})]
    for saved in objects:
        label = f"{saved['type']} {saved['id']}"
        errors += [f"{label}: {error}" for error in _object_errors(saved, set(keys))]
    return errors


def _decode_line(line: str) -> dict[str, Any]:
    try:
        saved = json.loads(line)
    except ValueError as error:
        raise _UndecodableError(f"is not JSON ({error})") from error
    missing = [name for name in ("type", "id", "attributes", "references") if name not in saved]
    if missing:
        raise _UndecodableError(f"has no {' and no '.join(missing)}")
    return dict(saved)


def _object_errors(saved: Mapping[str, Any], keys: set[tuple[str, str]]) -> list[str]:
    try:
        return list(_iterate_object_errors(saved, keys))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return [f"is not built as Kibana builds it ({type(error).__name__}: {error})"]


def _iterate_object_errors(saved: Mapping[str, Any], keys: set[tuple[str, str]]) -> Iterator[str]:
    for reference in saved["references"]:
        if (reference["type"], reference["id"]) not in keys:
            yield f"reference {reference['name']} leads to no {reference['type']} {reference['id']}"
    try:
        attributes = decode_attributes(saved)
    except _UndecodableError as error:
        yield str(error)
        return
    match saved["type"]:
        case "index-pattern":
            yield from data_view_errors(attributes)
        case "search":
            yield from search_errors(attributes, saved["references"])
        case "dashboard":
            yield from _dashboard_errors(attributes, saved["references"])
        case unknown:
            yield f"has the unsupported type {unknown}"


def decode_attributes(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of an object; members that are JSON in a string are decoded."""
    attributes: dict[str, Any] = json.loads(json.dumps(saved["attributes"]))
    for path in _ENCODED.get(saved["type"], ()):
        *parents, name = path.split(".")
        member = attributes
        for parent in parents:
            member = member.get(parent, {})
        if name not in member:
            if path in _REQUIRED.get(saved["type"], ()):
                raise _UndecodableError(f"has no {path}")
            continue
        try:
            member[name] = json.loads(member[name])
        except (TypeError, ValueError) as error:
            raise _UndecodableError(f"{path} is not JSON in a string ({error})") from error
    return attributes


def _dashboard_errors(attributes: Mapping[str, Any], references: list[Mapping[str, str]]) -> Iterator[str]:
    names = {reference["name"] for reference in references}
    views = {reference["name"]: reference["id"] for reference in references}
    ids = [panel["panelIndex"] for panel in attributes["panelsJSON"]]
    yield from (f"panel {panel} is duplicated" for panel in sorted({panel for panel in ids if ids.count(panel) > 1}))
    yield from _position_errors([_position(panel) for panel in attributes["panelsJSON"]])
    for panel in attributes["panelsJSON"]:
        for name in _reference_names(panel):
            if f"{panel['panelIndex']}:{name}" not in names:
                yield f"panel {panel['panelIndex']} names {name}, which is not among the references"
        if panel["type"] == "lens":
            chart = panel["embeddableConfig"]["attributes"]
            for error in (*lens_errors(chart), *_series_errors(chart["state"]["visualization"])):
                yield f"panel {panel['panelIndex']}: {error}"
    for control in attributes.get("controlGroupInput", {}).get("panelsJSON", {}).values():
        options = control["explicitInput"]
        view = views.get(f"controlGroup_{options['id']}:optionsListDataView")
        yield from (f"control {options['id']}: {error}" for error in control_errors(options, view))


def _series_errors(visualization: Mapping[str, Any]) -> Iterator[str]:
    names = [layer["seriesType"] for layer in visualization.get("layers", ()) if "seriesType" in layer]
    if "preferredSeriesType" in visualization:
        names.append(visualization["preferredSeriesType"])
    yield from (f"{name} is no series type of Kibana" for name in dict.fromkeys(names) if name not in SERIES_TYPES)


def _reference_names(panel: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the references that a panel uses."""
    if "panelRefName" in panel:
        yield panel["panelRefName"]
    elif panel["type"] == "search":
        yield "its saved search"
    attributes = panel["embeddableConfig"].get("attributes", {})
    yield from (reference["name"] for reference in attributes.get("references", ()))
    yield from (link["destinationRefName"] for link in attributes.get("links", ()) if link["type"] == "dashboardLink")


def _position(panel: Mapping[str, Any]) -> PanelPosition:
    grid = panel["gridData"]
    return PanelPosition(panel["panelIndex"], grid["x"], grid["y"], grid["w"], grid["h"])


def _position_errors(positions: list[PanelPosition]) -> Iterator[str]:
    for number, position in enumerate(positions):
        outside = position.x < 0 or position.y < 0 or position.x + position.w > COLUMNS
        if outside or position.w < 1 or position.h < 1:
            yield f"panel {position.panel} is outside the {COLUMNS} columns"
        yield from (
            f"panels {position.panel} and {other.panel} overlap"
            for other in positions[number + 1 :]
            if position.overlaps(other)
        )
