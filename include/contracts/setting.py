"""One setting: its declaration, its text in the environment, and the parsing of that text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import msgspec


class Secret(str):
    """A string that prints as stars; `reveal` gives the value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def reveal(self) -> str:
        """The value itself, for the client that needs it."""
        return str.__str__(self)


def setting(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    high: float | None = None,
    step: int | None = None,
    choices: Sequence[str] = (),
    prefixes: Sequence[str] = (),
) -> Any:
    """Declare a dataclass field that is a setting.

    Args:
        default: Value where the environment has none; an empty address or secret means "not set".
        meaning: One line for the documentation.
        low: Minimum of a number.
        high: Maximum of a number.
        step: A number must be a multiple of it.
        choices: The only allowed texts.
        prefixes: Allowed beginnings of an address.
    """
    metadata = {"meaning": meaning, "low": low, "high": high, "step": step, "choices": choices, "prefixes": prefixes}
    return field(default=default, metadata=metadata)


def text_of(value: object) -> str:
    """The text of a value in the environment, secrets revealed."""
    return value.reveal() if isinstance(value, Secret) else str(value)


def parse(text: str, hint: type, metadata: Mapping[str, Any]) -> Any:
    """Parse the text of a setting.

    Raises:
        ValueError: The text is invalid; the message repeats no secret.
    """
    prefixes = metadata["prefixes"]
    if text and prefixes and not text.startswith(tuple(prefixes)):
        raise ValueError(f"does not start with {', '.join(prefixes[:-1])} or {prefixes[-1]}")
    if hint is Secret or hint is Path:
        return hint(text)
    choices = metadata["choices"]
    if choices and text not in choices:
        raise ValueError(f"is not one of {', '.join(choices)}: {text!r}")
    try:
        value: Any = msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError:
        raise ValueError(f"is not of type {hint.__name__}: {text!r}") from None
    if not isinstance(value, str):
        _check_number(value, text, metadata)
    return value


def _check_number(value: Any, text: str, metadata: Mapping[str, Any]) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"is not a finite number: {text}")
    low, high, step = metadata["low"], metadata["high"], metadata["step"]
    if low is not None and value < low:
        raise ValueError(f"is below {low:g}: {text}")
    if high is not None and value > high:
        raise ValueError(f"is above {high:g}: {text}")
    if step is not None and value % step:
        raise ValueError(f"is not a multiple of {step}: {text}")
