"""The demo: Airflow starts the stream, makes the history and archives; then the account of every single session.

At the end a night's batch on that history.
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
from include.contracts.settings import Settings
from include.ingest.emission import Emission
from include.ingest.expected import Expected
from include.ingest.ledger import Ledger, merge
from include.ingest.plan import Limits, Plan
from include.ingest.publisher import PublishReport, publish
from include.ingest.replay import replay
from include.ingest.shop import synthesize
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
from local.verification.count_check import Line, Position, account, position, wait_until_indexed
from local.verification.freshness import Freshness, Probe
from local.verification.ground_truth_store import keep_ledger, keep_replay, kept_ledgers

PATIENCE_S = 45.0
FRESHNESS_DEADLINE_S = 30.0
SERVERS_DEADLINE_S = 360.0
"""On a slow machine Elasticsearch alone takes minutes; a server that ends again and again is told at once."""
START_DEADLINE_S = 240.0
RUN_DEADLINE_S = 300.0
CATCH_UP_TRIES = 2
"""Where documents were deleted, archive and index never agree."""
INGEST, ARCHIVE, SUPERVISE = "ingest_synthetic", "archive_sessions", "supervise_stream"

ENVIRONMENTS: tuple[Environment, ...] = ("flink", "airflow", "ml")

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Show:
    """What the demo makes: history of `days`, then live sessions for `live_s` seconds."""

    sessions: int
    days: int
    live_s: int
    live_per_s: float
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What the demo found. `freshness` is None for a replay, whose sessions are years old."""

    lines: list[Line]
    kpis: list[queries.Kpi]
    freshness: Freshness | None

    @property
    def exact(self) -> bool:
        """Whether every figure is what the truth says."""
        return all(line.difference == 0 for line in self.lines)


def start_platform(settings: Settings, steps: Steps) -> None:
    """Bring everything up; Airflow's supervisor finds no job and starts one. What runs already is left alone."""
    steps.begin("install")
    ensure_java(steps)
    for environment in ENVIRONMENTS:
        ensure_environment(environment, steps)
    steps.begin("servers")
    began = time.time()
    stack = Stack(settings, steps)
    stack.up(deadline_s=SERVERS_DEADLINE_S)
    demo_pause.record(settings, stack.layout)
    with connect_airflow(settings, stack.layout) as airflow:
        airflow.wait_for_dags({INGEST, ARCHIVE, SUPERVISE, nightly_run.DAG})
        clean_start.resume_dags(airflow, (ARCHIVE, SUPERVISE, nightly_run.DAG), steps)
        clean_start.pause_dag(airflow, INGEST, RUN_DEADLINE_S)
        clean_start.end_waiting_runs(airflow, INGEST, steps)
        steps.begin("stream")
        wait_started(settings, START_DEADLINE_S, StreamVerdicts(settings, airflow, SUPERVISE, began).check)
    clean_start.wait_until_idle(settings, steps)
    steps("the stream runs")


def run(settings: Settings, show: Show, steps: Steps) -> Outcome:
    """History, then live sessions, then the account of both."""
    before = _before(settings, steps)
    steps.begin("history")
    past = _history(settings, show)
    steps.begin("index")
    _wait(settings, past.expected, before, steps)

    steps.begin("live")
    now = datetime.now(UTC)
    live = synthesize(
        Plan.of(
            settings,
            seed=show.seed,
            start=now,
            end=now + timedelta(seconds=show.live_s),
            sessions=round(show.live_s * show.live_per_s),
        )
    )
    with Probe(settings) as probe:
        publish(settings, probe.watch(live), pace="arrival", on_acknowledged=probe.produced)
        freshness = probe.result(FRESHNESS_DEADLINE_S)
    keep_ledger(settings, live.ledger)
    ledger = merge([past, live.ledger])
    _wait(settings, ledger.expected, before, steps)
    intent = ledger.intent
    steps(f"planted intent: {intent.base_rate:.1%} buy, the best reachable ROC-AUC is {intent.roc_auc:.3f}")
    return _outcome(settings, ledger.expected, before, freshness, now - timedelta(days=show.days + 2), steps)


def has_night(show: Show) -> bool:
    """Whether the history is long enough to be split by time."""
    split = parameters.load().split
    return show.days > split.test_days + split.inner_days


def run_night(settings: Settings, show: Show, steps: Steps) -> nightly_run.Night | None:
    """One run of the nightly batch on the history; None where that is too short to be split by time."""
    if not has_night(show):
        steps(f"no nightly run: a history of {show.days} d is too short to learn from a part and be judged on the rest")
        return None
    steps.begin("night")
    with connect_airflow(settings, Layout.of(settings)) as airflow:
        clean_start.wait_for_runs(airflow, nightly_run.DAG, nightly_run.DEADLINE_S, steps)
    end = datetime.now(UTC)
    return nightly_run.run(settings, end - timedelta(days=show.days), end, steps)


