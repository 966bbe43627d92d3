"""`./showroom bench`: benches of the live path on a separate stack, and of the nightly batch in its environment."""

import os
import subprocess
from typing import Annotated

import typer

app = typer.Typer(
    help="Measure the live path and the nightly batch; the last line is JSON, stored in benchmarks/results/.",
    no_args_is_help=True,
)
Seed = Annotated[int, typer.Option(help="Seed of the synthetic shop.")]
Sessions = Annotated[int, typer.Option(help="Sessions of the measurement.", min=1_000)]
WarmUp = Annotated[int, typer.Option(help="Sessions of the warm-up run before the measurement.", min=0)]
SEED = 1


def register(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="bench")


@app.command()
def gate(sessions: Sessions = 300_000, seed: Seed = SEED) -> None:
    """Measure one gate process with all checks and transactions."""
    from benchmarks.gate import run

    typer.echo(run(sessions, seed))


@app.command()
def live(sessions: Sessions = 200_000, warm_up: WarmUp = 200_000, seed: Seed = SEED) -> None:
    """Measure the live path to all four indices: throughput, freshness, and one POST a document as the baseline."""
    from benchmarks.live import run

    typer.echo(run(sessions, warm_up, seed))


@app.command()
def archive(sessions: Sessions = 200_000, warm_up: WarmUp = 50_000, seed: Seed = SEED) -> None:
    """Measure the archive, Kafka to MongoDB, against the rate of the last bench live."""
    from benchmarks.archive import run

    typer.echo(run(sessions, warm_up, seed))


@app.command()
def scale(sessions: Sessions = 40_000, warm_up: WarmUp = 40_000, seed: Seed = SEED) -> None:
    """Measure the live path with 1, 2 and 4 partitions and gate processes, and with ten times the users."""
    from benchmarks.scale import run

    typer.echo(run(sessions, warm_up, seed))


@app.command()
def panels(
    documents: Annotated[int, typer.Option(help="Documents of session_summary; others in proportion.", min=1_000)] = (
        1_000_000
    ),
    repeats: Annotated[int, typer.Option(help="Queries of each panel.", min=2)] = 20,
    seed: Seed = SEED,
) -> None:
    """Measure the queries of each panel, and of a whole dashboard at once, on a filled Elasticsearch."""
    from benchmarks.panels import run

    typer.echo(run(documents, repeats, seed))


PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Passes all options, including --help, to the bench."""


@app.command(context_settings=PASS_THROUGH)
def models(context: typer.Context) -> None:
    """Measure all models on two public data sets, on valid and on leaky splits."""
    _batch("models", context.args)


@app.command(context_settings=PASS_THROUGH)
def privacy(context: typer.Context) -> None:
    """Measure the private network at several epsilons, each recomputed from the log."""
    _batch("privacy", context.args)


@app.command(context_settings=PASS_THROUGH)
def similar(context: typer.Context) -> None:
    """Measure recall and speed of similar users, the array path against datasketch."""
    _batch("similar", context.args)


@app.command(context_settings=PASS_THROUGH)
def nightly(context: typer.Context) -> None:
    """Measure time and memory of each step of a nightly run on synthetic sessions."""
    _batch("nightly", context.args)


def _batch(name: str, arguments: list[str]) -> None:
    """Run a bench of the nightly batch in its environment and exit with its code."""
    from local.install.environments import ensure_environment
    from local.project import ROOT

    python = ensure_environment("ml", lambda line: typer.echo(line, err=True))
    command = [str(python), "-P", "-m", f"benchmarks.batch.{name}", *arguments]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    raise typer.Exit(done.returncode)
