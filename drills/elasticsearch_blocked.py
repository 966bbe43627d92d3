"""`./showroom drill elasticsearch-blocked`: indices that take no documents, three times, under a steady load.

Each fault is a state of the real server:

- a write block on all indices, as a snapshot, a shrink or an administrator sets it (403);
- the cluster's shard limit, while sessions of a month without an index arrive (400);
- the block of a full disk, which Elasticsearch answers with 429. It is set again and again, for Elasticsearch lifts
  it where the disk has room. A 429 of a full write queue takes the same path through the stream.
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
from drills.live import RestartCounter, WaitLog, balance_of, combined, lines_of, pause
from drills.watch import FRESH_S, Sample, Watch, recovery
from include.contracts.index_documents import STREAM_INDICES, index_name
from include.contracts.settings import Settings
from include.ingest.expected_counts import ExpectedCounts
from include.ingest.generator import synthesize
from include.ingest.labelled_record import LabelledRecord
from include.ingest.plan import Plan
from include.ingest.publisher import publish
from include.serving.client import connect
from local.verification.count_check import take_baseline

BEFORE_S, BETWEEN_S, AFTER_S = 20.0, 25.0, 5.0
LIMIT_MARGIN_S = 3.0
"""The first session of another month arrives so long after the planned start of the shard limit."""
PER_SECOND_OF_ANOTHER_MONTH = 1
OTHER_MONTH = timedelta(days=100)
SECONDS_PER_WAIT = 20.0
"""The stream logs a wait every 10 s; half of the lines are required."""
STILL_SHARE = 0.4
"""Elasticsearch lifts the block of a full disk by itself every 30 s, so that single documents may pass."""
TARGETS = {
    "lost": ("at most", 0.0),
    "duplicated": ("at most", 0.0),
    "dead_letters": ("at most", 0.0),
    "restarts": ("at most", 0.0),
}
INDICES = ",".join(f"{alias}-*" for alias in STREAM_INDICES)
LENIENT: dict[str, Any] = {"allow_no_indices": True, "ignore_unavailable": True}


class Fault(NamedTuple):
    """One state of the server: `hold` makes it last for some seconds, `cause` is in the stream's log meanwhile."""

    name: str
    cause: str
    hold: Callable[[Elasticsearch, float], None]


def run(per_s: float, seed: int, fault_s: float) -> str:
    """Do the drill; returns the JSON line."""
    settings = drill_settings()
    with empty_stack(settings) as stack:
        start(stack)
        since = take_baseline(settings)
        load, expected = _load(settings, per_s, seed, fault_s)
        calm, log = RestartCounter(settings), WaitLog(stack.log_path("flink-taskmanager"))
        effects: dict[str, int] = {}
        stood_still: dict[str, float] = {}
        overlapping = 0
        with ThreadPoolExecutor(1) as aside, Watch(settings) as watch, connect(settings) as client:
            published = aside.submit(publish, settings, load, rate=per_s + PER_SECOND_OF_ANOTHER_MONTH)
            pause(BEFORE_S)
            for fault in FAULTS:
                began = time.time()
                overlapping += not _is_fresh(watch.samples, began)
                log.count("")
                on_progress(f"{fault.name} for {fault_s:g} s")
                fault.hold(client, fault_s)
                effects[fault.name] = log.count(fault.cause)
                pause(BETWEEN_S)
                around = [sample for sample in watch.samples if sample.at > began - BEFORE_S]
                stood_still[fault.name] = recovery(around, began).stood_still_s
            published.result()
        lines = lines_of(settings, expected, since)
        figures: dict[str, Any] = {
            "fault_effects": min(effects.values()),
            "waits_logged": effects,
            "least_stood_still_s": min(stood_still.values()),
            "stood_still_s": stood_still,
            "overlapping_faults": overlapping,
            **balance_of(lines),
            "restarts": calm.restarts(),
            "sessions": expected.valid,
            "decisions": calm.decisions(),
        }
    config = {"sessions_per_s": per_s, "fault_s": fault_s, "faults": [fault.name for fault in FAULTS]}
    targets = TARGETS | {
        "fault_effects": ("at least", max(1.0, fault_s // SECONDS_PER_WAIT)),
        "least_stood_still_s": ("at least", STILL_SHARE * fault_s),
    }
    return report("elasticsearch-blocked", figures=figures, targets=targets, seed=seed, config=config, folder=RESULTS)


def _is_fresh(samples: Sequence[Sample], now: float) -> bool:
    """Whether the flow was up to date at `now`, Unix s: a fault before has no effect any more."""
    return bool(samples) and now - samples[-1].newest <= FRESH_S


def _load(settings: Settings, per_s: float, seed: int, fault_s: float) -> tuple[list[LabelledRecord], ExpectedCounts]:
    """The steady load, and each second a session of a month that has no index before the second fault."""
    now = datetime.now(UTC)
    until_limit_s = BEFORE_S + fault_s + BETWEEN_S
    total_s = until_limit_s + 2 * (fault_s + BETWEEN_S) + AFTER_S
    day = timedelta(days=1)
    steady = synthesize(Plan.of(settings, seed=seed, start=now - day, end=now, sessions=round(per_s * total_s)))
    load = list(steady)
    then = now - OTHER_MONTH
    seconds = round(total_s - until_limit_s)
    rare = synthesize(Plan.of(settings, seed=seed + 1, start=then - day, end=then, sessions=seconds))
    # The second fault has begun when the first of them arrives. The steady part goes out at the rate of both.
    first = round((per_s + PER_SECOND_OF_ANOTHER_MONTH) * (until_limit_s + LIMIT_MARGIN_S))
    mixed: list[LabelledRecord] = load[:first]
    others = list(rare)
    step = max(1, (len(load) - first) // max(1, len(others)))
    for number, labelled in enumerate(load[first:]):
        if number % step == 0 and others:
            mixed.append(others.pop(0))
        mixed.append(labelled)
    return [*mixed, *others], combined(steady.ground_truth.expected, rare.ground_truth.expected)


@contextmanager
def _write_block(client: Elasticsearch) -> Iterator[None]:
    client.indices.put_settings(index=INDICES, **LENIENT, settings={"index.blocks.write": True})
    try:
        yield
    finally:
        client.indices.put_settings(index=INDICES, **LENIENT, settings={"index.blocks.write": None})


def _hold_write_block(client: Elasticsearch, seconds: float) -> None:
    with _write_block(client):
        pause(seconds)


def _hold_shard_limit(client: Elasticsearch, seconds: float) -> None:
    month = index_name("session_summary", datetime.now(UTC) - OTHER_MONTH)
    if client.indices.exists(index=month):
        raise ValueError(f"{month} exists already: the shard limit would have no effect")
    client.cluster.put_settings(persistent={"cluster.max_shards_per_node": 1})
    try:
        pause(seconds)
    finally:
        client.cluster.put_settings(persistent={"cluster.max_shards_per_node": None})


def _hold_full_disk(client: Elasticsearch, seconds: float) -> None:
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
    Fault("write block", "403 cluster_block_exception", _hold_write_block),
    Fault("shard limit", "maximum normal shards open", _hold_shard_limit),
    Fault("full disk", "429 cluster_block_exception", _hold_full_disk),
)
