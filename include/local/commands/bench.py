"""`./showroom bench`: load steps on a stack of their own."""

from typing import Annotated

import typer

app = typer.Typer(
    help="Measure the live path; the last line is one JSON object, kept in benchmarks/results/.", no_args_is_help=True
)
Seed = Annotated[int, typer.Option(help="Seed of the synthetic shop.")]
Sessions = Annotated[int, typer.Option(help="Visits the measurement is over.", min=1_000)]
WarmUp = Annotated[
    int, typer.Option(help="Visits sent through before: servers then have compiled what they run.", min=0)
]
SEED = 1


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="bench")


@app.command()
def gate(sessions: Sessions = 300_000, seed: Seed = SEED) -> None:
    """One gate process, raw to valid, all checks and transactions on."""
    from benchmarks.gate import run

    typer.echo(run(sessions, seed))


@app.command()
def live(sessions: Sessions = 200_000, warm_up: WarmUp = 200_000, seed: Seed = SEED) -> None:
    """Raw to all four indices, every service on this machine; freshness; against one POST a document."""
    from benchmarks.live import run

    typer.echo(run(sessions, warm_up, seed))


@app.command()
def scale(sessions: Sessions = 40_000, warm_up: WarmUp = 40_000, seed: Seed = SEED) -> None:
    """The live path with 1, 2, 4 partitions and gate processes, and with ten times the users."""
    from benchmarks.scale import run

    typer.echo(run(sessions, warm_up, seed))
