"""`./showroom bench`: load steps on a stack of their own, and the nightly batch in its own environment."""

import os
import subprocess
from typing import Annotated

import typer

app = typer.Typer(
    help="Measure the live path and the nightly batch; the last line is one JSON object, kept in benchmarks/results/.",
    no_args_is_help=True,
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
def archive(sessions: Sessions = 200_000, warm_up: WarmUp = 50_000, seed: Seed = SEED) -> None:
    """Kafka to MongoDB by the DAG's own code; the ratio to the rate of the last bench live."""
    from benchmarks.archive import run

    typer.echo(run(sessions, warm_up, seed))


@app.command()
def scale(sessions: Sessions = 40_000, warm_up: WarmUp = 40_000, seed: Seed = SEED) -> None:
    """The live path with 1, 2, 4 partitions and gate processes, and with ten times the users."""
    from benchmarks.scale import run

    typer.echo(run(sessions, warm_up, seed))


@app.command()
def panels(
    documents: Annotated[int, typer.Option(help="Documents of session_summary; others in proportion.", min=1_000)] = (
        1_000_000
    ),
    repeats: Annotated[int, typer.Option(help="Times each panel is asked.", min=2)] = 20,
    seed: Seed = SEED,
) -> None:
    """Each panel of the dashboards on a filled Elasticsearch; a whole dashboard at once."""
    from benchmarks.panels import run

    typer.echo(run(documents, repeats, seed))


PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""All options belong to the program that is called, --help too."""


@app.command(context_settings=PASSED_ON)
def models(context: typer.Context) -> None:
    """All models on two public data sets, on valid and on leaky splits."""
    _batch("models", context.args)


@app.command(context_settings=PASSED_ON)
def privacy(context: typer.Context) -> None:
    """The private network at several epsilons, each recomputed from what was logged."""
    _batch("privacy", context.args)


@app.command(context_settings=PASSED_ON)
def similar(context: typer.Context) -> None:
    """Similar users: recall and speed, the array path against datasketch."""
    _batch("similar", context.args)


@app.command(context_settings=PASSED_ON)
def nightly(context: typer.Context) -> None:
    """A whole nightly run on synthetic sessions: time and memory of each step."""
    _batch("nightly", context.args)


def _batch(name: str, arguments: list[str]) -> None:
    """One bench of the nightly batch, in its environment; ends as that ends."""
    from local.install.environments import ensure_environment
    from local.project import ROOT

    python = ensure_environment("ml", lambda line: typer.echo(line, err=True))
    command = [str(python), "-P", "-m", f"benchmarks.batch.{name}", *arguments]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    raise typer.Exit(done.returncode)
