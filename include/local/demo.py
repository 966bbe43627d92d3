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
from include.contracts.errors import NotReadyError, TerminalError
from include.contracts.settings import Settings
from include.ingest.emission import Emission
from include.ingest.expected import Expected
from include.ingest.ledger import Ledger, merge
from include.ingest.plan import Limits, Plan
from include.ingest.publisher import PublishReport, publish
from include.ingest.replay import replay
from include.ingest.shop import synthesize
from include.local import nightly
from include.local.account import Line, Position, account, position, wait_until_indexed
from include.local.airflow import AirflowApi
from include.local.freshness import Freshness, Probe
from include.local.layout import Layout
from include.local.stack import Stack
from include.local.stream import wait_started
from include.local.truth import keep_ledger, keep_replay, kept_ledgers
from include.serving import queries
from include.serving.client import connect

PATIENCE_S = 45.0
FRESHNESS_DEADLINE_S = 30.0
START_DEADLINE_S = 240.0
RUN_DEADLINE_S = 300.0
INGEST, ARCHIVE, SUPERVISE = "ingest_synthetic", "archive_sessions", "supervise_stream"

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


def start_platform(settings: Settings, say: Say) -> None:
    """Bring everything up; Airflow's supervisor finds no job and starts one. What runs already is left alone."""
    stack = Stack(settings, say)
    stack.up()
    with AirflowApi(settings, stack.layout) as airflow:
        airflow.wait_for_dags({INGEST, ARCHIVE, SUPERVISE, nightly.DAG})
        _settle(airflow)
    say("waiting for supervise_stream to find no job and start one")
    wait_started(settings, START_DEADLINE_S)
    say("the stream runs")


def run(settings: Settings, show: Show, say: Say, console: Console) -> Outcome:
    """History, then live sessions, then the account of both."""
    before = position(settings, archive=True)
    past = _history(settings, show, say)
    _wait(settings, past.expected, before, say)

    say(f"live: {show.live_per_s:g} sessions a second for {show.live_s} s")
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
    _wait(settings, ledger.expected, before, say)
    intent = ledger.intent
    say(f"planted intent: {intent.base_rate:.1%} buy, the best reachable ROC-AUC is {intent.roc_auc:.3f}")
    return _outcome(settings, ledger.expected, before, freshness, now - timedelta(days=show.days + 2), say)


def run_night(settings: Settings, show: Show, say: Say) -> nightly.Night | None:
    """One run of the nightly batch on the history; None where that is too short to be split by time."""
    split = parameters.load().split
    if show.days <= split.test_days + split.inner_days:
        say(f"no nightly run: {show.days} days are too few to learn from some and be judged on others")
        return None
    end = datetime.now(UTC)
    say(f"{nightly.DAG} learns from {show.days} days")
    return nightly.run(settings, end - timedelta(days=show.days), end, say)


def _history(settings: Settings, show: Show, say: Say) -> Ledger:
    """The history, made and sent by Airflow; the truth about it and about the interval that was due meanwhile."""
    say(f"history: ingest_synthetic makes {show.sessions:,} sessions of {show.days} days")
    known = kept_ledgers(settings).keys()
    conf = {"sessions": show.sessions, "days": show.days, "seed": show.seed}
    with AirflowApi(settings, Layout.of(settings)) as airflow:
        # No run of a paused DAG begins; one that is not paused also sends its last ten minutes at once.
        airflow.unpause(INGEST)
        run_id = airflow.trigger(INGEST, conf)
        state = airflow.wait(INGEST, run_id, RUN_DEADLINE_S)
        _settle(airflow)
    if state != "success":
        raise TerminalError(f"{INGEST} {run_id} has {state}", "see its log in Airflow")
    return merge([ledger for tag, ledger in kept_ledgers(settings).items() if tag not in known])


def _settle(airflow: AirflowApi) -> None:
    """No more synthetic loads but those of the account, and none under way."""
    paused = airflow.dags()[INGEST]
    for dag_run in airflow.runs(INGEST):
        # Nothing of a paused DAG goes on.
        if not paused and dag_run["state"] == "running":
            airflow.wait(INGEST, dag_run["dag_run_id"], RUN_DEADLINE_S)
    airflow.pause(INGEST)


def run_replay(settings: Settings, path: Path, shape: str, say: Say, console: Console) -> Outcome:
    """A real shop's log through the same path, and the account of it."""
    before = position(settings, archive=True)
    source = replay(path, Limits.of(settings), format=shape)
    say(f"replaying {path.name}")
    _produce(settings, source, say, console)
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
    try:
        wait_until_indexed(settings, expected, before, PATIENCE_S, _sparingly(say, expected.valid))
        say(f"everything is indexed, {time.monotonic() - began:.1f} s after the last record was produced")
    except NotReadyError as error:
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
    say: Say,
) -> Outcome:
    say("archive_sessions copies what is new into MongoDB")
    with AirflowApi(settings, Layout.of(settings)) as airflow:
        run_id = airflow.trigger(ARCHIVE)
        state = airflow.wait(ARCHIVE, run_id, RUN_DEADLINE_S)
        if state != "success":
            say(f"{ARCHIVE} {run_id} has {state}: see its log in Airflow")
    lines = account(settings, expected, before, archive=True)
    with AirflowApi(settings, Layout.of(settings)) as airflow:
        airflow.unpause(INGEST)
    with connect(settings) as client:
        kpis = queries.kpi_by_category(client, since)
    return Outcome(lines, kpis, freshness)
