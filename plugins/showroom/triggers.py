"""The trigger that observes the stream between two supervision cycles."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from airflow.triggers.base import BaseTrigger, TriggerEvent

from include.supervise.decision_log import DecisionRecord
from include.supervise.supervisor import observe_and_decide
from showroom.settings import load_settings, state_folder

FIRST_DELAY_S = 10.0
MAX_OBSERVATIONS = 8


class StreamHealthTrigger(BaseTrigger):
    """Observe every `every_s` until `until` (Unix s); fire at once when the stream requires an action.

    `already_sent` are alerts of the newest decision. The event's payload is that of `payload`.
    """

    def __init__(self, until: float, every_s: float, already_sent: Sequence[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.until = until
        self.every_s = every_s
        self.already_sent = list(already_sent)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return how the triggerer restores this trigger."""
        kwargs = {"until": self.until, "every_s": self.every_s, "already_sent": self.already_sent}
        return f"{StreamHealthTrigger.__module__}.{StreamHealthTrigger.__qualname__}", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Observe; yield one event."""
        # A trigger that fires within some seconds of its deferral can fail its task.
        await asyncio.sleep(FIRST_DELAY_S)
        settings = load_settings()
        state = state_folder(settings)
        records: list[DecisionRecord] = []
        while True:
            earlier = [record.observation for record in records]
            records.append(await asyncio.to_thread(observe_and_decide, settings, state, earlier))
            records = records[-MAX_OBSERVATIONS:]
            if requires_action(records[-1], self.already_sent) or time.time() + self.every_s > self.until:
                yield TriggerEvent(payload(records))  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(self.every_s)


def requires_action(record: DecisionRecord, already_sent: Sequence[str]) -> bool:
    """Return whether a supervision cycle is due now: to restart the stream, or to send a new alert."""
    return record.decision.should_restart or any(
        finding.alert not in already_sent for finding in record.decision.alerts
    )


def payload(records: Sequence[DecisionRecord]) -> dict[str, Any]:
    """Return the last decision and all observations, as plain data."""
    last = records[-1].decision
    observations = [msgspec.to_builtins(record.observation, str_keys=True) for record in records]
    return {"action": last.action, "alert": last.alert, "reason": last.reason, "observations": observations}
