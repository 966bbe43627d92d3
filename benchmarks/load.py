"""Loads for benches: a day of the synthetic shop with its usual faults."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from kafka import KafkaAdminClient
from kafka.errors import RetriableError

from include.contracts import topics
from include.contracts.errors import NotReadyError
from include.contracts.settings import Settings
from include.ingest.generator import synthesize
from include.ingest.ground_truth import GroundTruth
from include.ingest.plan import FaultRates, Plan
from include.ingest.publisher import publish

DAYS = 1
POLL_S = 0.2


def preload(settings: Settings, *, sessions: int, seed: int, population: int | None = None) -> GroundTruth:
    """Fill sessions.raw before the measurement; returns the truth about it."""
    end = datetime.now(UTC)
    plan = Plan.of(
        settings,
        seed=seed,
        start=end - timedelta(days=DAYS),
        end=end,
        sessions=sessions,
        population=population,
        faults=FaultRates(),
    )
    synthesis = synthesize(plan)
    publish(settings, synthesis)
    return synthesis.ground_truth


class GateProgress:
    """Raw records the gate has decided and committed."""

    def __init__(self, settings: Settings) -> None:
        self._admin = KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)

    def __call__(self) -> int:
        """Sum of the committed offsets."""
        try:
            offsets = self._admin.list_group_offsets([topics.GATE_GROUP])[topics.GATE_GROUP]
        except RetriableError:  # the group has no coordinator before the gate has joined it
            return 0
        return sum(max(0, location.offset) for location in offsets.values())

    def close(self) -> None:
        """Give the connection back."""
        self._admin.close()


def timed(progress: Callable[[], int], goal: int, patience_s: float = 60.0) -> list[tuple[float, int]]:
    """(monotonic seconds, progress) from the first progress to the goal.

    Raises NotReadyError once nothing has moved for `patience_s`.
    """
    samples: list[tuple[float, int]] = []
    moved, last = time.monotonic(), 0
    while last < goal:
        time.sleep(POLL_S)
        now, count = time.monotonic(), progress()
        if count > last:
            moved, last = now, count
            samples.append((now, count))
        elif now - moved > patience_s:
            raise NotReadyError(f"{last} of {goal} done, then nothing for {patience_s:g} s", "see the stack's logs")
    return samples


def rate(samples: list[tuple[float, int]], skip: float = 0.1) -> float:
    """Progress a second, without the first tenth, in which caches and compilers are cold."""
    goal = samples[-1][1]
    began = next(sample for sample in samples if sample[1] >= skip * goal)
    return (goal - began[1]) / (samples[-1][0] - began[0])
