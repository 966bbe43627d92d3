"""Kibana's objects are right, and each thing that could be wrong with them is noticed on a broken copy."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from include.contracts.documents import INDICES, TIME_FIELD
from include.serving.agreement import disagreements
from include.serving.kibana import OBJECTS
from include.serving.objects import Place, complaints, decoded
from include.serving.translate import FOLDER, boards

Objects = dict[tuple[str, str], dict[str, Any]]
SHOP = ("dashboard", "showroom-shop")
PRODUCTS = ("dashboard", "showroom-products")
CUSTOMERS = ("dashboard", "showroom-customers")
REVIEWS = ("search", "showroom-newest-reviews")
VIEW = ("index-pattern", "session_summary")


def read() -> Objects:
    lines = [json.loads(line) for line in OBJECTS.read_text().splitlines()]
    return {(about["type"], about["id"]): about for about in lines}


def written(objects: Objects) -> str:
    return "".join(json.dumps(about) + "\n" for about in objects.values())


def broken(change: Callable[[Objects], object]) -> list[str]:
    """What is said of the objects after a change."""
    objects = read()
    change(objects)
    return complaints(written(objects))


def panels_of(objects: Objects, dashboard: tuple[str, str]) -> dict[str, Any]:
    return {panel["panelIndex"]: panel for panel in json.loads(objects[dashboard]["attributes"]["panelsJSON"])}


def panel(dashboard: tuple[str, str], name: str, change: Callable[[Any], object]) -> list[str]:
    """What is said after a change of one panel."""

    def apply(objects: Objects) -> None:
        panels = panels_of(objects, dashboard)
        change(panels[name])
        objects[dashboard]["attributes"]["panelsJSON"] = json.dumps(list(panels.values()))

    return broken(apply)


def layer(about: Any) -> Any:
    (found,) = about["embeddableConfig"]["attributes"]["state"]["datasourceStates"]["formBased"]["layers"].values()
    return found


def column(dashboard: tuple[str, str], name: str, which: str, **change: Any) -> list[str]:
    """What is said after a change of one column of a chart."""
    return panel(dashboard, name, lambda about: layer(about)["columns"][which].update(change))


def differing(name: str, change: Callable[[Any], object]) -> list[str]:
    """What is said of Kibana and the pages after a change of one of the shop's panels."""
    objects = read()
    panels = panels_of(objects, SHOP)
    change(panels[name])
    objects[SHOP]["attributes"]["panelsJSON"] = json.dumps(list(panels.values()))
    return disagreements(written(objects), boards(FOLDER))


def test_the_objects_are_right() -> None:
    assert complaints(OBJECTS.read_text()) == []


def test_there_is_a_data_view_for_every_index_with_its_time() -> None:
    views = {name: about["attributes"] for (kind, name), about in read().items() if kind == "index-pattern"}
    assert {name: about["timeFieldName"] for name, about in views.items()} == {
        alias: TIME_FIELD[alias] for alias in INDICES
    }


def test_kibana_and_the_pages_have_the_same_panels_at_the_same_places() -> None:
    objects = read()
    for board in boards(FOLDER):
        there = panels_of(objects, ("dashboard", f"showroom-{board.id}"))
        grids = {name: {side: about["gridData"][side] for side in "xywh"} for name, about in there.items()}
        here = {about.id: about.grid for about in board.panels}
        assert grids == {name: {"x": at.x, "y": at.y, "w": at.w, "h": at.h} for name, at in here.items()}


def test_series_of_a_panel_are_stacked_in_kibana_where_the_page_stacks_them() -> None:
    objects = read()
    for board in boards(FOLDER):
        panels = panels_of(objects, ("dashboard", f"showroom-{board.id}"))
        for about in (about for about in board.panels if about.mode and about.kind in ("bar", "area")):
            drawn = panels[about.id]["embeddableConfig"]["attributes"]["state"]["visualization"]
            if any("splitAccessor" in layer for layer in drawn["layers"]):
                names = {layer["seriesType"] for layer in drawn["layers"]} | {drawn["preferredSeriesType"]}
                assert {"stacked" in name for name in names} == {about.mode != "unstacked"}, (about.id, names)


