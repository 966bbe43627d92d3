"""The saved objects are valid, and every kind of error is reported for a broken copy."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from include.contracts.index_documents import INDICES, TIME_FIELD
from include.dashboards.compiler.translate import DEFINITIONS, compile_dashboards
from include.dashboards.kibana import OBJECTS_FILE
from include.dashboards.validation.parity import parity_errors
from include.dashboards.validation.saved_objects import PanelPosition, decode_attributes, validate_saved_objects

Objects = dict[tuple[str, str], dict[str, Any]]
SHOP = ("dashboard", "showroom-shop")
PRODUCTS = ("dashboard", "showroom-products")
CUSTOMERS = ("dashboard", "showroom-customers")
REVIEWS = ("search", "showroom-newest-reviews")
VIEW = ("index-pattern", "session_summary")


def read_objects() -> Objects:
    lines = [json.loads(line) for line in OBJECTS_FILE.read_text().splitlines()]
    return {(item["type"], item["id"]): item for item in lines}


def to_ndjson(objects: Objects) -> str:
    return "".join(json.dumps(item) + "\n" for item in objects.values())


def errors_after(change: Callable[[Objects], object]) -> list[str]:
    """Return the validation errors after a change of the objects."""
    objects = read_objects()
    change(objects)
    return validate_saved_objects(to_ndjson(objects))


def panels_of(objects: Objects, dashboard: tuple[str, str]) -> dict[str, Any]:
    return {panel["panelIndex"]: panel for panel in json.loads(objects[dashboard]["attributes"]["panelsJSON"])}


def errors_of_panel(dashboard: tuple[str, str], name: str, change: Callable[[Any], object]) -> list[str]:
    """Return the validation errors after a change of one panel."""

    def apply(objects: Objects) -> None:
        panels = panels_of(objects, dashboard)
        change(panels[name])
        objects[dashboard]["attributes"]["panelsJSON"] = json.dumps(list(panels.values()))

    return errors_after(apply)


def layer(item: Any) -> Any:
    (first,) = item["embeddableConfig"]["attributes"]["state"]["datasourceStates"]["formBased"]["layers"].values()
    return first


def errors_of_column(dashboard: tuple[str, str], name: str, which: str, **change: Any) -> list[str]:
    """Return the validation errors after a change of one column of a chart."""
    return errors_of_panel(dashboard, name, lambda item: layer(item)["columns"][which].update(change))


def parity_errors_after(name: str, change: Callable[[Any], object]) -> list[str]:
    """Return the parity errors after a change of one panel of the shop dashboard."""
    objects = read_objects()
    panels = panels_of(objects, SHOP)
    change(panels[name])
    objects[SHOP]["attributes"]["panelsJSON"] = json.dumps(list(panels.values()))
    return parity_errors(to_ndjson(objects), compile_dashboards(DEFINITIONS))


def test_validate_saved_objects_generated_file_has_no_errors() -> None:
    assert validate_saved_objects(OBJECTS_FILE.read_text()) == []


def test_saved_objects_have_a_data_view_for_every_index() -> None:
    views = {name: item["attributes"] for (kind, name), item in read_objects().items() if kind == "index-pattern"}
    assert {name: item["timeFieldName"] for name, item in views.items()} == {
        alias: TIME_FIELD[alias] for alias in INDICES
    }


def test_saved_objects_panels_have_the_positions_of_the_pages() -> None:
    objects = read_objects()
    for dashboard in compile_dashboards(DEFINITIONS):
        there = panels_of(objects, ("dashboard", f"showroom-{dashboard.id}"))
        grids = {name: {side: item["gridData"][side] for side in "xywh"} for name, item in there.items()}
        here = {item.id: item.grid for item in dashboard.panels}
        assert grids == {name: {"x": at.x, "y": at.y, "w": at.w, "h": at.h} for name, at in here.items()}


def test_saved_objects_series_are_stacked_as_on_the_page() -> None:
    objects = read_objects()
    for dashboard in compile_dashboards(DEFINITIONS):
        panels = panels_of(objects, ("dashboard", f"showroom-{dashboard.id}"))
        for item in (item for item in dashboard.panels if item.mode and item.kind in ("bar", "area")):
            visualization = panels[item.id]["embeddableConfig"]["attributes"]["state"]["visualization"]
            if any("splitAccessor" in layer for layer in visualization["layers"]):
                names = {layer["seriesType"] for layer in visualization["layers"]} | {
                    visualization["preferredSeriesType"]
                }
                assert {"stacked" in name for name in names} == {item.mode != "unstacked"}, (item.id, names)


@pytest.mark.parametrize("name", ["bar_unstacked", "area_unstacked", "pie"])
def test_validate_saved_objects_unknown_series_type_names_the_panel(name: str) -> None:
    objects = read_objects()
    panels = panels_of(objects, SHOP)
    visualization = panels["shop-funnel"]["embeddableConfig"]["attributes"]["state"]["visualization"]
    visualization["layers"][0]["seriesType"] = name
    objects[SHOP]["attributes"]["panelsJSON"] = json.dumps(list(panels.values()))
    expected = f"dashboard showroom-shop: panel shop-funnel: {name} is no series type of Kibana"
    assert expected in validate_saved_objects(to_ndjson(objects))


def test_saved_objects_dashboards_link_to_each_other_and_to_external_urls() -> None:
    objects = read_objects()
    dashboards = {name for kind, name in objects if kind == "dashboard"}
    for name in dashboards:
        ends = {item["id"] for item in objects["dashboard", name]["references"] if item["type"] == "dashboard"}
        assert ends == dashboards - {name}
        links = panels_of(objects, ("dashboard", name))[f"{name.removeprefix('showroom-')}-links"]
        out = {link["label"] for link in links["embeddableConfig"]["attributes"]["links"] if "destination" in link}
        assert out == {"Airflow", "MLflow", "Flink"}


@pytest.mark.parametrize(
    ("panel_id", "fields"),
    [
        ("shop-users", {"user_id"}),
        ("shop-sales", {"purchase_amount"}),
        ("shop-payment", {"payment", "last_action", "purchase_made"}),
        ("shop-categories", {"categories", "purchase_made"}),
        ("shop-duration", {"duration_s"}),
        ("products-sentiment", {"name", "label"}),
        ("customers-potential", {"user_id", "last_action", "name", "seconds", "purchase_made"}),
    ],
)
def test_compiled_panels_query_the_fields_of_a_shop_manager(panel_id: str, fields: set[str]) -> None:
    panel = next(
        item for dashboard in compile_dashboards(DEFINITIONS) for item in dashboard.panels if item.id == panel_id
    )
    body = json.dumps(panel.body)
    assert all(field in body for field in fields)


def test_saved_objects_have_no_author_and_no_timestamps() -> None:
    for item in read_objects().values():
        assert not {"created_at", "created_by", "updated_at", "updated_by", "version"} & set(item)


def test_validate_saved_objects_undecodable_lines_are_errors() -> None:
    errors = validate_saved_objects(OBJECTS_FILE.read_text() + '{"type": "search"}\n{broken\n')
    assert [item.split(" ", 2)[2][:12] for item in errors] == ["has no id an", "is not JSON "]


def test_validate_saved_objects_duplicate_object_is_an_error() -> None:
    text = OBJECTS_FILE.read_text()
    (error,) = validate_saved_objects(text + text.splitlines()[0] + "\n")
    assert error.endswith("is duplicated")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (VIEW, "leads to no index-pattern session_summary"),
        (REVIEWS, "leads to no search showroom-newest-reviews"),
        (PRODUCTS, "leads to no dashboard showroom-products"),
    ],
)
def test_validate_saved_objects_dangling_reference_is_an_error(missing: tuple[str, str], message: str) -> None:
    errors = errors_after(lambda objects: objects.pop(missing))
    assert errors
    assert all(message in item for item in errors)


def test_validate_saved_objects_search_panel_without_reference_is_an_error() -> None:
    errors = errors_of_panel(PRODUCTS, "products-newest-reviews", lambda item: item.update(panelRefName="panel_other"))
    assert errors == [
        "dashboard showroom-products: panel products-newest-reviews names panel_other, "
        "which is not among the references"
    ]
    errors = errors_of_panel(PRODUCTS, "products-newest-reviews", lambda item: item.pop("panelRefName"))
    assert len(errors) == 1


def test_validate_saved_objects_link_without_reference_is_an_error() -> None:
    def change(item: Any) -> None:
        item["embeddableConfig"]["attributes"]["links"][0]["destinationRefName"] = "elsewhere"

    (error,) = errors_of_panel(SHOP, "shop-links", change)
    assert "shop-links names elsewhere" in error


def test_validate_saved_objects_chart_without_data_view_is_an_error() -> None:
    def change(item: Any) -> None:
        item["embeddableConfig"]["attributes"]["references"].clear()

    (error,) = errors_of_panel(SHOP, "shop-sessions", change)
    assert error.endswith("layer shop-sessions-chart has no data view")


def test_validate_saved_objects_control_without_data_view_is_an_error() -> None:
    def change(objects: Objects) -> None:
        references = objects[SHOP]["references"]
        objects[SHOP]["references"] = [item for item in references if "controlGroup_shop-by-device" not in item["name"]]

    assert errors_after(change) == [
        "dashboard showroom-shop: control shop-by-device: has no reference to its data view"
    ]


def test_validate_saved_objects_control_of_unknown_field_is_an_error() -> None:
    def change(objects: Objects) -> None:
        group = objects[CUSTOMERS]["attributes"]["controlGroupInput"]
        controls = json.loads(group["panelsJSON"])
        controls["customers-by-device"]["explicitInput"]["fieldName"] = "device"
        group["panelsJSON"] = json.dumps(controls)

    (error,) = errors_after(change)
    assert "session_summary has no field 'device'" in error


@pytest.mark.parametrize(
    ("where", "which", "change", "message"),
    [
        ("shop-users", "shop-users-n", {"sourceField": "visitor"}, "has no field 'visitor'"),
        ("shop-users", "shop-users-n", {"operationType": "sum"}, "sum of session_summary.user_id is impossible"),
        ("shop-sales", "shop-sales-n", {"sourceField": "payment"}, "sum of session_summary.payment is impossible"),
        ("shop-traffic", "shop-traffic-at", {"sourceField": "city"}, "date_histogram of session_summary.city"),
        ("shop-sales", "shop-sales-n", {"operationType": "guess"}, "has the unsupported operation guess"),
        ("shop-conversion", "shop-conversion-nX2", {"references": ["gone"]}, "shop-conversion-nX2 needs gone"),
        (
            "shop-conversion",
            "shop-conversion-nX0",
            {"filter": {"query": "bought:true", "language": "kuery"}},
            "has no field 'bought'",
        ),
        (
            "shop-conversion",
            "shop-conversion-nX0",
            {"filter": {"query": "purchase_made:true", "language": "lucene"}},
            "is not KQL",
        ),
    ],
)
def test_validate_saved_objects_invalid_column_is_an_error(
    where: str, which: str, change: dict[str, Any], message: str
) -> None:
    errors = errors_of_column(SHOP, where, which, **change)
    assert len(errors) == 1
    assert message in errors[0]
    assert where in errors[0]


def test_validate_saved_objects_filter_of_unknown_field_is_an_error() -> None:
    def change(item: Any) -> None:
        layer(item)["columns"]["shop-payment-by"]["params"]["filters"][0]["input"]["query"] = "paid_by:card"

    (error,) = errors_of_panel(SHOP, "shop-payment", change)
    assert "has no field 'paid_by'" in error


def test_validate_saved_objects_query_of_unknown_field_is_an_error() -> None:
    def change(item: Any) -> None:
        item["embeddableConfig"]["attributes"]["state"]["query"]["query"] = "bought:true"

    (error,) = errors_of_panel(SHOP, "shop-purchases", change)
    assert "has no field 'bought'" in error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ["stars"]}, "has no field 'stars'"),
        ({"sort": [["review", "desc"]]}, "an order of product_sentiment.review is impossible"),
    ],
)
def test_validate_saved_objects_invalid_saved_search_is_an_error(change: dict[str, Any], message: str) -> None:
    (error,) = errors_after(lambda objects: objects[REVIEWS]["attributes"].update(change))
    assert message in error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": "sessions"}, "there is no index 'sessions'"),
        ({"timeFieldName": "started"}, "has no field 'started'"),
        ({"timeFieldName": "duration_s"}, "the time field of session_summary.duration_s is impossible"),
    ],
)
def test_validate_saved_objects_invalid_data_view_is_an_error(change: dict[str, Any], message: str) -> None:
    (error,) = errors_after(lambda objects: objects[VIEW]["attributes"].update(change))
    assert message in error


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"x": 1}, ["panels shop-sessions and shop-users overlap"]),
        ({"h": 7}, ["panels shop-sessions and shop-traffic overlap"]),
        ({"y": 100, "w": 49}, ["panel shop-sessions is outside the 48 columns"]),
        ({"y": 100, "x": 41}, ["panel shop-sessions is outside the 48 columns"]),
        ({"y": 100, "x": -1}, ["panel shop-sessions is outside the 48 columns"]),
        ({"y": 100, "w": 0}, ["panel shop-sessions is outside the 48 columns"]),
    ],
)
def test_validate_saved_objects_invalid_position_is_an_error(grid: dict[str, int], message: list[str]) -> None:
    errors = errors_of_panel(SHOP, "shop-sessions", lambda item: item["gridData"].update(grid))
    assert errors == [f"dashboard showroom-shop: {item}" for item in message]


def test_panel_position_overlaps_only_shared_cells() -> None:
    here = PanelPosition("here", 8, 8, 8, 8)
    for x, y in ((0, 8), (16, 8), (8, 0), (8, 16)):
        assert not here.overlaps(PanelPosition("there", x, y, 8, 8))
    for x, y in ((1, 8), (15, 8), (8, 1), (8, 15), (8, 8)):
        assert here.overlaps(PanelPosition("there", x, y, 8, 8))


def test_validate_saved_objects_duplicate_panel_is_an_error() -> None:
    errors = errors_of_panel(SHOP, "shop-week", lambda item: item.update(panelIndex="shop-funnel"))
    assert "dashboard showroom-shop: panel shop-funnel is duplicated" in errors


@pytest.mark.parametrize(
    ("key", "member"),
    [
        (SHOP, "panelsJSON"),
        (SHOP, "optionsJSON"),
        (SHOP, "kibanaSavedObjectMeta.searchSourceJSON"),
        (SHOP, "controlGroupInput.panelsJSON"),
        (SHOP, "controlGroupInput.ignoreParentSettingsJSON"),
        (REVIEWS, "kibanaSavedObjectMeta.searchSourceJSON"),
        (VIEW, "fieldFormatMap"),
    ],
)
@pytest.mark.parametrize("value", ["{broken", {"not": "a string"}])
def test_validate_saved_objects_member_without_json_is_an_error(key: tuple[str, str], member: str, value: Any) -> None:
    def change(objects: Objects) -> None:
        *parents, name = member.split(".")
        attributes = objects[key]["attributes"]
        for parent in parents:
            attributes = attributes[parent]
        attributes[name] = value

    (error,) = errors_after(change)
    assert error.startswith(f"{key[0]} {key[1]}: {member} is not JSON in a string")


def test_validate_saved_objects_dashboard_without_panels_is_an_error() -> None:
    (error,) = errors_after(lambda objects: objects[SHOP]["attributes"].pop("panelsJSON"))
    assert error == "dashboard showroom-shop: has no panelsJSON"


def test_validate_saved_objects_panel_without_position_is_an_error() -> None:
    (error,) = errors_of_panel(SHOP, "shop-week", lambda item: item.pop("gridData"))
    assert error == "dashboard showroom-shop: is not built as Kibana builds it (KeyError: 'gridData')"


def test_validate_saved_objects_unsupported_type_is_an_error() -> None:
    text = OBJECTS_FILE.read_text() + json.dumps({"type": "lens", "id": "x", "attributes": {}, "references": []}) + "\n"
    assert validate_saved_objects(text) == ["lens x: has the unsupported type lens"]


def test_parity_errors_generated_file_has_none() -> None:
    assert parity_errors(OBJECTS_FILE.read_text(), compile_dashboards(DEFINITIONS)) == []


@pytest.mark.parametrize(
    ("where", "which", "change"),
    [
        ("shop-users", "shop-users-n", {"sourceField": "session_id"}),
        ("shop-sales", "shop-sales-n", {"operationType": "average"}),
        ("shop-conversion", "shop-conversion-nX0", {"filter": None}),
        ("shop-traffic", "shop-traffic-at", {"sourceField": "ended_at"}),
        ("shop-payment", "shop-payment-by", {"params": {"filters": []}}),
    ],
)
def test_parity_errors_changed_chart_column_is_an_error(where: str, which: str, change: dict[str, Any]) -> None:
    (error,) = parity_errors_after(where, lambda item: layer(item)["columns"][which].update(change))
    assert error.startswith(f"panel {where}: Kibana queries ")


@pytest.mark.parametrize("change", [{"size": 7}, {"orderDirection": "asc"}, {"orderBy": {"type": "alphabetical"}}])
def test_parity_errors_changed_terms_are_an_error(change: dict[str, Any]) -> None:
    (error,) = parity_errors_after(
        "shop-categories", lambda item: layer(item)["columns"]["shop-categories-by"]["params"].update(change)
    )
    assert "panel shop-categories: Kibana queries buckets" in error


def test_parity_errors_changed_nesting_is_an_error() -> None:
    (error,) = parity_errors_after("shop-week", lambda item: layer(item)["columnOrder"].reverse())
    assert "panel shop-week: Kibana queries buckets" in error


def test_parity_errors_changed_query_or_index_is_an_error() -> None:
    def query(item: Any) -> None:
        item["embeddableConfig"]["attributes"]["state"]["query"]["query"] = ""

    def index(item: Any) -> None:
        item["embeddableConfig"]["attributes"]["references"][0]["id"] = "product_details"

    (error,) = parity_errors_after("shop-purchases", query)
    assert "Kibana queries query '', the pages query 'purchase_made:true'" in error
    (error,) = parity_errors_after("shop-sessions", index)
    assert "Kibana queries source 'product_details', the pages query 'session_summary'" in error


@pytest.mark.parametrize("change", [{"columns": ["review"]}, {"sort": [["started_at", "asc"]]}, {"sampleSize": 10}])
def test_parity_errors_changed_saved_search_is_an_error(change: dict[str, Any]) -> None:
    objects = read_objects()
    objects[REVIEWS]["attributes"].update(change)
    (error,) = parity_errors(to_ndjson(objects), compile_dashboards(DEFINITIONS))
    assert error.startswith("panel products-newest-reviews: Kibana queries buckets")


def test_decode_attributes_leaves_the_object_unchanged() -> None:
    objects = read_objects()
    before = json.dumps(objects[SHOP])
    decode_attributes(objects[SHOP])
    assert json.dumps(objects[SHOP]) == before
