"""`./showroom gate`: the gate's block list, rejected records, and stopped partitions."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from include.contracts.errors import TerminalError
from include.contracts.settings import RedisSettings, Settings
from local.project import load_settings

if TYPE_CHECKING:
    import redis

    from include.gate.rejected import SearchResult

app = typer.Typer(
    help="Block users and networks at the gate; search rejected records; resume a stopped partition.",
    no_args_is_help=True,
)
User = Annotated[str | None, typer.Option(help="A user id, as the source sends it.")]
Network = Annotated[str | None, typer.Option(help="An IP address or its network; the gate uses its /24 (IPv6: /48).")]
Partition = Annotated[int, typer.Option(help="The stopped partition of sessions.raw.", min=0)]
From = Annotated[
    Literal["gap", "earliest", "latest"],
    typer.Option(
        "--from",
        help="gap: from the first record that the gate has not read; earliest: from the oldest retained record; "
        "latest: skip all waiting records.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Resume; without --yes only show the effect.")]
RESUME_OFFSETS = {
    "gap": "the first record that it has not read",
    "earliest": "the oldest record",
    "latest": "the end, skipping every waiting record",
}
MAX_ID = 64
"""Characters of a user id in the session contract."""
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="gate")


@app.command()
def block(user: User = None, network: Network = None) -> None:
    """Block a user or a network from the next batch on."""
    _change(user, network, lift=False)


@app.command()
def unblock(user: User = None, network: Network = None) -> None:
    """Unblock a user or a network from the next batch on."""
    _change(user, network, lift=True)


@app.command()
def resume(partition: Partition, start: From, yes: Yes = False) -> None:
    """Resume a partition that the gate stopped because its offsets are lost. The recorded gap is retained."""
    from include.gate.gaps import GapStore

    settings: Settings = load_settings()
    if partition >= settings.kafka.partitions:
        raise TerminalError(
            f"resume failed: there is no partition {partition}",
            f"choose one from 0 to {settings.kafka.partitions - 1}",
        )
    with _redis(settings.redis) as client:
        gaps = GapStore(client)
        gap = gaps.request_resume(partition, start) if yes else gaps.require_stopped(partition)
    typer.echo(f"{gap.description} (detected {datetime.fromtimestamp(gap.detected_at, UTC):%Y-%m-%d %H:%M:%S} UTC)")
    if yes:
        typer.echo(f"requested: once it runs, the gate continues at {RESUME_OFFSETS[start]}")
    else:
        typer.echo(f"the gate would continue at {RESUME_OFFSETS[start]}; repeat with --yes")


@app.command()
def offsets() -> None:
    """Show the gate's committed offsets in sessions.raw, and the end of each partition."""
    from cli.offsets import print_offsets
    from include.contracts.topics import GATE_GROUP, RAW

    print_offsets(GATE_GROUP, RAW)


@app.command("list")
def list_() -> None:
    """List blocked users, as pseudonyms, and blocked networks."""
    from include.gate.block import read_block_list

    settings = load_settings()
    with _redis(settings.redis) as client:
        users, networks = read_block_list(client, settings.kafka)
    for kind, entries in (("user", users), ("network", networks)):
        for entry in entries:
            typer.echo(f"{kind} {entry}")
    typer.echo(f"{len(users)} users, {len(networks)} networks blocked")


@app.command()
def rejected(
    session: Annotated[str | None, typer.Option(help="A session id, as the source sends it.")] = None,
    user: Annotated[str | None, typer.Option(help="A user id, as the source sends it.")] = None,
    last: Annotated[int, typer.Option(help="Maximum number of records, newest first.", min=1, max=1_000)] = 20,
    since: Annotated[
        str | None, typer.Option(help="Only records rejected within this time: 30m, 12h, 3d. Default: all retained.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds after which the search stops.", min=0.5, max=600)] = 10.0,
    record: Annotated[
        bool, typer.Option("--record", help="Also print each record; texts that may be personal data are masked.")
    ] = False,
) -> None:
    """Search rejected records; show time, reason, detail, origin and session id, with personal data masked."""
    from include.gate.redact import redact_record
    from include.gate.rejected import Query, find_rejected

    if session is not None and user is not None:
        raise TerminalError("gate rejected failed: --session and --user exclude each other", "use only one of them")
    for option, value in (("--session", session), ("--user", user)):
        if value is not None and not value.strip():
            raise TerminalError(f"gate rejected failed: {option} is empty", "enter one id")
    query = Query(session_id=session, user_id=user, last=last, since=None if since is None else _since(since))
    result = find_rejected(load_settings().kafka, query, timeout)
    for entry in result.records:
        typer.echo(
            f"{entry.rejected_at:%Y-%m-%d %H:%M:%S} UTC  {entry.reason}  session {entry.session_id or '-'}"
            f"  {entry.topic}[{entry.partition}]@{entry.offset}"
        )
        if entry.detail:
            typer.echo(f"    {entry.detail}")
        if record:
            typer.echo(f"    {redact_record(entry.value)}")
    typer.echo(_summary(result, timeout))
    if not result.records:
        typer.echo(
            "no rejected record matches: search for the session on Live, or see the lag in ./showroom status; "
            "rejected records are retained for 3 days"
        )


def _summary(result: "SearchResult", timeout_s: float) -> str:
    match = f"{len(result.records)} shown, {result.scanned:,} rejected records read"
    back = f", back to {result.back_to:%Y-%m-%d %H:%M:%S} UTC" if result.back_to else ""
    if result.complete:
        return match + back
    return f"{match}{back}; the search stopped after {timeout_s:g} s: use --since, or a longer --timeout"


def _since(text: str) -> datetime:
    match = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text)
    if match is None:
        raise TerminalError(f"gate rejected failed: --since {text!r} is not a duration", "write it as 30m, 12h or 3d")
    span = timedelta(**{UNITS[match[2]]: int(match[1])})
    return max(datetime.now(UTC) - min(span, timedelta(days=10_000)), datetime(1970, 1, 1, tzinfo=UTC))


def _change(user: str | None, network: str | None, *, lift: bool) -> None:
    if (user is None) == (network is None):
        raise TerminalError(
            "block list not changed: neither or both of --user and --network are set", "use one of them"
        )
    from include.gate.block import block_network, block_user
    from local.layout import Layout
    from local.servers.gate import pseudonym_key

    settings: Settings = load_settings()
    settings = settings.replace(gate={"pseudonym_key": pseudonym_key(settings.gate, Layout.of(settings.local))})
    if user is not None and (user != user.strip() or not 1 <= len(user) <= MAX_ID):
        raise TerminalError(
            f"block list not changed: {user!r} is not a user id of 1 to {MAX_ID} characters",
            "enter it as the source sends it",
        )
    with _redis(settings.redis) as client:
        if user is not None:
            change, kind = block_user(client, settings, user, lift=lift), "user"
        else:
            change, kind = block_network(client, settings.kafka, network or "", lift=lift), "network"
    if change.changed:
        typer.echo(f"{'unblocked' if lift else 'blocked'} {kind} {change.entry}")
    else:
        typer.echo(f"{kind} {change.entry} was {'not' if lift else 'already'} blocked: nothing changed")


@contextmanager
def _redis(settings: RedisSettings) -> Iterator["redis.Redis"]:
    from include.clients.redis import connect, translate_errors

    with (
        translate_errors("connection to Redis"),
        connect(settings.url.reveal(), timeout_s=5.0, connect_timeout_s=3.0) as client,
    ):
        yield client