@pytest.mark.parametrize("name", ["bar_unstacked", "area_unstacked", "pie"])
def test_complaints_of_a_series_type_that_kibana_lacks_name_the_panel(name: str) -> None:
    objects = read()
    panels = panels_of(objects, SHOP)
    drawn = panels["shop-funnel"]["embeddableConfig"]["attributes"]["state"]["visualization"]
    drawn["layers"][0]["seriesType"] = name
    objects[SHOP]["attributes"]["panelsJSON"] = json.dumps(list(panels.values()))
    expected = f"dashboard showroom-shop: panel shop-funnel: {name} is no series type of Kibana"
    assert expected in complaints(written(objects))


def test_every_dashboard_leads_to_the_others_and_out() -> None:
    objects = read()
    dashboards = {name for kind, name in objects if kind == "dashboard"}
    for name in dashboards:
        ends = {about["id"] for about in objects["dashboard", name]["references"] if about["type"] == "dashboard"}
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
def test_the_panels_of_a_shop_manager_are_there(panel_id: str, fields: set[str]) -> None:
    found = next(about for board in boards(FOLDER) for about in board.panels if about.id == panel_id)
    asked = json.dumps(found.body)
    assert all(field in asked for field in fields)


def test_nothing_carries_the_time_or_the_name_of_who_made_it() -> None:
    for about in read().values():
        assert not {"created_at", "created_by", "updated_at", "updated_by", "version"} & set(about)


def test_a_line_that_is_not_json_and_one_that_is_no_object_are_noticed() -> None:
    found = complaints(OBJECTS.read_text() + '{"type": "search"}\n{broken\n')
    assert [about.split(" ", 2)[2][:12] for about in found] == ["has no id an", "is not JSON "]


def test_an_object_that_is_there_twice_is_noticed() -> None:
    text = OBJECTS.read_text()
    (found,) = complaints(text + text.splitlines()[0] + "\n")
    assert found.endswith("is there twice")


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (VIEW, "leads to no index-pattern session_summary"),
        (REVIEWS, "leads to no search showroom-newest-reviews"),
        (PRODUCTS, "leads to no dashboard showroom-products"),
    ],
)
def test_a_reference_into_nothing_is_noticed(missing: tuple[str, str], said: str) -> None:
    found = broken(lambda objects: objects.pop(missing))
    assert found
    assert all(said in about for about in found)


def test_a_saved_search_without_its_reference_is_noticed() -> None:
    found = panel(PRODUCTS, "products-newest-reviews", lambda about: about.update(panelRefName="panel_other"))
    assert found == [
        "dashboard showroom-products: panel products-newest-reviews names panel_other, "
        "which is not among the references"
    ]
    found = panel(PRODUCTS, "products-newest-reviews", lambda about: about.pop("panelRefName"))
    assert len(found) == 1


def test_a_link_without_its_reference_is_noticed() -> None:
    def change(about: Any) -> None:
        about["embeddableConfig"]["attributes"]["links"][0]["destinationRefName"] = "elsewhere"

    (found,) = panel(SHOP, "shop-links", change)
    assert "shop-links names elsewhere" in found


def test_a_chart_without_its_data_view_is_noticed() -> None:
    def change(about: Any) -> None:
        about["embeddableConfig"]["attributes"]["references"].clear()

    (found,) = panel(SHOP, "shop-sessions", change)
    assert found.endswith("layer shop-sessions-chart has no data view")


def test_a_control_without_its_data_view_is_noticed() -> None:
    def change(objects: Objects) -> None:
        references = objects[SHOP]["references"]
        objects[SHOP]["references"] = [
            about for about in references if "controlGroup_shop-by-device" not in about["name"]
        ]

    assert broken(change) == ["dashboard showroom-shop: control shop-by-device: has no reference to its data view"]


