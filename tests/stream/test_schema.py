"""SQL column types of record classes."""

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


def test_flink_columns_maps_every_field_type() -> None:
    inner = "ROW<`made` BOOLEAN, `amount` DOUBLE>"
    assert flink_columns(Outer) == (
        "`v` BIGINT, `kind` STRING, `at` TIMESTAMP_LTZ(3), "
        f"`inner` {inner}, `names` ARRAY<STRING>, `many` ARRAY<{inner}>"
    )


def test_flink_columns_of_a_session_succeed() -> None:
    assert flink_columns(ValidSession).count("`session_id` STRING") == 1


def test_kpi_columns_are_fields_of_a_session() -> None:
    assert set(KPI_COLUMNS) <= set(ValidSession.__struct_fields__)
    with pytest.raises(KeyError):
        flink_columns(ValidSession, ("no_such_field",))


def test_flink_columns_of_an_unsupported_type_raises_type_error() -> None:
    class Unsupported(Struct):
        value: bytes

    with pytest.raises(TypeError, match="bytes"):
        flink_columns(Unsupported)
