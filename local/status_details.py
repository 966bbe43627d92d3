"""Reports of the stages below the table of `./showroom status`."""

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
from include.contracts.settings import ElasticsearchSettings, FlinkSettings, MongodbSettings, Settings
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
"""Path of the page for the read-only user, to which the login redirects."""


def gate(settings: Settings) -> RenderableType:
    """Return records by verdict, estimated and true users, claims of the duplicate window, and the heartbeat age."""
    with (
        _catch_unavailable("gate") as unavailable,
        redis.connect(settings.redis.url.reveal(), timeout_s=TIMEOUT_S) as client,
    ):
        report = read_stats(client, settings)
        return Group(
            _title("gate"), _verdict_table(report), _user_table(report, _read_true_users(settings.mongodb, report))
        )
    return unavailable[0]


def archive(settings: MongodbSettings) -> RenderableType:
    """Return sessions in MongoDB, undecodable records, expired offsets, and the time of the last write."""
    with _catch_unavailable("archive") as unavailable, store.connect(settings) as client:
        database = store.database(client, settings)
        marks = archived.watermarks(database)
        grid = Table.grid(padding=(0, 2))
        grid.add_row("  sessions", f"{archived.count(database):>12,}")
        grid.add_row("  undecodable records", f"{archived.undecodable(database):>12,}")
        grid.add_row("  expired before", f"{archived.expired(database):>12,}", "offsets")
        if marks:
            grid.add_row("  last written", f"{max(mark.written_at for mark in marks):%Y-%m-%d %H:%M:%S} UTC")
        return Group(_title("archive"), grid)
    return unavailable[0]


def airflow(settings: Settings) -> RenderableType:
    """Return the URLs and logins of Airflow. The passwords are shown only once."""
    layout = Layout.of(settings.local)
    with _catch_unavailable("airflow") as unavailable:
        shown_file = layout.conf / SHOWN_FILE
        logins = {settings.airflow.url: login(layout), settings.airflow.url + LIVE: viewer_login(layout)}
        lines = [
            f"  {url} as {user}"
            + (f", its password is in {layout.conf / KEYS_FILE}" if shown_file.exists() else f", password {password}")
            for url, (user, password) in logins.items()
        ]
        write_text(shown_file, "", mode=0o600)
        return Group(_title("airflow"), *map(Text, lines))
    return unavailable[0]


def mlflow(settings: Settings) -> RenderableType:
    """Return the URL and login of MLflow."""
    layout = Layout.of(settings.local)
    key_file = layout.conf / mlflow_server.KEYS_FILE
    return Group(
        _title("mlflow"), Text(f"  {settings.mlflow.url} as {mlflow_server.USER}, its password is in {key_file}")
    )


def stream(settings: FlinkSettings) -> RenderableType:
    """Return the job's state, checkpoints and restarts."""
    with _catch_unavailable("stream") as unavailable, FlinkRest(settings) as flink:
        job = get_job_status(flink)
        if job is None:
            return Group(_title("stream"), "  no job is running: ./showroom stream resume")
        age = "none yet" if job.checkpoint_age_s is None else f"{job.checkpoint_age_s:.0f} s ago"
        idle = f", tasks not running: {job.idle_tasks}" if job.idle_tasks else ""
        message = f"  job {job.job_id} {job.state.lower()}, last checkpoint {age}, restarts {job.restarts}{idle}"
        return Group(_title("stream"), message)
    return unavailable[0]


def serving(settings: ElasticsearchSettings) -> RenderableType:
    """Return the number of searchable documents by index, and the arrival of the newest session."""
    with _catch_unavailable("serving") as unavailable, elasticsearch.connect(settings) as client:
        counts = queries.counts(client)
        newest = queries.latest_session(client)
        grid = Table.grid(padding=(0, 2))
        for name, count in counts.items():
            grid.add_row(f"  {name}", f"{count:>12,}")
        if newest:
            grid.add_row("  newest session arrived", f"{newest.received_at:%Y-%m-%d %H:%M:%S} UTC")
        return Group(_title("serving"), grid)
    return unavailable[0]


def _read_true_users(settings: MongodbSettings, report: GateStats) -> int | None:
    """Return the users by the ground truth; None if it misses a session, or while the archive is unavailable."""
    try:
        return unique_users(settings, report.verdicts.get(VALID, 0))
    except TransientError:
        return None


def _verdict_table(report: GateStats) -> Table:
    grid = Table.grid(padding=(0, 2))
    for verdict, count in sorted(report.verdicts.items(), key=lambda pair: (pair[0] != "valid", -pair[1])):
        grid.add_row(f"  {verdict}", f"{count:>12,}")
    return grid


def _user_table(report: GateStats, true: int | None) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row("  users, HyperLogLog", f"{report.users_unique:>12,}", _relative_error(report.users_unique, true))
    size = f"{report.bloom_bytes / 1e6:.1f} MB"
    grid.add_row(
        "  users, Bloom filter", f"{report.bloom_items:>12,}", f"{_relative_error(report.bloom_items, true)} {size}"
    )
    if report.claims:
        bytes_per_claim = report.claims_bytes / report.claims
        grid.add_row("  claimed session ids", f"{report.claims:>12,}", f"{bytes_per_claim:.0f} bytes each")
    grid.add_row("  last heartbeat", f"{report.max_heartbeat_age_s:>12.1f}", "s ago")
    return grid


def _relative_error(estimate: int, true: int | None) -> str:
    if not true:
        return ""
    return f"{estimate / true - 1:+.2%} of {true:,} true users"


def _title(stage: str) -> Text:
    return Text(f"\n{stage}", style="bold")


@contextmanager
def _catch_unavailable(stage: str) -> Iterator[list[RenderableType]]:
    """Catch the errors of an unavailable server; yield a list that then has the replacement report."""
    unavailable: list[RenderableType] = []
    try:
        yield unavailable
    except (ShowroomError, RedisError) as error:
        message = str(error) if isinstance(error, TransientError) else f"{type(error).__name__}: {error}"
        unavailable.append(Group(_title(stage), f"  unavailable: {message}"))
