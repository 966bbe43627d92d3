"""`./showroom gate`: the gate's block list."""

from typing import Annotated

import typer

from include.contracts.errors import TerminalError
from include.contracts.settings import Settings
from include.local.project import load_settings

app = typer.Typer(help="Block users and networks at the gate.", no_args_is_help=True)
User = Annotated[str | None, typer.Option(help="A user, as the source names him.")]
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
