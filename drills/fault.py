"""What a fault is, and what it hands back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.stack import Stack


@dataclass(frozen=True)
class InjectedFault:
    """A fault that was caused. Both are called once the load has ended and everything is settled.

    `effects`: how often the fault took effect; a drill with none fails. `figures`: further figures of the drill.
    """

    effects: Callable[[], int]
    figures: Callable[[], Mapping[str, Any]] = dict


Injection = Callable[[Stack], InjectedFault]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One drill: what is done to the platform, and what of the platform runs.

    `programs`: None for all of them with Airflow, else the stream job is started by the drill. `settings`: changes
    of the drill's settings. `targets`: bounds of the figures of `strike`.
    """

    inject: Injection
    programs: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, tuple[str, float]] = field(default_factory=dict)
