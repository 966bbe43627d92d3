"""Kafka to MongoDB by the function that the DAG's task calls, on a backlog.

Kafka and MongoDB's stand-in run, nothing else. The rate to keep up with is the one in `results/live.json`. The DAG does
not archive all the time: a run ends at its deadline, and the next run starts with the next interval. The rate of the
bench must therefore exceed the rate of `bench live` by interval / deadline.
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from kafka import KafkaProducer

from benchmarks.bench_stack import bench_settings, empty_stack, on_progress
from benchmarks.fill_archive import records
from benchmarks.load import DAYS
from benchmarks.result import FOLDER, PACKAGES, machine, report
from benchmarks.usage import cpu_us_per_session, usage
from include.archive import queries, store
from include.archive.consume import LoadReport, load
from include.archive.lag import database_lag
from include.contracts.collections import LOAD_DAG, LOAD_DEADLINE_S
from include.contracts.errors import PrerequisiteError
from include.contracts.settings import Settings
from include.contracts.topics import VALID
from include.ingest.generator import synthesize
from include.ingest.plan import FaultRates, Plan
from local.project import ROOT
from local.stack import ARCHIVE
from tools import dag_reference

TARGETS = {"unaccounted": ("at most", 0.0), "lag": ("at most", 0.0)}
PROGRAMS = ("kafka", *ARCHIVE)
TRANSACTION = 2_000


def run(sessions: int, warm_up: int, seed: int) -> str:
    """Measure; returns the JSON line. Raises PrerequisiteError where this machine has no result of `bench live`."""
    settings = bench_settings()
    live, duty = live_rate(), duty_cycle(ROOT / "dags")
    on_progress(f"bench live did {live:,} sessions/s; {LOAD_DAG} archives {duty:.0%} of the time")
    with empty_stack(settings) as stack:
        stack.up(PROGRAMS)
        with store.connect(settings) as client:
            database = store.database(client, settings)
            store.ensure_indexes(database)
            if warm_up:
                on_progress("warming up")
                fill(settings, sessions=warm_up, seed=seed + 1)
                load(settings, database, on_progress=on_progress)
            on_progress(f"filling {VALID} with {sessions:,} visits")
            expected = fill(settings, sessions=sessions, seed=seed)
            stored, before = queries.count(database), usage(stack, PROGRAMS)
            on_progress("archiving")
            done: LoadReport = load(settings, database, on_progress=on_progress)
            after = usage(stack, PROGRAMS)
            figures = {
                "sessions_per_s": round(done.sessions / done.seconds),
                "live_sessions_per_s": live,
                "duty_cycle": duty,
                "sustained_sessions_per_s": round(done.sessions / done.seconds * duty),
                "ratio_to_live": round(done.sessions / done.seconds / live, 2),
                "lag": sum(database_lag(settings, database).values()),
                "unaccounted": abs(queries.count(database) - stored - expected),
                "cpu_us_per_session": cpu_us_per_session(before, after, expected),
                "rss_mb": {name: round(one.rss_mb) for name, one in after.items()},
            }
    config = {
        "sessions": sessions,
        "warm_up": warm_up,
        "days": DAYS,
        "partitions": settings.kafka.partitions,
        "archive_workers": settings.archive.workers,
        "archive_batch": settings.archive.batch_size,
        "live_rate_from": "results/live.json of this machine",
    }
    targets = {"ratio_to_live": ("at least", round(1 / duty, 2)), **TARGETS}
    return report(
        "archive", figures=figures, targets=targets, seed=seed, config=config, packages=(*PACKAGES[:1], "pymongo")
    )


def duty_cycle(dags: Path) -> float:
    """Return the share of time in which the DAG archives at most: its deadline / its interval.

    Raises:
        ValueError: the DAG's schedule is not every so many minutes.
    """
    schedule = next(dag.schedule for dag in dag_reference.read(dags) if dag.name == LOAD_DAG)
    interval = re.fullmatch(r"`\*/(\d+) \* \* \* \*`", schedule)
    if interval is None:
        raise ValueError(f"the schedule of {LOAD_DAG} is not every so many minutes: {schedule}")
    return min(1.0, LOAD_DEADLINE_S / (int(interval[1]) * 60))


def live_rate() -> int:
    """Sessions a second of the last `bench live` on this kind of machine."""
    path = FOLDER / "live.json"
    remedy = "run ./showroom bench live first"
    if not path.is_file():
        raise PrerequisiteError("bench archive failed: there is no result of bench live to compare with", remedy)
    result = json.loads(path.read_text())
    here, there = machine(), result["machine"]
    if any(here[name] != there[name] for name in ("cpu", "cores")):
        raise PrerequisiteError(
            f"bench archive failed: bench live ran on another machine ({there['cpu']}, {there['cores']} cores)", remedy
        )
    return int(result["figures"]["sessions_per_s"])


def fill(settings: Settings, *, sessions: int, seed: int) -> int:
    """Put a day of visits into `sessions.valid`, in transactions as the gate's are; how many sessions they are."""
    end = datetime.now(UTC)
    plan = Plan.of(
        settings, seed=seed, start=end - timedelta(days=DAYS), end=end, sessions=sessions, faults=FaultRates()
    )
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=f"bench-{uuid.uuid4().hex}", linger_ms=20
    )
    filled = 0
    try:
        producer.init_transactions()
        for batch in _batches(records(synthesize(plan), settings)):
            producer.begin_transaction()
            for value in batch:
                producer.send(VALID, value=value, partition=filled % settings.kafka.partitions)
                filled += 1
            producer.commit_transaction()
    finally:
        producer.close(timeout=5)
    return filled


def _batches(values: Iterable[bytes]) -> Iterator[list[bytes]]:
    remaining = iter(values)
    while batch := list(islice(remaining, TRANSACTION)):
        yield batch
