"""The demo pauses `ingest_synthetic`; this module unpauses the DAG however the demo ends.

A file in the state folder records the pause. It outlives a killed demo, so that the next command can report it.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil

from include.contracts.errors import ShowroomError
from include.contracts.settings import AirflowSettings, Settings
from local.airflow_login import connect_airflow
from local.layout import Layout, write_text

DAG = "ingest_synthetic"
FILE = "demo.pause"
SIGNALS = (signal.SIGTERM, signal.SIGHUP)
EXIT_OF_SIGNAL = 128


def record(settings: AirflowSettings, layout: Layout) -> None:
    """Record that this process is about to pause the DAG; an already paused DAG is not changed."""
    with connect_airflow(settings, layout) as airflow:
        # Airflow pauses a DAG that it has not parsed yet when it creates it.
        if not airflow.dags().get(DAG, True):
            write_text(_file(layout), f"{os.getpid()} {psutil.Process().create_time()}")


@contextmanager
def unpause_on_exit(settings: Settings, on_progress: Callable[[str], None]) -> Iterator[None]:
    """Unpause the DAG at the end of the block, also after an error, Ctrl-C, SIGTERM or a closed terminal.

    An ignored signal stays ignored, because `nohup` starts the demo with SIGHUP ignored.
    """
    layout = Layout.of(settings.local)
    handled = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, _exit) for number in handled}
    try:
        yield
    finally:
        try:
            _undo(settings.airflow, layout, on_progress)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def leftover_warning(settings: Settings) -> str | None:
    """Report a pause that a killed demo left behind; None without one, or while a demo is running."""
    layout = Layout.of(settings.local)
    if not _file(layout).exists() or _is_running(layout):
        return None
    try:
        with connect_airflow(settings.airflow, layout) as airflow:
            if not airflow.dags().get(DAG, True):
                _file(layout).unlink(missing_ok=True)
                return None
    except ShowroomError:
        return None
    return f"{DAG} is paused, because a demo was killed: {_remedy(settings.airflow)}, or run ./showroom demo"


def _undo(settings: AirflowSettings, layout: Layout, on_progress: Callable[[str], None]) -> None:
    if not _file(layout).exists():
        return
    try:
        with connect_airflow(settings, layout) as airflow:
            airflow.unpause(DAG)
    except ShowroomError as error:
        on_progress(f"{DAG} remains paused, because {error.message}: {_remedy(settings)}")
        return
    _file(layout).unlink(missing_ok=True)


def _remedy(settings: AirflowSettings) -> str:
    return f"unpause it at {settings.url}/dags/{DAG}"


def _file(layout: Layout) -> Path:
    return layout.data / FILE


def _is_running(layout: Layout) -> bool:
    """Return whether the process that recorded the pause is alive; its id may belong to another process by now."""
    try:
        pid, created = _file(layout).read_text(encoding="utf-8").split()
        return bool(psutil.Process(int(pid)).create_time() == float(created))
    except (OSError, ValueError, psutil.Error):
        return False


def _exit(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(EXIT_OF_SIGNAL + number)
