"""Freshness: the time from production to searchability of a sample of sessions."""

import statistics
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from include.clients.elasticsearch import connect
from include.contracts.errors import TransientError
from include.contracts.settings import ElasticsearchSettings
from include.ingest.labelled_record import VALID, LabelledRecord
from include.serving import queries

POLL_S = 0.1
MAX_IDS_PER_QUERY = 5_000


@dataclass(frozen=True)
class Freshness:
    """Seconds from production to searchability over a sample; `lost` are those not searchable in time."""

    sampled: int
    lost: int
    p50_s: float
    p95_s: float


class FreshnessProbe:
    """Tracks every n-th admitted session. Resolution: the polling interval of 0.1 s."""

    def __init__(self, settings: ElasticsearchSettings, every: int = 1) -> None:
        self._settings = settings
        self._every = every
        self._admitted_count = 0
        self._sampled_ids: set[str] = set()
        self.waiting: dict[str, float] = {}
        """Sessions not searchable yet: session id -> time of production, Unix s."""
        self.delays: dict[str, tuple[float, float]] = {}
        """Searchable sessions: session id -> time of production, Unix s, and seconds until searchable."""
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="freshness", daemon=True)

    def __enter__(self) -> "FreshnessProbe":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def watch(self, labelled_records: Iterable[LabelledRecord]) -> Iterator[LabelledRecord]:
        """Yield the same records; store those that must become searchable until they are produced."""
        for labelled in labelled_records:
            if labelled.verdict == VALID:
                self._admitted_count += 1
                if self._admitted_count % self._every == 0:
                    self._sampled_ids.add(labelled.session_id)
            yield labelled

    def produced(self, session_id: str, produced_at: float) -> None:
        """Record that Kafka acknowledged a session, at a Unix time of the broker's clock."""
        if session_id in self._sampled_ids:
            self._sampled_ids.discard(session_id)  # a later repetition is not tracked
            with self._lock:
                self.waiting[session_id] = produced_at

    def result(self, deadline_s: float) -> Freshness:
        """Wait until all sampled sessions are searchable, or for the deadline; end the tracking."""
        until = time.monotonic() + deadline_s
        while self.waiting and time.monotonic() < until:
            self._done.wait(POLL_S)
        self._done.set()
        self._thread.join()
        delays = sorted(delay for _, delay in self.delays.values())
        cuts = statistics.quantiles(delays, n=20, method="inclusive") if len(delays) > 1 else delays * 19
        return Freshness(
            sampled=len(delays) + len(self.waiting),
            lost=len(self.waiting),
            p50_s=cuts[9] if cuts else float("nan"),
            p95_s=cuts[18] if cuts else float("nan"),
        )

    def _follow(self) -> None:
        with connect(self._settings) as client:
            while not self._done.wait(POLL_S):
                with self._lock:
                    expected = list(self.waiting)[:MAX_IDS_PER_QUERY]
                if not expected:
                    continue
                try:
                    result = queries.searchable_sessions(client, expected)
                except TransientError:
                    continue
                now = time.time()
                with self._lock:
                    for session_id in result:
                        produced_at = self.waiting.pop(session_id)
                        self.delays[session_id] = (produced_at, now - produced_at)
