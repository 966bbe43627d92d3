"""`./showroom drill elasticsearch-blocked`: three faults that block indexing, under a steady load.

Each fault is a state of the real server:

- a write block on all indices, as set by a snapshot, a shrink or an administrator (403);
- the cluster's shard limit, while sessions of a month without an index arrive (400);
- the flood-stage block of a full disk (429). The drill sets it every second, because Elasticsearch removes it while
  the disk has space. The stream handles the 429 of a full write queue in the same way.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from elasticsearch import Elasticsearch

from benchmarks.bench_stack import empty_stack, on_progress
from benchmarks.result import report
from drills.drill import RESULTS, drill_settings, start
from drills.live import RestartCounter, WaitLog, check_counts, combine_expected, count_differences, pause
from drills.watch import MAX_FRESH_AGE_S, FreshnessMonitor, Sample, measure_recovery
from include.clients.elasticsearch import connect
from include.contracts.index_documents import STREAM_INDICES, index_name
from include.contracts.settings import Settings
from include.ingest.expected_counts import ExpectedCounts
from include.ingest.generator import synthesize
from include.ingest.labelled_record import LabelledRecord
from include.ingest.plan import Plan
from include.ingest.publisher import publish
from local.verification.count_check import take_baseline

BEFORE_S, BETWEEN_S, AFTER_S = 20.0, 25.0, 5.0
LIMIT_MARGIN_S = 3.0
"""Delay from the planned start of the shard limit to the first session of the other month."""
PER_SECOND_OF_ANOTHER_MONTH = 1
OTHER_MONTH = timedelta(days=100)
SECONDS_PER_WAIT = 20.0
"""Seconds of a fault for each required log line: half of the lines, because the stream logs a wait every 10 s."""
MIN_STALL_SHARE = 0.4
"""Required stall, as a share of the fault: Elasticsearch removes the disk block every 30 s, so some writes succeed."""
TARGETS = {
    "lost": ("at most", 0.0),
    "duplicated": ("at most", 0.0),
    "dead_letters": ("at most", 0.0),
    "restarts": ("at most", 0.0),
}
INDICES = ",".join(f"{alias}-*" for alias in STREAM_INDICES)
LENIENT: dict[str, Any] = {"allow_no_indices": True, "ignore_unavailable": True}


class Fault(NamedTuple):
    """A state of the server.

    Attributes:
        name: Name in the result.
        cause: Text in the stream's log during the fault.
        apply: Function that sets the state for some seconds and then restores the server.
    """

    name: str
    cause: str
    apply: Callable[[Elasticsearch, float], None]


def run(per_s: float, seed: int, fault_s: float) -> str:
    """Run the drill.

    Args:
        per_s: Sessions a second.
        seed: Seed of the synthetic shop.
        fault_s: Duration of each fault.

    Returns:
        The result as one JSON line.
    """
    settings = drill_settings()
    with empty_stack(settings) as stack:
        start(stack)
        since = take_baseline(settings)
        load, expected = _build_load(settings, per_s, seed, fault_s)
        restart_counter, wait_log = RestartCounter(settings), WaitLog(stack.log_path("flink-taskmanager"))
        effects: dict[str, int] = {}
        stalls_s: dict[str, float] = {}
        overlapping = 0
        with (
            ThreadPoolExecutor(1) as executor,
            FreshnessMonitor(settings.elasticsearch) as monitor,
            connect(settings.elasticsearch) as client,
        ):
            publication = executor.submit(publish, settings.kafka, load, rate=per_s + PER_SECOND_OF_ANOTHER_MONTH)
            pause(BEFORE_S)
            for fault in FAULTS:
                began = time.time()
                overlapping += not _is_fresh(monitor.samples, began)
                wait_log.count("")
                on_progress(f"{fault.name} for {fault_s:g} s")
                fault.apply(client, fault_s)
                effects[fault.name] = wait_log.count(fault.cause)
                pause(BETWEEN_S)
                around = [sample for sample in monitor.samples if sample.timestamp > began - BEFORE_S]
                stalls_s[fault.name] = measure_recovery(around, began).stall_s
            publication.result()
        lines = check_counts(settings, expected, since)
        figures: dict[str, Any] = {
            "fault_effects": min(effects.values()),
            "waits_logged": effects,
            "least_stood_still_s": min(stalls_s.values()),
            "stood_still_s": stalls_s,
            "overlapping_faults": overlapping,
            **count_differences(lines),
            "restarts": restart_counter.restarts(),
            "sessions": expected.valid,
            "decisions": restart_counter.decisions(),
        }
    config = {"sessions_per_s": per_s, "fault_s": fault_s, "faults": [fault.name for fault in FAULTS]}
    targets = TARGETS | {
        "fault_effects": ("at least", max(1.0, fault_s // SECONDS_PER_WAIT)),
        "least_stood_still_s": ("at least", MIN_STALL_SHARE * fault_s),
    }
    return report("elasticsearch-blocked", figures=figures, targets=targets, seed=seed, config=config, folder=RESULTS)


def _is_fresh(samples: Sequence[Sample], now: float) -> bool:
    """Return whether indexing was up to date at `now` (Unix s), so that no earlier fault has an effect."""
    return bool(samples) and now - samples[-1].newest <= MAX_FRESH_AGE_S


def _build_load(
    settings: Settings, per_s: float, seed: int, fault_s: float
) -> tuple[list[LabelledRecord], ExpectedCounts]:
    """Return the steady load, with one session a second of a month that has no index before the second fault."""
    now = datetime.now(UTC)
    until_limit_s = BEFORE_S + fault_s + BETWEEN_S
    total_s = until_limit_s + 2 * (fault_s + BETWEEN_S) + AFTER_S
    day = timedelta(days=1)
    steady = synthesize(Plan.of(settings, seed=seed, start=now - day, end=now, sessions=round(per_s * total_s)))
    load = list(steady)
    other_month = now - OTHER_MONTH
    seconds = round(total_s - until_limit_s)
    month_sessions = synthesize(
        Plan.of(settings, seed=seed + 1, start=other_month - day, end=other_month, sessions=seconds)
    )
    # The first of them must arrive after the start of the second fault. The publisher sends at the sum of both rates.
    first = round((per_s + PER_SECOND_OF_ANOTHER_MONTH) * (until_limit_s + LIMIT_MARGIN_S))
    mixed: list[LabelledRecord] = load[:first]
    other_sessions = list(month_sessions)
    step = max(1, (len(load) - first) // max(1, len(other_sessions)))
    for number, labelled in enumerate(load[first:]):
        if number % step == 0 and other_sessions:
            mixed.append(other_sessions.pop(0))
        mixed.append(labelled)
    return [*mixed, *other_sessions], combine_expected(
        steady.ground_truth.expected, month_sessions.ground_truth.expected
    )


@contextmanager
def _write_block(client: Elasticsearch) -> Iterator[None]:
    client.indices.put_settings(index=INDICES, **LENIENT, settings={"index.blocks.write": True})
    try:
        yield
    finally:
        client.indices.put_settings(index=INDICES, **LENIENT, settings={"index.blocks.write": None})


def _apply_write_block(client: Elasticsearch, seconds: float) -> None:
    with _write_block(client):
        pause(seconds)


def _apply_shard_limit(client: Elasticsearch, seconds: float) -> None:
    month = index_name("session_summary", datetime.now(UTC) - OTHER_MONTH)
    if client.indices.exists(index=month):
        raise ValueError(f"{month} exists already: the shard limit would have no effect")
    client.cluster.put_settings(persistent={"cluster.max_shards_per_node": 1})
    try:
        pause(seconds)
    finally:
        client.cluster.put_settings(persistent={"cluster.max_shards_per_node": None})


def _apply_full_disk(client: Elasticsearch, seconds: float) -> None:
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            client.indices.put_settings(
                index=INDICES, **LENIENT, settings={"index.blocks.read_only_allow_delete": True}
            )
            pause(1.0)
    finally:
        client.indices.put_settings(index=INDICES, **LENIENT, settings={"index.blocks.read_only_allow_delete": None})


FAULTS = (
    Fault("write block", "403 cluster_block_exception", _apply_write_block),
    Fault("shard limit", "maximum normal shards open", _apply_shard_limit),
    Fault("full disk", "429 cluster_block_exception", _apply_full_disk),
)
