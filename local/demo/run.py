"""The demo: start the stream, generate history, archive it, and count every session. Airflow runs the tasks.

At the end a nightly run uses that history.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from include.batch import parameters
from include.clients.elasticsearch import connect
from include.contracts.errors import NotReadyError, TerminalError
from include.contracts.settings import KafkaSettings, Settings
from include.ingest.expected_counts import ExpectedCounts
from include.ingest.generator import synthesize
from include.ingest.ground_truth import GroundTruth, merge
from include.ingest.labelled_record import LabelledRecord
from include.ingest.plan import Limits, Plan
from include.ingest.publisher import PublishReport, publish
from include.ingest.replay import replay
from include.serving import queries
from local.airflow_login import connect_airflow
from local.demo import clean_start, nightly_run
from local.demo import pause as demo_pause
from local.demo.fail_fast import StreamVerdicts
from local.demo.progress import Steps
from local.install.environments import Environment, ensure_environment
from local.install.java import ensure_java
from local.layout import Layout
from local.stack import Stack
from local.stream_job import wait_started
from local.verification.count_check import Baseline, StageCount, compare_counts, take_baseline, wait_until_indexed
from local.verification.freshness import Freshness, FreshnessProbe
from local.verification.ground_truth_store import load_ground_truths, store_ground_truth, store_replay

INDEX_STALL_TIMEOUT_S = 45.0
FRESHNESS_DEADLINE_S = 30.0
SERVERS_DEADLINE_S = 360.0
"""On a slow machine Elasticsearch alone takes minutes; a server that exits repeatedly fails at once."""
START_DEADLINE_S = 240.0
RUN_DEADLINE_S = 300.0
CATCH_UP_TRIES = 2
"""Limited, because after a deletion of documents archive and index never agree."""
INGEST, ARCHIVE, SUPERVISE = "ingest_synthetic", "archive_sessions", "supervise_stream"

ENVIRONMENTS: tuple[Environment, ...] = ("flink", "airflow", "ml")

OnProgress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Size of the demo: history of `days`, then live sessions for `live_s` seconds."""

    sessions: int
    days: int
    live_s: int
    live_per_s: float
    seed: int


@dataclass(frozen=True)
class DemoResult:
    """Result of the demo. `freshness` is None for a replay, whose sessions are years old."""

    lines: list[StageCount]
    kpis: list[queries.Kpi]
    freshness: Freshness | None

    @property
    def exact(self) -> bool:
        """Return whether every count equals the ground truth."""
        return all(line.difference == 0 for line in self.lines)


def start_platform(settings: Settings, steps: Steps) -> None:
    """Start everything, and wait until Airflow's supervisor has started the job. Running programs are unchanged."""
    steps.begin("install")
    ensure_java(steps)
    for environment in ENVIRONMENTS:
        ensure_environment(environment, steps)
    steps.begin("servers")
    began = time.time()
    stack = Stack(settings, steps)
    stack.up(deadline_s=SERVERS_DEADLINE_S)
    demo_pause.record(settings.airflow, stack.layout)
    with connect_airflow(settings.airflow, stack.layout) as airflow:
        airflow.wait_for_dags({INGEST, ARCHIVE, SUPERVISE, nightly_run.DAG})
        clean_start.resume_dags(airflow, (ARCHIVE, SUPERVISE, nightly_run.DAG), steps)
        clean_start.pause_dag(airflow, INGEST, RUN_DEADLINE_S)
        clean_start.end_waiting_runs(airflow, INGEST, steps)
        steps.begin("stream")
        wait_started(settings.flink, START_DEADLINE_S, StreamVerdicts(settings.redis, airflow, SUPERVISE, began).check)
    clean_start.wait_until_idle(settings, steps)
    steps("the stream runs")


def run(settings: Settings, config: DemoConfig, steps: Steps) -> DemoResult:
    """Send history, then live sessions; count both."""
    before = _take_baseline(settings, steps)
    steps.begin("history")
    past = _history(settings, config)
    steps.begin("index")
    _wait(settings, past.expected, before, steps)

    steps.begin("live")
    now = datetime.now(UTC)
    live = synthesize(
        Plan.of(
            settings,
            seed=config.seed,
            start=now,
            end=now + timedelta(seconds=config.live_s),
            sessions=round(config.live_s * config.live_per_s),
        )
    )
    with FreshnessProbe(settings.elasticsearch) as probe:
        publish(settings.kafka, probe.watch(live), pace="arrival", on_acknowledged=probe.produced)
        freshness = probe.result(FRESHNESS_DEADLINE_S)
    store_ground_truth(settings.mongodb, live.ground_truth)
    ledger = merge([past, live.ground_truth])
    _wait(settings, ledger.expected, before, steps)
    intent = ledger.intent
    steps(f"ground truth: {intent.base_rate:.1%} of visits end in a purchase, oracle ROC-AUC {intent.roc_auc:.3f}")
    return _build_result(settings, ledger.expected, before, freshness, now - timedelta(days=config.days + 2), steps)


def has_nightly_run(config: DemoConfig) -> bool:
    """Return whether the history is long enough for a split by time."""
    split = parameters.load().split
    return config.days > split.test_days + split.validation_days


def run_nightly(settings: Settings, config: DemoConfig, steps: Steps) -> nightly_run.NightlyRunResult | None:
    """Run the nightly batch on the history; None if the history is too short for a split by time."""
    if not has_nightly_run(config):
        steps(f"no nightly run: a history of {config.days} d is too short for a training and a test part")
        return None
    steps.begin("night")
    with connect_airflow(settings.airflow, Layout.of(settings.local)) as airflow:
        clean_start.wait_for_runs(airflow, nightly_run.DAG, nightly_run.DEADLINE_S, steps)
    end = datetime.now(UTC)
    return nightly_run.run(settings, end - timedelta(days=config.days), end, steps)