def _before(settings: Settings, say: Say) -> Position:
    """Where the platform stands. What came before is archived first, lest it be counted as the demo's."""
    found = position(settings, archive=True)
    for _ in range(CATCH_UP_TRIES):
        if found.archived == found.documents["session_summary"]:
            break
        say(f"{ARCHIVE} copies what came before")
        _archive(settings, say)
        found = position(settings, archive=True)
    return found


def _archive(settings: Settings, say: Say) -> None:
    """One run of the archive's DAG; that it has failed is said, and the account tells what is missing."""
    with connect_airflow(settings, Layout.of(settings)) as airflow:
        run_id = airflow.trigger(ARCHIVE)
        if airflow.wait(ARCHIVE, run_id, RUN_DEADLINE_S) != "success":
            say(f"{ARCHIVE} failed: {airflow.failure(ARCHIVE, run_id)}: see its log in Airflow")


def _history(settings: Settings, show: Show) -> Ledger:
    """The history, made and sent by Airflow; the truth about it and about the interval that was due meanwhile."""
    known = kept_ledgers(settings).keys()
    conf = {"sessions": show.sessions, "days": show.days, "seed": show.seed}
    with connect_airflow(settings, Layout.of(settings)) as airflow:
        # No run of a paused DAG begins; one that is not paused also sends its last ten minutes at once.
        airflow.unpause(INGEST)
        run_id = airflow.trigger(INGEST, conf)
        state = airflow.wait(INGEST, run_id, RUN_DEADLINE_S)
        clean_start.pause_dag(airflow, INGEST, RUN_DEADLINE_S)
        reason = "" if state == "success" else airflow.failure(INGEST, run_id)
    if state != "success":
        raise TerminalError(f"{INGEST} failed: {reason}", "see its log in Airflow")
    return merge([ledger for tag, ledger in kept_ledgers(settings).items() if tag not in known])


def run_replay(settings: Settings, path: Path, shape: str, say: Steps, console: Console) -> Outcome:
    """A real shop's log through the same path, and the account of it."""
    before = _before(settings, say)
    say.begin("replay")
    source = replay(path, Limits.of(settings), format=shape)
    _produce(settings, source, say, console)
    say.begin("index")
    told = source.report
    say(f"{told.lines:,} lines read, worth {told.amount:,.2f} in {told.sessions:,} sessions")
    for what, count in told.counts.items():
        say(f"{what.replace('_', ' ')}: {count:,}")
    if told.bad_lines:
        say(f"{told.bad_lines:,} bad lines, the first: {told.first_bad_lines[:3]}")
    _wait(settings, told.expected, before, say)
    keep_replay(settings, path.name, told)
    return _outcome(settings, told.expected, before, None, None, say)


def _produce(
    settings: Settings, emissions: Iterable[Emission], say: Say, console: Console, total: int | None = None
) -> PublishReport:
    """Publish as fast as Kafka takes it, with a progress bar on a terminal."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("producing", total=total)
        report = publish(settings, emissions, on_progress=lambda sent, _: progress.update(task, completed=sent))
    say(f"{report.acknowledged:,} records produced in {report.seconds:.1f} s")
    return report


def _wait(settings: Settings, expected: Expected, before: Position, say: Say) -> None:
    """Wait for the indices; that something is missing is for the account to tell."""
    began = time.monotonic()
    with connect_airflow(settings, Layout.of(settings)) as airflow:
        check = StreamVerdicts(settings, airflow, SUPERVISE, time.time()).check
        try:
            wait_until_indexed(settings, expected, before, PATIENCE_S, _sparingly(say, expected.valid), check)
            say(f"everything is indexed, {time.monotonic() - began:.1f} s after the last record was produced")
        except (NotReadyError, TerminalError) as error:
            say(str(error))


def _sparingly(say: Say, goal: int, every_s: float = 5.0) -> Callable[[int], None]:
    last = time.monotonic()

    def indexed(sessions: int) -> None:
        nonlocal last
        if time.monotonic() - last > every_s:
            last = time.monotonic()
            say(f"{sessions:,} of {goal:,} sessions indexed")

    return indexed


def _outcome(
    settings: Settings,
    expected: Expected,
    before: Position,
    freshness: Freshness | None,
    since: datetime | None,
    say: Steps,
) -> Outcome:
    say.begin("archive")
    _archive(settings, say)
    lines = account(settings, expected, before, archive=True)
    with connect_airflow(settings, Layout.of(settings)) as airflow:
        airflow.unpause(INGEST)
    with connect(settings) as client:
        kpis = queries.kpi_by_category(client, since)
    return Outcome(lines, kpis, freshness)
