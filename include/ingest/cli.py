"""`./showroom ingest`, or `python -m include.ingest` in a container: send sessions to Kafka."""

import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from include.contracts.errors import ShowroomError
from include.contracts.settings import KafkaSettings, Settings
from include.ingest.expected_counts import ExpectedCounts
from include.ingest.generator import synthesize
from include.ingest.labelled_record import LabelledRecord
from include.ingest.plan import Fault, FaultRates, Limits, Plan
from include.ingest.progress import progress_bar
from include.ingest.publisher import Pace, PublishReport, publish
from include.ingest.replay import AUTO, replay

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Send sessions to Kafka.")

Sessions = Annotated[int, typer.Option(min=0, help="Visits in the interval; duplicates and bots are additional.")]
Seed = Annotated[int, typer.Option(help="Seed of the synthetic shop.")]
Start = Annotated[datetime | None, typer.Option(help="Start of the interval, UTC. Default: --days before its end.")]
End = Annotated[datetime | None, typer.Option(help="End of the interval, UTC. Default: the current minute.")]
Days = Annotated[float, typer.Option(min=0.0, help="Days of the interval without --start.")]
Faults = Annotated[bool, typer.Option("--faults/--no-faults", help="Inject faults at their default rates.")]
Rate = Annotated[float | None, typer.Option(min=0.001, help="Maximum records a second.")]
Live = Annotated[float | None, typer.Option(min=1.0, help="Send live sessions for this many seconds instead.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count the records; send nothing.")]


@app.command()
def synthetic(  # noqa: PLR0913, PLR0917 -- a command has as many arguments as options
    sessions: Sessions = 50_000,
    seed: Seed = 1,
    start: Start = None,
    end: End = None,
    days: Days = 14.0,
    live_seconds: Live = None,
    rate: Rate = None,
    faults: Faults = True,
    ledger: Annotated[Path | None, typer.Option(help="Write the ground truth to this file.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Generate the sessions of one interval of the synthetic shop and send them.

    With --live-seconds, --rate sessions a second (50 by default) are sent at their own times.
    """
    settings = Settings.from_env(os.environ)
    now = datetime.now(UTC)
    if live_seconds is not None:
        pace: Pace = "arrival"
        start, end, sessions, rate = (
            now,
            now + timedelta(seconds=live_seconds),
            round((rate or 50.0) * live_seconds),
            None,
        )
    else:
        pace = "fast"
    plan = _plan(settings, seed, start, end, days, sessions, faults, now)
    plan.check_clock(now)
    shop = synthesize(plan)
    sent = _send(settings.kafka, shop, f"{sessions} visits", None, rate, "fast" if dry_run else pace, dry_run)
    if ledger is not None:
        shop.ground_truth.save(ledger)
    _show(shop.ground_truth.expected, sent, {"visits planned": sessions, **shop.ground_truth.injected})


@app.command(name="replay")
def replay_command(
    path: Annotated[Path, typer.Argument(help="Log file, plain or gzip.")],
    format: Annotated[str, typer.Option(help="Format of the log: auto, rees46, otto or online_retail.")] = AUTO,
    rate: Rate = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of sessions.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the counts of the log and the expected counts to this file.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Send the sessions of a real shop's log."""
    settings = Settings.from_env(os.environ)
    log = replay(path, Limits.of(settings), format=format, limit=limit)
    sent = _send(settings.kafka, log, path.name, limit, rate, "fast", dry_run)
    if report is not None:
        report.write_bytes(msgspec.json.format(msgspec.json.encode(log.report), indent=1) + b"\n")
    result = log.report
    rows = {"lines read": result.lines, "bad lines": result.bad_lines, **result.counts, "sessions": result.sessions}
    _show(result.expected, sent, rows)
    for bad in result.first_bad_lines:
        typer.echo(f"line {bad.line} {bad.reason}", err=True)


@app.command(name="plan")
def plan_command(
    sessions: Sessions = 50_000,
    seed: Seed = 1,
    start: Start = None,
    end: End = None,
    days: Days = 14.0,
    faults: Faults = True,
) -> None:
    """Print a plan as JSON, with the expected number of each fault; generate no session."""
    settings = Settings.from_env(os.environ)
    plan = _plan(settings, seed, start, end, days, sessions, faults, datetime.now(UTC))
    expected = {str(fault): round(getattr(plan.faults, fault) * sessions, 1) for fault in Fault}
    typer.echo(msgspec.json.format(msgspec.json.encode({"plan": plan, "faults_expected": expected}), indent=1))


def _plan(
    settings: Settings,
    seed: int,
    start: datetime | None,
    end: datetime | None,
    days: float,
    sessions: int,
    faults: bool,
    now: datetime,
) -> Plan:
    until = _utc(end) if end is not None else now.replace(second=0, microsecond=0)
    since = _utc(start) if start is not None else until - timedelta(days=days)
    rates = FaultRates() if faults else FaultRates.none()
    return Plan.of(settings, seed=seed, start=since, end=until, sessions=sessions, faults=rates)


def _utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _send(
    settings: KafkaSettings,
    labelled_records: Iterable[LabelledRecord],
    label: str,
    total: int | None,
    rate: float | None,
    pace: Pace,
    dry_run: bool,
) -> PublishReport | None:
    if dry_run:
        for _ in labelled_records:
            pass
        return None
    with progress_bar(label, total) as update:
        return publish(settings, labelled_records, rate=rate, pace=pace, on_progress=update)


def _show(expected: ExpectedCounts, sent: PublishReport | None, rows: dict[str, int]) -> None:
    table = Table("what", "count", title="not sent" if sent is None else f"sent at {sent.per_s:,.0f} records/s")
    table.columns[1].justify = "right"
    acknowledged = {} if sent is None else {"acknowledged": sent.acknowledged}
    gate = {f"gate: {name}": count for name, count in expected.verdicts.items()}
    indices = {f"index {name}": count for name, count in expected.documents.items()}
    users = {} if expected.unique_users is None else {"users admitted": expected.unique_users}
    for what, count in {**rows, "produced": expected.produced, **acknowledged, **gate, **users, **indices}.items():
        table.add_row(what, f"{count:,}")
    table.add_row("purchases", f"{expected.purchases:,}")
    table.add_row("revenue", f"{expected.revenue:,.2f}")
    Console().print(table)


def main() -> None:
    """Run the command line; an error of the project prints one line and exits with 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        app()
    except ShowroomError as error:
        typer.echo(f"ingest: {error}", err=True)
        raise SystemExit(1) from None
