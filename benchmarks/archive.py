"""Throughput of the archive: Kafka to MongoDB by the function of the DAG's task, on a backlog.

Only Kafka and MongoDB's stand-in run. The DAG does not archive all the time: a run ends at its deadline, and the next
run starts with the next interval. The rate must therefore exceed the rate of `bench live` (`results/live.json`) by the
factor interval / deadline.
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
from benchmarks.usage import cpu_us_per_session, measure_usage
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
TRANSACTION_RECORDS = 2_000


def run(sessions: int, warm_up: int, seed: int) -> str:
    """Run the bench; return the result as one JSON line.

    Raises:
        PrerequisiteError: This machine has no result of `bench live`.
    """
    settings = bench_settings()
    live_sessions_per_s, archive_share = live_rate(), duty_cycle(ROOT / "dags")
    on_progress(f"bench live: {live_sessions_per_s:,} sessions/s; {LOAD_DAG} runs {archive_share:.0%} of the time")
    with empty_stack(settings) as stack:
        stack.up(PROGRAMS)
        with store.connect(settings.mongodb) as client:
            database = store.database(client, settings.mongodb)
            store.ensure_indexes(database)
            if warm_up:
                on_progress("warming up")
                fill_valid_topic(settings, sessions=warm_up, seed=seed + 1)
                load(settings, database, on_progress=on_progress)
            on_progress(f"filling {VALID} with {sessions:,} sessions")
            expected = fill_valid_topic(settings, sessions=sessions, seed=seed)
            stored_before, before = queries.count(database), measure_usage(stack, PROGRAMS)
            on_progress("archiving")
            load_report: LoadReport = load(settings, database, on_progress=on_progress)
            after = measure_usage(stack, PROGRAMS)
            figures = {
                "sessions_per_s": round(load_report.sessions / load_report.seconds),
                "live_sessions_per_s": live_sessions_per_s,
                "duty_cycle": archive_share,
                "sustained_sessions_per_s": round(load_report.sessions / load_report.seconds * archive_share),
                "ratio_to_live": round(load_report.sessions / load_report.seconds / live_sessions_per_s, 2),
                "lag": sum(database_lag(settings.kafka, database).values()),
                "unaccounted": abs(queries.count(database) - stored_before - expected),
                "cpu_us_per_session": cpu_us_per_session(before, after, expected),
                "rss_mb": {name: round(process.rss_mb) for name, process in after.items()},
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
    targets = {"ratio_to_live": ("at least", round(1 / archive_share, 2)), **TARGETS}
    return report(
        "archive", figures=figures, targets=targets, seed=seed, config=config, packages=(*PACKAGES[:1], "pymongo")
    )


def duty_cycle(dags: Path) -> float:
    """Return the maximum share of time in which the DAG archives: its deadline / its interval.

    Raises:
        ValueError: The DAG's schedule is not a number of minutes.
    """
    schedule = next(dag.schedule for dag in dag_reference.read(dags) if dag.name == LOAD_DAG)
    interval = re.fullmatch(r"`\*/(\d+) \* \* \* \*`", schedule)
    if interval is None:
        raise ValueError(f"the schedule of {LOAD_DAG} is not a number of minutes: {schedule}")
    return min(1.0, LOAD_DEADLINE_S / (int(interval[1]) * 60))


def live_rate() -> int:
    """Return the sessions a second of the last `bench live` on the same kind of machine.

    Raises:
        PrerequisiteError: The result does not exist.
    """
    path = FOLDER / "live.json"
    remedy = "run ./showroom bench live first"
    if not path.is_file():
        raise PrerequisiteError("bench archive failed: there is no result of bench live to compare with", remedy)
    result = json.loads(path.read_text())
    this_machine, live_machine = machine(), result["machine"]
    if any(this_machine[name] != live_machine[name] for name in ("cpu", "cores")):
        raise PrerequisiteError(
            "bench archive failed: bench live ran on another machine "
            f"({live_machine['cpu']}, {live_machine['cores']} cores)",
            remedy,
        )
    return int(result["figures"]["sessions_per_s"])


def fill_valid_topic(settings: Settings, *, sessions: int, seed: int) -> int:
    """Write a day of sessions to `sessions.valid` in transactions, as the gate does; return their number."""
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
        for batch in _split_batches(records(synthesize(plan), settings.gate)):
            producer.begin_transaction()
            for value in batch:
                producer.send(VALID, value=value, partition=filled % settings.kafka.partitions)
                filled += 1
            producer.commit_transaction()
    finally:
        producer.close(timeout=5)
    return filled


def _split_batches(values: Iterable[bytes]) -> Iterator[list[bytes]]:
    remaining = iter(values)
    while batch := list(islice(remaining, TRANSACTION_RECORDS)):
        yield batch
