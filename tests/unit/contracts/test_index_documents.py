"""Mappings are derived from the document classes; indices are monthly by event time."""

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from include.contracts.index_documents import (
    INDICES,
    MAX_ID_BYTES,
    MONTHS_APART,
    TIME_FIELD,
    Document,
    FullText,
    index_name,
    index_pattern,
    kpi_id,
    mapping,
)


class EveryKind(Document, frozen=True):
    text: str
    number: int
    amount: float
    flag: bool
    instant: datetime
    maybe: int | None
    many: list[str]
    one_of: Literal["a", "b"]
    prose: FullText
    maybe_prose: FullText | None
    bounded: Annotated[int, Meta(ge=0)]


def test_mapping_of_each_field_kind_has_its_type() -> None:
    properties = mapping(EveryKind)["properties"]
    types = {name: field["type"] for name, field in properties.items()}
    assert types == {
        "text": "keyword",
        "number": "long",
        "amount": "double",
        "flag": "boolean",
        "instant": "date",
        "maybe": "long",
        "many": "keyword",
        "one_of": "keyword",
        "prose": "text",
        "maybe_prose": "text",
        "bounded": "long",
    }
    columns = {name for name, field in properties.items() if field.get("index") is False}
    assert columns == {"number", "amount", "maybe", "bounded"}


class Inner(Struct):
    a: int


@pytest.mark.parametrize("kind", [dict, bytes, Inner, Any, list[bytes]])
def test_mapping_of_unsupported_type_raises(kind: Any) -> None:
    unknown: Any = msgspec.defstruct("Unknown", [("field", kind)])
    with pytest.raises(TypeError, match="no Elasticsearch type"):
        mapping(unknown)


@pytest.mark.parametrize("alias", INDICES)
def test_mappings_are_strict_and_whole(alias: str) -> None:
    made = mapping(INDICES[alias])
    assert made["dynamic"] == "strict"
    assert list(made["properties"]) == list(INDICES[alias].__struct_fields__)
    assert made["properties"][TIME_FIELD[alias]] == {"type": "date"}


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(sorted(INDICES)))
def test_index_pattern_matches_its_alias_only(instant: datetime, alias: str) -> None:
    name = index_name(alias, instant)
    assert [other for other in INDICES if fnmatch(name, index_pattern(other))] == [alias]
    assert name.endswith(f"-{instant.year:04d}.{instant.month:02d}")


@given(
    st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1)),
    st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=7_300)),
    st.sampled_from(sorted(INDICES)),
)
def test_index_name_of_240_months_is_one_of_few(arrived: datetime, before: timedelta, alias: str) -> None:
    name = index_name(alias, arrived - before, arrived)
    months = (arrived - before, arrived)
    apart = (months[1].year - months[0].year) * 12 + months[1].month - months[0].month
    assert name == (f"{alias}-older" if apart > MONTHS_APART else index_name(alias, arrived - before))
    assert [other for other in INDICES if fnmatch(name, index_pattern(other))] == [alias]


@pytest.mark.parametrize("category", ["office", "a|b", "\N{CJK UNIFIED IDEOGRAPH-5BB6}" * 85])
def test_kpi_id_of_a_short_category_is_readable(category: str) -> None:
    assert kpi_id("2026-11-23T08:15:00Z", category, "2026-11-23") == f"2026-11-23T08:15:00Z|{category}|2026-11-23"


@given(st.text(max_size=200), st.text(max_size=200))
def test_kpi_id_of_any_category_is_short_and_unique(first: str, second: str) -> None:
    ids = [kpi_id("2026-11-23T08:15:00Z", category, "2026-11-23") for category in (first, second)]
    assert all(len(each.encode()) <= MAX_ID_BYTES for each in ids)
    assert (ids[0] == ids[1]) == (first == second)


def test_kpi_id_of_the_longest_category_is_within_the_limit() -> None:
    longest = "\N{GRINNING FACE}" * 200
    ids = {kpi_id("2026-11-23T08:15:00Z", category, "2026-11-23") for category in (longest, longest[:-1])}
    assert len(ids) == 2
    assert max(len(each.encode()) for each in ids) <= MAX_ID_BYTES
    assert all(each.startswith("2026-11-23T08:15:00Z|\N{GRINNING FACE}") for each in ids)