def test_a_control_of_a_field_that_does_not_exist_is_noticed() -> None:
    def change(objects: Objects) -> None:
        group = objects[CUSTOMERS]["attributes"]["controlGroupInput"]
        controls = json.loads(group["panelsJSON"])
        controls["customers-by-device"]["explicitInput"]["fieldName"] = "device"
        group["panelsJSON"] = json.dumps(controls)

    (found,) = broken(change)
    assert "session_summary has no field 'device'" in found


@pytest.mark.parametrize(
    ("where", "which", "change", "said"),
    [
        ("shop-users", "shop-users-n", {"sourceField": "visitor"}, "has no field 'visitor'"),
        ("shop-users", "shop-users-n", {"operationType": "sum"}, "sum of session_summary.user_id is impossible"),
        ("shop-sales", "shop-sales-n", {"sourceField": "payment"}, "sum of session_summary.payment is impossible"),
        ("shop-traffic", "shop-traffic-at", {"sourceField": "city"}, "date_histogram of session_summary.city"),
        ("shop-sales", "shop-sales-n", {"operationType": "guess"}, "does what nobody checks: guess"),
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
def test_a_column_that_does_not_fit_its_index_is_noticed(
    where: str, which: str, change: dict[str, Any], said: str
) -> None:
    found = column(SHOP, where, which, **change)
    assert len(found) == 1
    assert said in found[0]
    assert where in found[0]


def test_a_filter_that_names_no_field_is_noticed() -> None:
    def change(about: Any) -> None:
        layer(about)["columns"]["shop-payment-by"]["params"]["filters"][0]["input"]["query"] = "paid_by:card"

    (found,) = panel(SHOP, "shop-payment", change)
    assert "has no field 'paid_by'" in found


def test_a_query_of_a_chart_that_names_no_field_is_noticed() -> None:
    def change(about: Any) -> None:
        about["embeddableConfig"]["attributes"]["state"]["query"]["query"] = "bought:true"

    (found,) = panel(SHOP, "shop-purchases", change)
    assert "has no field 'bought'" in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": ["stars"]}, "has no field 'stars'"),
        ({"sort": [["review", "desc"]]}, "an order of product_sentiment.review is impossible"),
    ],
)
def test_a_saved_search_that_does_not_fit_its_index_is_noticed(change: dict[str, Any], said: str) -> None:
    (found,) = broken(lambda objects: objects[REVIEWS]["attributes"].update(change))
    assert said in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"title": "sessions"}, "there is no index 'sessions'"),
        ({"timeFieldName": "started"}, "has no field 'started'"),
        ({"timeFieldName": "duration_s"}, "the time field of session_summary.duration_s is impossible"),
    ],
)
def test_a_data_view_of_another_index_or_time_is_noticed(change: dict[str, Any], said: str) -> None:
    (found,) = broken(lambda objects: objects[VIEW]["attributes"].update(change))
    assert said in found


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"x": 1}, ["panels shop-sessions and shop-users overlap"]),
        ({"h": 7}, ["panels shop-sessions and shop-traffic overlap"]),
        ({"y": 100, "w": 49}, ["panel shop-sessions lies outside the 48 columns"]),
        ({"y": 100, "x": 41}, ["panel shop-sessions lies outside the 48 columns"]),
        ({"y": 100, "x": -1}, ["panel shop-sessions lies outside the 48 columns"]),
        ({"y": 100, "w": 0}, ["panel shop-sessions lies outside the 48 columns"]),
    ],
)
def test_panels_that_overlap_or_stick_out_are_noticed(grid: dict[str, int], said: list[str]) -> None:
    found = panel(SHOP, "shop-sessions", lambda about: about["gridData"].update(grid))
    assert found == [f"dashboard showroom-shop: {about}" for about in said]


def test_neighbours_do_not_overlap() -> None:
    here = Place("here", 8, 8, 8, 8)
    for x, y in ((0, 8), (16, 8), (8, 0), (8, 16)):
        assert not here.overlaps(Place("there", x, y, 8, 8))
    for x, y in ((1, 8), (15, 8), (8, 1), (8, 15), (8, 8)):
        assert here.overlaps(Place("there", x, y, 8, 8))


