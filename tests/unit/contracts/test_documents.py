"""Mappings are derived from the document classes; indices are monthly by event time."""

from datetime import UTC, datetime
from fnmatch import fnmatch
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from include.contracts.documents import INDICES, TIME_FIELD, Document, FullText, index_name, index_pattern, mapping


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


def test_every_kind_of_field_has_its_type() -> None:
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
def test_a_type_without_counterpart_is_an_error(kind: Any) -> None:
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
def test_an_index_is_matched_by_the_pattern_of_its_own_alias_only(instant: datetime, alias: str) -> None:
    name = index_name(alias, instant)
    assert [other for other in INDICES if fnmatch(name, index_pattern(other))] == [alias]
    assert name.endswith(f"-{instant.year:04d}.{instant.month:02d}")
