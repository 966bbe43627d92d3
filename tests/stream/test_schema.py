"""SQL types follow the record classes."""

from datetime import datetime
from typing import Literal

import pytest
from msgspec import Struct

from flink.schema import flink_columns
from flink.statements import KPI_COLUMNS
from include.contracts.session import ValidSession


class Inner(Struct):
    made: bool
    amount: float | None


class Outer(Struct):
    v: Literal[1]
    kind: Literal["a", "b"]
    at: datetime
    inner: Inner
    names: list[str]
    many: list[Inner]


def test_every_kind_of_field_has_its_type() -> None:
    inner = "ROW<`made` BOOLEAN, `amount` DOUBLE>"
    assert flink_columns(Outer) == (
        "`v` BIGINT, `kind` STRING, `at` TIMESTAMP_LTZ(3), "
        f"`inner` {inner}, `names` ARRAY<STRING>, `many` ARRAY<{inner}>"
    )


def test_the_whole_session_can_be_a_table() -> None:
    assert flink_columns(ValidSession).count("`session_id` STRING") == 1


def test_the_minutes_read_only_fields_the_session_has() -> None:
    assert set(KPI_COLUMNS) <= set(ValidSession.__struct_fields__)
    with pytest.raises(KeyError):
        flink_columns(ValidSession, ("no_such_field",))


def test_a_type_without_counterpart_is_refused() -> None:
    class Odd(Struct):
        value: bytes

    with pytest.raises(TypeError, match="bytes"):
        flink_columns(Odd)
