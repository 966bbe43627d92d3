"""Loads and progress of benches. A load is a day of the synthetic shop with the default fault rates."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from kafka import KafkaAdminClient
from kafka.errors import RetriableError

from include.contracts import topics
from include.contracts.errors import NotReadyError
from include.contracts.settings import KafkaSettings, Settings
from include.ingest.generator import synthesize
from include.ingest.ground_truth import GroundTruth
from include.ingest.plan import FaultRates, Plan
from include.ingest.publisher import publish

DAYS = 1
POLL_INTERVAL_S = 0.2


def preload(settings: Settings, *, sessions: int, seed: int, population: int | None = None) -> GroundTruth:
    """Fill sessions.raw before the measurement; return the ground truth."""
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
    publish(settings.kafka, synthesis)
    return synthesis.ground_truth


class GateProgress:
    """Number of raw records that the gate has processed and committed."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)

    def __call__(self) -> int:
        """Return the sum of the committed offsets."""
        try:
            offsets = self._admin.list_group_offsets([topics.GATE_GROUP])[topics.GATE_GROUP]
        except RetriableError:  # because the group has no coordinator before the gate joins it
            return 0
        return sum(max(0, committed.offset) for committed in offsets.values())

    def close(self) -> None:
        """Close the connection."""
        self._admin.close()


def sample_progress(progress: Callable[[], int], goal: int, timeout_s: float = 60.0) -> list[tuple[float, int]]:
    """Sample the progress until it reaches the goal.

    Args:
        progress: Returns the current progress.
        goal: Progress at which sampling ends.
        timeout_s: Maximum time without progress.

    Returns:
        Monotonic time (s) and progress of each sample, from the first progress on.

    Raises:
        NotReadyError: There was no progress for `timeout_s`.
    """
    samples: list[tuple[float, int]] = []
    changed_at, last = time.monotonic(), 0
    while last < goal:
        time.sleep(POLL_INTERVAL_S)
        now, count = time.monotonic(), progress()
        if count > last:
            changed_at, last = now, count
            samples.append((now, count))
        elif now - changed_at > timeout_s:
            raise NotReadyError(
                f"wait for progress failed: none for {timeout_s:g} s after {last} of {goal}", "see the stack's logs"
            )
    return samples


def measure_rate(samples: list[tuple[float, int]], skip: float = 0.1) -> float:
    """Return the progress a second, without the first tenth, in which caches and JIT compilers are cold."""
    goal = samples[-1][1]
    began = next(sample for sample in samples if sample[1] >= skip * goal)
    return (goal - began[1]) / (samples[-1][0] - began[0])
