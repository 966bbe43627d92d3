"""`./showroom gate`: the gate's block list, and partitions that it stopped."""

from typing import Annotated, Literal

import typer

from include.contracts.errors import TerminalError
from include.contracts.settings import Settings
from include.local.project import load_settings

app = typer.Typer(help="Block users and networks at the gate; resume a stopped partition.", no_args_is_help=True)
User = Annotated[str | None, typer.Option(help="A user, as the source names him.")]
Partition = Annotated[int, typer.Option(help="The stopped partition of sessions.raw.", min=0)]
From = Annotated[
    Literal["earliest", "latest"],
    typer.Option("--from", help="earliest: the oldest record there is; latest: only what arrives from now on."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without it only what would happen is shown.")]
Network = Annotated[str | None, typer.Option(help="An address; its /24 (IPv6: /48) is meant.")]


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="gate")


@app.command()
def block(user: User = None, network: Network = None) -> None:
    """Refuse a user or a network from the next batch on."""
    _change(user, network, lift=False)


@app.command()
def unblock(user: User = None, network: Network = None) -> None:
    """Admit a blocked user or network again."""
    _change(user, network, lift=True)


@app.command()
def resume(partition: Partition, start: From, yes: Yes = False) -> None:
    """Continue a partition that the gate stopped because its offsets are lost. The recorded gap is kept."""
    import redis

    from include.gate.gaps import GapStore

    settings: Settings = load_settings()
    if partition >= settings.partitions:
        raise TerminalError(f"there is no partition {partition}", f"give one from 0 to {settings.partitions - 1}")
    try:
        with redis.Redis.from_url(settings.redis_url.reveal()) as client:
            gaps = GapStore(client)
            gap = gaps.request_resume(partition, start) if yes else gaps.require_stopped(partition)
    except redis.ConnectionError as error:
        raise TerminalError(f"Redis does not answer ({error})", "./showroom up") from None
    typer.echo(gap.description)
    where = "the oldest record" if start == "earliest" else "the end, skipping every record that waits now"
    typer.echo(f"the gate {'continues' if yes else 'would continue'} at {where}{'' if yes else '; repeat with --yes'}")


def _change(user: str | None, network: str | None, *, lift: bool) -> None:
    if (user is None) == (network is None):
        raise TerminalError("name one user or one network", "use --user or --network")
    import redis

    from include.gate.block import block_network, block_user
    from include.local.layout import Layout
    from include.local.servers.gate import pseudonym_key

    settings: Settings = load_settings()
    settings = settings.replace(pseudonym_key=pseudonym_key(settings, Layout.of(settings)))
    verb = "unblocked" if lift else "blocked"
    try:
        with redis.Redis.from_url(settings.redis_url.reveal()) as client:
            if user is not None:
                typer.echo(f"{verb} user {block_user(client, settings, user, lift=lift)}")
            elif network is not None:
                typer.echo(f"{verb} network {block_network(client, settings, network, lift=lift)}")
    except ValueError:
        raise TerminalError(f"{network!r} is no IP address", "give one like 203.0.113.7") from None
    except redis.ConnectionError as error:
        raise TerminalError(f"Redis does not answer ({error})", "./showroom up") from None
