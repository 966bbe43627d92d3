"""Flink column lists out of the record classes, so that table and contract cannot drift apart."""

import typing
from collections.abc import Sequence
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any

from msgspec import Struct

INSTANT = "TIMESTAMP_LTZ(3)"
_TYPES: dict[type, str] = {
    str: "STRING",
    int: "BIGINT",
    float: "DOUBLE",
    bool: "BOOLEAN",
    datetime: INSTANT,
}


def flink_columns(struct: type[Struct], names: Sequence[str] | None = None) -> str:
    """The named fields of a record class (all by default) as the column list of a JSON table.

    Every column is nullable: a JSON source fails its job on a NULL in a NOT NULL column, and one broken
    record must not. Raises KeyError for a name the class does not have, TypeError for a type SQL lacks.
    """
    hints = typing.get_type_hints(struct, include_extras=True)
    return ", ".join(f"`{name}` {flink_type(hints[name])}" for name in (names or hints))


def flink_type(hint: Any) -> str:
    """The SQL type of one annotation."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is Annotated:
        return flink_type(arguments[0])
    if origin in (typing.Union, UnionType):
        return flink_type(next(part for part in arguments if part is not NoneType))
    if origin is typing.Literal:
        return _TYPES[type(arguments[0])]
    if origin is list:
        return f"ARRAY<{flink_type(arguments[0])}>"
    if isinstance(hint, type) and issubclass(hint, Struct):
        return f"ROW<{flink_columns(hint)}>"
    if hint in _TYPES:
        return _TYPES[hint]
    raise TypeError(f"no SQL type for {hint!r}")
