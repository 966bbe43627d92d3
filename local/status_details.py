"""What the stages say about themselves below the programs of `./showroom status`."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis import RedisError
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from include.archive import queries as archived
from include.archive import store
from include.clients import elasticsearch, redis
from include.clients.flink import FlinkRest
from include.contracts.errors import ShowroomError, TransientError
from include.contracts.settings import Settings
from include.gate.stats import GateStats, read_stats
from include.serving import queries
from include.supervise.stream_job import get_job_status
from local.airflow_login import login, viewer_login
from local.layout import Layout, write_text
from local.servers import mlflow as mlflow_server
from local.servers.airflow import KEYS_FILE
from local.verification.ground_truth_store import unique_users

TIMEOUT_S = 3.0
VALID = "valid"
SHOWN_FILE = "airflow.shown"
LIVE = "/plugin/showroom-live"
"""Path of the page for who only looks; the login leads back to it."""


def gate(settings: Settings) -> RenderableType:
    """Records by verdict, users estimated and true, claims of the duplicate window, heartbeat."""
    with (
        _or_away("gate") as unavailable,
        redis.connect(settings.redis.url.reveal(), timeout_s=TIMEOUT_S) as client,
    ):
        report = read_stats(client, settings)
        return Group(_titled("gate"), _verdicts(report), _users(report, _true_users(settings, report)))
    return unavailable[0]


def archive(settings: Settings) -> RenderableType:
    """Sessions in MongoDB, when the last were written, and what lies apart."""
    with _or_away("archive") as unavailable, store.connect(settings) as client:
        database = store.database(client, settings)
        marks = archived.watermarks(database)
        grid = Table.grid(padding=(0, 2))
        grid.add_row("  sessions", f"{archived.count(database):>12,}")
        grid.add_row("  undecodable records", f"{archived.undecodable(database):>12,}")
        grid.add_row("  expired before", f"{archived.expired(database):>12,}", "offsets")
        if marks:
            grid.add_row("  last written", f"{max(mark.written_at for mark in marks):%Y-%m-%d %H:%M:%S} UTC")
        return Group(_titled("archive"), grid)
    return unavailable[0]


def airflow(settings: Settings) -> RenderableType:
    """Where Airflow's pages are and how to log in; the passwords themselves are shown once."""
    layout = Layout.of(settings)
    with _or_away("airflow") as unavailable:
        shown = layout.conf / SHOWN_FILE
        logins = {settings.airflow.url: login(layout), settings.airflow.url + LIVE: viewer_login(layout)}
        lines = [
            f"  {url} as {user}"
            + (f", its password lies in {layout.conf / KEYS_FILE}" if shown.exists() else f", password {password}")
            for url, (user, password) in logins.items()
        ]
        write_text(shown, "", mode=0o600)
        return Group(_titled("airflow"), *map(Text, lines))
    return unavailable[0]


def mlflow(settings: Settings) -> RenderableType:
    """Where MLflow's pages are and how to log in."""
    layout = Layout.of(settings)
    location = layout.conf / mlflow_server.KEYS_FILE
    return Group(
        _titled("mlflow"), Text(f"  {settings.mlflow.url} as {mlflow_server.USER}, its password lies in {location}")
    )


def stream(settings: Settings) -> RenderableType:
    """The job's state, checkpoints and restarts."""
    with _or_away("stream") as unavailable, FlinkRest(settings) as flink:
        seen = get_job_status(flink)
        if seen is None:
            return Group(_titled("stream"), "  no job is running: ./showroom stream resume")
        age = "none yet" if seen.checkpoint_age_s is None else f"{seen.checkpoint_age_s:.0f} s ago"
        idle = f", tasks not running: {seen.idle_tasks}" if seen.idle_tasks else ""
        message = f"  job {seen.job_id} {seen.state.lower()}, last checkpoint {age}, restarts {seen.restarts}{idle}"
        return Group(_titled("stream"), message)
    return unavailable[0]


def serving(settings: Settings) -> RenderableType:
    """Searchable documents by index."""
    with _or_away("serving") as unavailable, elasticsearch.connect(settings) as client:
        counts = queries.counts(client)
        newest = queries.latest_session(client)
        grid = Table.grid(padding=(0, 2))
        for name, count in counts.items():
            grid.add_row(f"  {name}", f"{count:>12,}")
        if newest:
            grid.add_row("  newest session arrived", f"{newest.received_at:%Y-%m-%d %H:%M:%S} UTC")
        return Group(_titled("serving"), grid)
    return unavailable[0]


def _true_users(settings: Settings, report: GateStats) -> int | None:
    """Users by the ledgers; None where some session is in none, or while the archive that keeps them is away."""
    try:
        return unique_users(settings, report.verdicts.get(VALID, 0))
    except TransientError:
        return None


def _verdicts(report: GateStats) -> Table:
    grid = Table.grid(padding=(0, 2))
    for verdict, count in sorted(report.verdicts.items(), key=lambda pair: (pair[0] != "valid", -pair[1])):
        grid.add_row(f"  {verdict}", f"{count:>12,}")
    return grid


def _users(report: GateStats, true: int | None) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row("  users, HyperLogLog", f"{report.users_unique:>12,}", _error(report.users_unique, true))
    size = f"{report.bloom_bytes / 1e6:.1f} MB"
    grid.add_row("  users, Bloom filter", f"{report.bloom_items:>12,}", f"{_error(report.bloom_items, true)} {size}")
    if report.claims:
        each = report.claims_bytes / report.claims
        grid.add_row("  claimed session ids", f"{report.claims:>12,}", f"{each:.0f} bytes each")
    grid.add_row("  last heartbeat", f"{report.max_heartbeat_age_s:>12.1f}", "s ago")
    return grid


def _error(estimate: int, true: int | None) -> str:
    if not true:
        return ""
    return f"{estimate / true - 1:+.2%} of the {true:,} true ones"


def _titled(stage: str) -> Text:
    return Text(f"\n{stage}", style="bold")


@contextmanager
def _or_away(stage: str) -> Iterator[list[RenderableType]]:
    """Swallow that a server is away and hand out a line that says so instead."""
    unavailable: list[RenderableType] = []
    try:
        yield unavailable
    except (ShowroomError, RedisError) as error:
        message = str(error) if isinstance(error, TransientError) else f"{type(error).__name__}: {error}"
        unavailable.append(Group(_titled(stage), f"  away: {message}"))
