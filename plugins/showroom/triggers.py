"""The trigger that watches the stream between two runs of its supervisor."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from airflow.triggers.base import BaseTrigger, TriggerEvent

from include.supervise.supervisor import look
from include.supervise.decision_log import Entry
from showroom.environment import settings, state_folder

FIRST_PAUSE_S = 10.0
REMEMBERED = 8


class StreamHealthTrigger(BaseTrigger):
    """Looks every `every_s` until `until` (Unix s); fires at once when the stream needs a hand or a new page.

    `known` are alarms that people have been told of. The event's payload is that of `payload`.
    """

    def __init__(self, until: float, every_s: float, known: Sequence[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until = until
        self.every_s = every_s
        self.known = list(known)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How the triggerer makes this trigger anew."""
        kwargs = {"until": self.until, "every_s": self.every_s, "known": self.known}
        return f"{StreamHealthTrigger.__module__}.{StreamHealthTrigger.__qualname__}", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch; one event."""
        # A trigger that fires within some seconds of its deferral can fail its task.
        await asyncio.sleep(FIRST_PAUSE_S)
        current = settings()
        state = state_folder(current)
        entries: list[Entry] = []
        while True:
            remembered = [entry.observation for entry in entries]
            entries.append(await asyncio.to_thread(look, current, state, remembered))
            entries = entries[-REMEMBERED:]
            if needs_act(entries[-1], self.known) or time.time() + self.every_s > self.until:
                yield TriggerEvent(payload(entries))  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(self.every_s)


def needs_act(entry: Entry, known: Sequence[str]) -> bool:
    """Whether a supervisor should act on this now: start the stream, or tell people something new."""
    return entry.decision.acts or any(page.alarm not in known for page in entry.decision.pages)


def payload(entries: Sequence[Entry]) -> dict[str, Any]:
    """What the last look decided and why, and what all of them saw, as plain data."""
    last = entries[-1].decision
    seen = [msgspec.to_builtins(entry.observation, str_keys=True) for entry in entries]
    return {"action": last.action, "alarm": last.alarm, "reason": last.reason, "observations": seen}