def _take_baseline(settings: Settings, on_progress: OnProgress) -> Baseline:
    """Return the current counts. Earlier sessions are archived first, so that they do not count as the demo's."""
    result = take_baseline(settings, archive=True)
    for _ in range(CATCH_UP_TRIES):
        if result.archived == result.documents["session_summary"]:
            break
        on_progress(f"{ARCHIVE} copies earlier sessions")
        _archive(settings, on_progress)
        result = take_baseline(settings, archive=True)
    return result


def _archive(settings: Settings, on_progress: OnProgress) -> None:
    """Run the archive's DAG once; a failure is reported, and the count check reports missing sessions."""
    with connect_airflow(settings.airflow, Layout.of(settings.local)) as airflow:
        run_id = airflow.trigger(ARCHIVE)
        if airflow.wait(ARCHIVE, run_id, RUN_DEADLINE_S) != "success":
            on_progress(f"{ARCHIVE} failed: {airflow.failure(ARCHIVE, run_id)}: see its log in Airflow")


def _history(settings: Settings, config: DemoConfig) -> GroundTruth:
    """Generate and send the history by Airflow; return its ground truth, with that of the interval due meanwhile."""
    existing = load_ground_truths(settings.mongodb).keys()
    conf = {"sessions": config.sessions, "days": config.days, "seed": config.seed}
    with connect_airflow(settings.airflow, Layout.of(settings.local)) as airflow:
        # A paused DAG starts no run; an unpaused one also sends its last ten minutes at once.
        airflow.unpause(INGEST)
        run_id = airflow.trigger(INGEST, conf)
        state = airflow.wait(INGEST, run_id, RUN_DEADLINE_S)
        clean_start.pause_dag(airflow, INGEST, RUN_DEADLINE_S)
        reason = "" if state == "success" else airflow.failure(INGEST, run_id)
    if state != "success":
        raise TerminalError(f"{INGEST} failed: {reason}", "see its log in Airflow")
    return merge([ledger for tag, ledger in load_ground_truths(settings.mongodb).items() if tag not in existing])


def run_replay(settings: Settings, path: Path, shape: str, on_progress: Steps, console: Console) -> DemoResult:
    """Replay a real shop's log on the same path, and count it."""
    before = _take_baseline(settings, on_progress)
    on_progress.begin("replay")
    source = replay(path, Limits.of(settings), format=shape)
    _produce(settings.kafka, source, on_progress, console)
    on_progress.begin("index")
    message = source.report
    on_progress(f"{message.lines:,} lines read: {message.sessions:,} sessions, amount {message.amount:,.2f}")
    for what, count in message.counts.items():
        on_progress(f"{what.replace('_', ' ')}: {count:,}")
    if message.bad_lines:
        on_progress(f"{message.bad_lines:,} bad lines, the first: {message.first_bad_lines[:3]}")
    _wait(settings, message.expected, before, on_progress)
    store_replay(settings.mongodb, path.name, message)
    return _build_result(settings, message.expected, before, None, None, on_progress)


def _produce(
    settings: KafkaSettings,
    labelled_records: Iterable[LabelledRecord],
    on_progress: OnProgress,
    console: Console,
    total: int | None = None,
) -> PublishReport:
    """Publish as fast as Kafka accepts, with a progress bar on a terminal."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("producing", total=total)
        report = publish(settings, labelled_records, on_progress=lambda sent, _: progress.update(task, completed=sent))
    on_progress(f"{report.acknowledged:,} records produced in {report.seconds:.1f} s")
    return report


def _wait(settings: Settings, expected: ExpectedCounts, before: Baseline, on_progress: OnProgress) -> None:
    """Wait for the indices; the count check reports missing documents."""
    began = time.monotonic()
    with connect_airflow(settings.airflow, Layout.of(settings.local)) as airflow:
        check = StreamVerdicts(settings.redis, airflow, SUPERVISE, time.time()).check
        try:
            wait_until_indexed(
                settings.elasticsearch,
                expected,
                before,
                INDEX_STALL_TIMEOUT_S,
                _throttle(on_progress, expected.valid),
                check,
            )
            on_progress(
                f"all sessions are indexed, {time.monotonic() - began:.1f} s after the last record was produced"
            )
        except (NotReadyError, TerminalError) as error:
            on_progress(str(error))


def _throttle(on_progress: OnProgress, goal: int, every_s: float = 5.0) -> Callable[[int], None]:
    last = time.monotonic()

    def indexed(sessions: int) -> None:
        nonlocal last
        if time.monotonic() - last > every_s:
            last = time.monotonic()
            on_progress(f"{sessions:,} of {goal:,} sessions indexed")

    return indexed


def _build_result(
    settings: Settings,
    expected: ExpectedCounts,
    before: Baseline,
    freshness: Freshness | None,
    since: datetime | None,
    on_progress: Steps,
) -> DemoResult:
    on_progress.begin("archive")
    _archive(settings, on_progress)
    lines = compare_counts(settings, expected, before, archive=True)
    with connect_airflow(settings.airflow, Layout.of(settings.local)) as airflow:
        airflow.unpause(INGEST)
    with connect(settings.elasticsearch) as client:
        kpis = queries.kpi_by_category(client, since)
    return DemoResult(lines, kpis, freshness)
