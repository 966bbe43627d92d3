"""Derive Flink column lists from the record classes of the contracts."""

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
    """Return fields of a record class (all by default) as the column list of a JSON table.

    Every column is nullable, because a NULL in a NOT NULL column fails the job of a JSON source.

    Raises:
        KeyError: The class has no field of this name.
        TypeError: A field has a type without an SQL type.
    """
    hints = typing.get_type_hints(struct, include_extras=True)
    return ", ".join(f"`{name}` {flink_type(hints[name])}" for name in (names or hints))


def flink_type(hint: Any) -> str:
    """Return the SQL type of an annotation. Raises TypeError if there is none."""
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
