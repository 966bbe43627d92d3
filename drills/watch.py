"""Freshness samples of Elasticsearch during a fault, and the recovery computed from them."""

import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from include.clients.elasticsearch import connect
from include.contracts.errors import ShowroomError
from include.contracts.settings import ElasticsearchSettings
from include.serving import queries

SAMPLE_INTERVAL_S = 0.5
MIN_STALL_S = 3.0
MAX_FRESH_AGE_S = 5.0


class Sample(NamedTuple):
    """One observation.

    Attributes:
        timestamp: Time of the observation, Unix s.
        newest: Arrival time of the newest searchable session, Unix s.
    """

    timestamp: float
    newest: float


class Recovery(NamedTuple):
    """Effect of a fault on indexing, in seconds.

    Attributes:
        stall_s: Longest time without a newer searchable session.
        recovery_s: Time from the fault to the end of that stall; 0 if no stall reached 3 s.
        lag_recovery_s: Time from the fault until the newest session stayed younger than 5 s; None if it did not.
    """

    stall_s: float
    recovery_s: float
    lag_recovery_s: float | None


class FreshnessMonitor:
    """Background sampling for the duration of a `with` block; failed requests leave gaps in the samples."""

    def __init__(self, settings: ElasticsearchSettings) -> None:
        self._settings = settings
        self._samples: list[Sample] = []
        self._stop_event = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "FreshnessMonitor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_event.set()
        self._thread.join()

    @property
    def samples(self) -> Sequence[Sample]:
        """All samples so far, oldest first."""
        return tuple(self._samples)

    def _run(self) -> None:
        with connect(self._settings) as client:
            while not self._stop_event.wait(SAMPLE_INTERVAL_S):
                try:
                    newest = queries.latest_session(client)
                except ShowroomError:
                    continue
                if newest:
                    self._samples.append(Sample(time.time(), newest.received_at.timestamp()))


def measure_recovery(samples: Sequence[Sample], fault_at: float) -> Recovery:
    """Return the recovery after a fault.

    Args:
        samples: Samples around the fault. The load must last until the last sample.
        fault_at: Time of the fault, Unix s.

    Raises:
        ValueError: There are no samples on both sides of the fault.
    """
    before = [sample for sample in samples if sample.timestamp <= fault_at]
    after = [sample for sample in samples if sample.timestamp > fault_at]
    if not before or not after:
        raise ValueError("no samples on both sides of the fault")
    increases = [before[-1]]
    for sample in after:
        if sample.newest > increases[-1].newest:
            increases.append(sample)
    stalls = [(later.timestamp - earlier.timestamp, later.timestamp) for earlier, later in pairwise(increases)]
    # A stall without recovery ends at the last sample.
    stalls.append((after[-1].timestamp - increases[-1].timestamp, after[-1].timestamp))
    stall_s, stall_end = max(stalls)
    stale_timestamps = [sample.timestamp for sample in after if sample.timestamp - sample.newest > MAX_FRESH_AGE_S]
    recovered_at = stall_end if stall_s >= MIN_STALL_S else fault_at
    lag_recovered_at = (
        None if after[-1].timestamp - after[-1].newest > MAX_FRESH_AGE_S else max([recovered_at, *stale_timestamps])
    )
    return Recovery(
        stall_s=round(stall_s, 1),
        recovery_s=round(recovered_at - fault_at, 1),
        lag_recovery_s=None if lag_recovered_at is None else round(lag_recovered_at - fault_at, 1),
    )
