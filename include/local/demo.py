"""The demo: the whole live path on this machine, and the account of every single session."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from include.contracts.errors import NotReadyError
from include.contracts.settings import Settings
from include.ingest.emission import Emission
from include.ingest.expected import Expected
from include.ingest.ledger import merge
from include.ingest.plan import Limits, Plan
from include.ingest.publisher import PublishReport, publish
from include.ingest.replay import replay
from include.ingest.shop import synthesize
from include.local.account import Line, Position, account, position, wait_until_indexed
from include.local.freshness import Freshness, Probe
from include.local.stack import Stack
from include.local.stream import resume_job
from include.local.truth import keep_ledgers, keep_replay
from include.serving import queries
from include.serving.client import connect
from include.supervise.flink_rest import FlinkRest
from include.supervise.stream_job import running_job

PATIENCE_S = 45.0
FRESHNESS_DEADLINE_S = 30.0

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
    """Bring the stack up and the stream job with it; what runs already is left alone."""
    Stack(settings, say).up()
    with FlinkRest(settings) as flink:
        running = running_job(flink)
    if running is None:
        say("starting the stream job")
        _, restored = resume_job(settings)
        if restored:
            say(f"it goes on from {restored.path.name}")


def run(settings: Settings, show: Show, say: Say, console: Console) -> Outcome:
    """History, then live sessions, then the account of both."""
    started = datetime.now(UTC)
    before = position(settings)
    past = synthesize(
        Plan.of(
            settings,
            seed=show.seed,
            start=started - timedelta(days=show.days),
            end=started,
            sessions=show.sessions,
        )
    )
    say(f"history: {show.sessions:,} sessions of {show.days} days")
    _produce(settings, past, say, console, show.sessions)
    _wait(settings, past.ledger.expected, before, say)

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
    ledger = merge([past.ledger, live.ledger])
    _wait(settings, ledger.expected, before, say)
    keep_ledgers(settings, past.ledger, live.ledger)
    intent = ledger.intent
    say(f"planted intent: {intent.base_rate:.1%} buy, the best reachable ROC-AUC is {intent.roc_auc:.3f}")
    return _outcome(settings, ledger.expected, before, freshness, started - timedelta(days=show.days + 2))


def run_replay(settings: Settings, path: Path, shape: str, say: Say, console: Console) -> Outcome:
    """A real shop's log through the same path, and the account of it."""
    before = position(settings)
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
    keep_replay(settings, told)
    return _outcome(settings, told.expected, before, None, None)


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
    settings: Settings, expected: Expected, before: Position, freshness: Freshness | None, since: datetime | None
) -> Outcome:
    lines = account(settings, expected, before)
    with connect(settings) as client:
        kpis = queries.kpi_by_category(client, since)
    return Outcome(lines, kpis, freshness)
