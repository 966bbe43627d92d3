"""What Elasticsearch shows of the stream while something dies: how far the newest session has come, again and again."""

import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from include.clients.elasticsearch import connect
from include.contracts.errors import ShowroomError
from include.contracts.settings import Settings
from include.serving import queries

EVERY_S = 0.5
STILL_S = 3.0
FRESH_S = 5.0


class Sample(NamedTuple):
    """At `at`, the newest searchable session had arrived at `newest`; both in Unix s."""

    at: float
    newest: float


class Recovery(NamedTuple):
    """What a fault did to the flow, in s after it.

    `stood_still_s`: longest time without a newer searchable session. `rising_s`: when newer ones came again after
    that, 0 where the flow never stood still for 3 s. `fresh_s`: from when on the newest session was never older than
    5 s again; None when that did not happen.
    """

    stood_still_s: float
    rising_s: float
    fresh_s: float | None


class Watch:
    """Samples in the background until it is left; gaps in the samples are times in which nobody answered."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._samples: list[Sample] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def samples(self) -> Sequence[Sample]:
        """All samples so far, oldest first."""
        return tuple(self._samples)

    def _follow(self) -> None:
        with connect(self._settings) as client:
            while not self._done.wait(EVERY_S):
                try:
                    newest = queries.latest_session(client)
                except ShowroomError:
                    continue
                if newest:
                    self._samples.append(Sample(time.time(), newest.received_at.timestamp()))


def recovery(samples: Sequence[Sample], fault_at: float) -> Recovery:
    """Read the samples around a fault (Unix s). The load must have gone on until the last of them.

    Raises ValueError without samples on both sides of the fault.
    """
    before = [sample for sample in samples if sample.at <= fault_at]
    after = [sample for sample in samples if sample.at > fault_at]
    if not before or not after:
        raise ValueError("no samples on both sides of the fault")
    rises = [before[-1]]
    for sample in after:
        if sample.newest > rises[-1].newest:
            rises.append(sample)
    pauses = [(later.at - earlier.at, later.at) for earlier, later in pairwise(rises)]
    # One that lasts to the end has not recovered at all; its end is the last look.
    pauses.append((after[-1].at - rises[-1].at, after[-1].at))
    stood_still_s, until = max(pauses)
    stale = [sample.at for sample in after if sample.at - sample.newest > FRESH_S]
    rising_at = until if stood_still_s >= STILL_S else fault_at
    fresh_at = None if after[-1].at - after[-1].newest > FRESH_S else max([rising_at, *stale])
    return Recovery(
        stood_still_s=round(stood_still_s, 1),
        rising_s=round(rising_at - fault_at, 1),
        fresh_s=None if fresh_at is None else round(fresh_at - fault_at, 1),
    )
