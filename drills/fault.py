"""Types of a fault and of its effects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.stack import Stack


@dataclass(frozen=True)
class InjectedFault:
    """An injected fault. The drill calls both functions after the load has been processed.

    Attributes:
        effects: Returns how often the fault took effect. A drill without an effect fails.
        metrics: Returns further figures of the result.
    """

    effects: Callable[[], int]
    metrics: Callable[[], Mapping[str, Any]] = dict


Injection = Callable[[Stack], InjectedFault]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault and the platform it needs.

    Attributes:
        inject: Injects the fault.
        programs: Programs to start. None starts all of them, and Airflow starts the stream job; otherwise the drill
            starts the job.
        settings: Changes of the drill's settings.
        targets: Additional targets of the result.
    """

    inject: Injection
    programs: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, tuple[str, float]] = field(default_factory=dict)
