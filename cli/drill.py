"""`./showroom drill`: faults under a steady load, on a separate stack."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Inject a fault under a steady load; the last line is one JSON object, stored in drills/results/.",
    no_args_is_help=True,
)
Rate = Annotated[float, typer.Option(help="Sessions a second.", min=1, max=5_000)]
Seed = Annotated[int, typer.Option(help="Seed of the synthetic shop.")]
FAULT_HELP = {
    "taskmanager": "Kill -9 the Flink TaskManager.",
    "jobmanager": "Kill -9 the Flink JobManager.",
    "cancel": "Cancel the stream job without Airflow.",
    "gate": "Kill -9 the gate during a transaction.",
    "airflow": "Kill -9 Airflow's scheduler.",
    "redis-full": "Fill Redis to its memory limit for a minute, and kill -9 the gate during it.",
    "mongo": "Kill -9 MongoDB during an archive run.",
}


def register(main: typer.Typer) -> None:
    """Add the commands."""
    for name, help_text in FAULT_HELP.items():
        app.command(name, help=help_text)(_command(name))
    main.add_typer(app, name="drill")


def _command(name: str) -> Callable[[float, int], None]:
    def drill(rate: Rate = 500.0, seed: Seed = 1) -> None:
        from drills.drill import run

        typer.echo(run(name, rate, seed))

    return drill


Short = Annotated[bool, typer.Option("--short", help="A few faults only.")]
Checkout = Annotated[
    Path | None, typer.Option(help="Folder of another version of the project whose gate is tested.", file_okay=False)
]


@app.command()
def kafka(short: Short = False, seed: Seed = 1, checkout: Checkout = None) -> None:
    """Kill -9 Kafka at random moments while the gate is at full load; downtimes of 5, 40 and 150 s."""
    from drills.kafka import run
    from local.project import ROOT

    typer.echo(run(short=short, seed=seed, checkout=checkout or ROOT))


@app.command("late-commit")
def late_commit(short: Short = False, seed: Seed = 1, checkout: Checkout = None) -> None:
    """Delay commits in a proxy, reset their connections, and deliver them later."""
    from drills.late_commit import run
    from local.project import ROOT

    typer.echo(run(short=short, seed=seed, checkout=checkout or ROOT))


@app.command()
def idle(minutes: Annotated[float, typer.Option(help="Minutes without input.", min=0.1)] = 10.0) -> None:
    """Run without input for ten minutes; there must be no restart and no page."""
    from drills.idle import run

    typer.echo(run(minutes))


@app.command("elasticsearch-blocked")
def elasticsearch_blocked(
    rate: Rate = 500.0,
    seed: Seed = 1,
    fault_s: Annotated[float, typer.Option("--fault-s", help="Duration of each fault, s.", min=5)] = 60.0,
) -> None:
    """Block the indices three times (write block, shard limit, full disk); the stream must wait and lose nothing."""
    from drills.elasticsearch_blocked import run

    typer.echo(run(rate, seed, fault_s))


@app.command()
def poison(rate: Rate = 200.0, seed: Seed = 1) -> None:
    """Send oversized compressed records, emoji reviews, 240 back-dated months and overlong categories."""
    from drills.poison import run

    typer.echo(run(rate, seed))
