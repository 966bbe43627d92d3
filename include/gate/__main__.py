"""`python -m include.gate`: one gate process, settings from the environment."""

import gc
import logging
import os
import sys
from typing import Annotated

import typer

from include.contracts.errors import SettingsError, ShowroomError
from include.contracts.settings import Settings
from include.gate.metrics import serve_metrics
from include.gate.process import Gate
from include.gate.shutdown import ShutdownSignal

# A batch creates tens of thousands of objects without cycles; the default threshold would scan them repeatedly.
COLLECT_AFTER = 100_000


def main(index: Annotated[int, typer.Option(help="Index of this gate process, from 0.", min=0)] = 0) -> None:
    """Read sessions.raw, write sessions.valid and sessions.rejected, exactly once. SIGTERM drains and ends it."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    logging.getLogger("include.clients.confluent_kafka").setLevel(logging.ERROR)
    gc.set_threshold(COLLECT_AFTER)
    try:
        settings = Settings.from_env(os.environ)
        stop = ShutdownSignal()
        stop.listen()
        Gate(settings, index, stop, serve_metrics(settings, index)).run()
    except ShowroomError as error:
        sys.stderr.write(f"gate: {error}\n")
        raise SystemExit(2 if isinstance(error, SettingsError) else 1) from None


if __name__ == "__main__":
    typer.run(main)
