"""The demo's pause of ingest_synthetic in a real Airflow: undone after an error or a signal, reported after kill -9."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager

import pytest

from include.clients.airflow import AirflowApi
from include.contracts.settings import Settings
from local.demo import pause as demo_pause
from local.layout import Layout
from local.project import ROOT
from local.servers.airflow import home
from local.stack import Stack
from tests.polling import eventually

LOCKED_S = 6.0
"""Longer than the timeout of SQLite's driver, 5 s."""
DEMO = """
import os, signal, time
from include.contracts.settings import Settings
from local.demo import pause as demo_pause
from include.clients.airflow import AirflowApi
from local.airflow_login import connect_airflow
from local.layout import Layout

# Under nohup, or in the background of a shell, these are ignored, and the demo leaves them so.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in demo_pause.SIGNALS:
    signal.signal(number, signal.SIG_DFL)
settings = Settings.from_env(os.environ)
with demo_pause.unpause_on_exit(settings, print):
    layout = Layout.of(settings.local)
    demo_pause.record(settings.airflow, layout)
    with connect_airflow(settings.airflow, layout) as airflow:
        airflow.pause(demo_pause.DAG)
    print("paused", flush=True)
    time.sleep(600)
"""


def is_paused(api: AirflowApi) -> bool:
    return api.dags()[demo_pause.DAG]


@pytest.fixture
def running(api: AirflowApi) -> Iterator[AirflowApi]:
    """The DAG unpaused, and paused again afterwards, as the other tests of this folder expect it."""
    api.unpause(demo_pause.DAG)
    yield api
    api.pause(demo_pause.DAG)


@contextmanager
def demo(settings: Settings) -> Iterator["subprocess.Popen[str]"]:
    """Start a process that has paused the DAG as the demo does."""
    environment = os.environ | settings.to_env() | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", DEMO], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "paused\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_pause_while_another_writes_waits_for_the_database(running: AirflowApi, platform: Stack) -> None:
    """Lock the database for longer than SQLite's timeout of 5 s, so that Airflow returns 500."""
    with (
        closing(sqlite3.connect(home(platform.layout) / "airflow.db", isolation_level=None)) as writer,
        ThreadPoolExecutor(1) as elsewhere,
    ):
        writer.execute("BEGIN IMMEDIATE")
        pausing = elsewhere.submit(running.pause, demo_pause.DAG)
        assert not wait([pausing], LOCKED_S).done
        writer.execute("ROLLBACK")
        pausing.result()
    assert is_paused(running)


def test_unpause_on_exit_after_error_unpauses_dag(running: AirflowApi, settings: Settings) -> None:
    layout = Layout.of(settings.local)
    with pytest.raises(RuntimeError), demo_pause.unpause_on_exit(settings, print):
        demo_pause.record(settings.airflow, layout)
        running.pause(demo_pause.DAG)
        raise RuntimeError
    assert not is_paused(running)
    assert not (layout.data / demo_pause.FILE).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_unpause_on_exit_after_signal_unpauses_dag(
    running: AirflowApi, settings: Settings, number: signal.Signals
) -> None:
    with demo(settings) as process:
        assert is_paused(running)
        assert demo_pause.leftover_warning(settings) is None
        process.send_signal(number)
        process.wait(timeout=30)
    assert not is_paused(running)


def test_leftover_warning_after_kill_9_until_unpaused(running: AirflowApi, settings: Settings) -> None:
    with demo(settings) as process:
        process.kill()
        process.wait(timeout=30)
    assert is_paused(running)
    assert f"unpause it at {settings.airflow.url}/dags/ingest_synthetic" in (
        demo_pause.leftover_warning(settings) or ""
    )
    running.unpause(demo_pause.DAG)
    eventually(lambda: demo_pause.leftover_warning(settings) is None, within_s=10)
    assert not (Layout.of(settings.local).data / demo_pause.FILE).exists()


def test_unpause_on_exit_leaves_paused_dag_paused(api: AirflowApi, settings: Settings) -> None:
    api.pause(demo_pause.DAG)
    with demo_pause.unpause_on_exit(settings, print):
        demo_pause.record(settings.airflow, Layout.of(settings.local))
    assert is_paused(api)