def test_two_panels_of_one_name_are_noticed() -> None:
    found = panel(SHOP, "shop-week", lambda about: about.update(panelIndex="shop-funnel"))
    assert "dashboard showroom-shop: panel shop-funnel is there twice" in found


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
def test_a_member_that_does_not_hold_json_in_a_string_is_noticed(key: tuple[str, str], member: str, value: Any) -> None:
    def change(objects: Objects) -> None:
        *parents, name = member.split(".")
        holder = objects[key]["attributes"]
        for parent in parents:
            holder = holder[parent]
        holder[name] = value

    (found,) = broken(change)
    assert found.startswith(f"{key[0]} {key[1]}: {member} does not hold JSON in a string")


def test_a_dashboard_without_panels_is_noticed() -> None:
    (found,) = broken(lambda objects: objects[SHOP]["attributes"].pop("panelsJSON"))
    assert found == "dashboard showroom-shop: has no panelsJSON"


def test_a_panel_that_lacks_its_place_is_noticed() -> None:
    (found,) = panel(SHOP, "shop-week", lambda about: about.pop("gridData"))
    assert found == "dashboard showroom-shop: is not built as Kibana builds it (KeyError: 'gridData')"


def test_an_object_of_a_type_nobody_checks_is_noticed() -> None:
    text = OBJECTS.read_text() + json.dumps({"type": "lens", "id": "x", "attributes": {}, "references": []}) + "\n"
    assert complaints(text) == ["lens x: is of a type that nobody checks: lens"]


def test_kibana_asks_what_the_pages_ask() -> None:
    assert disagreements(OBJECTS.read_text(), boards(FOLDER)) == []


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
def test_a_chart_that_asks_something_else_than_the_page_is_noticed(
    where: str, which: str, change: dict[str, Any]
) -> None:
    (found,) = differing(where, lambda about: layer(about)["columns"][which].update(change))
    assert found.startswith(f"panel {where}: Kibana asks for ")


@pytest.mark.parametrize("change", [{"size": 7}, {"orderDirection": "asc"}, {"orderBy": {"type": "alphabetical"}}])
def test_other_values_than_on_the_page_are_noticed(change: dict[str, Any]) -> None:
    (found,) = differing(
        "shop-categories", lambda about: layer(about)["columns"]["shop-categories-by"]["params"].update(change)
    )
    assert "panel shop-categories: Kibana asks for buckets" in found


def test_another_nesting_than_on_the_page_is_noticed() -> None:
    (found,) = differing("shop-week", lambda about: layer(about)["columnOrder"].reverse())
    assert "panel shop-week: Kibana asks for buckets" in found


def test_another_query_or_index_than_on_the_page_is_noticed() -> None:
    def query(about: Any) -> None:
        about["embeddableConfig"]["attributes"]["state"]["query"]["query"] = ""

    def index(about: Any) -> None:
        about["embeddableConfig"]["attributes"]["references"][0]["id"] = "product_details"

    (found,) = differing("shop-purchases", query)
    assert "Kibana asks for query '', the pages for 'purchase_made:true'" in found
    (found,) = differing("shop-sessions", index)
    assert "Kibana asks for source 'product_details', the pages for 'session_summary'" in found


@pytest.mark.parametrize("change", [{"columns": ["review"]}, {"sort": [["started_at", "asc"]]}, {"sampleSize": 10}])
def test_a_saved_search_that_shows_something_else_than_the_page_is_noticed(change: dict[str, Any]) -> None:
    objects = read()
    objects[REVIEWS]["attributes"].update(change)
    (found,) = disagreements(written(objects), boards(FOLDER))
    assert found.startswith("panel products-newest-reviews: Kibana asks for buckets")


def test_looking_changes_nothing() -> None:
    objects = read()
    before = json.dumps(objects[SHOP])
    decoded(objects[SHOP])
    assert json.dumps(objects[SHOP]) == before
