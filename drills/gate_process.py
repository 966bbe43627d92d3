"""A gate process that is restarted when it exits, with its log and its number of starts."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from benchmarks.bench_stack import on_progress
from include.contracts.renamed_settings import RENAMED
from include.contracts.settings import PREFIX, LocalSettings, Settings
from local.project import ROOT, state_dir

INDEX = 0
RESTART_DELAY_S = 1.0
STOP_TIMEOUT_S = 12.0
LOG_FOLDER = "drill-logs"


def gate_log_path(settings: LocalSettings, drill: str) -> Path:
    """Return the path of the gate's log, outside the stack's folder because the drill purges the stack."""
    return state_dir(settings).parent / LOG_FOLDER / f"{drill}-gate.log"


def log_gate_log_path(settings: LocalSettings, drill: str, result: str) -> None:
    """Log the path of the gate's log if the result misses a target."""
    if not json.loads(result)["met"]:
        on_progress(f"a target is missed; the gate's log is {gate_log_path(settings, drill)}")


def _with_former_names(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a version whose settings had their former names."""
    former = {f"{PREFIX}{now}": f"{PREFIX}{before}" for before, now in RENAMED.items()}
    return {former.get(name, name): value for name, value in environment.items()}


class GateProcess:
    """Process manager of one gate. `checkout` is the project folder of the gate, to compare versions."""

    def __init__(self, settings: Settings, log: Path, checkout: Path = ROOT) -> None:
        own = settings.to_env()
        if not (checkout / "include/contracts/renamed_settings.py").exists():
            own = _with_former_names(own)
        self._environment = os.environ | own | {"PYTHONPATH": str(checkout), "PYTHONUNBUFFERED": "1"}
        self._checkout = checkout
        self._log = log
        self._stop_event = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.kills = 0
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)

    def __enter__(self) -> "GateProcess":
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.write_text("")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_event.set()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._thread.join()

    def kill(self) -> None:
        """Kill the gate with SIGKILL; it is restarted."""
        self.kills += 1
        if self._process is not None:
            self._process.kill()

    def count_lines(self, text: str) -> int:
        """Return the number of log lines that contain a text."""
        return sum(text in line for line in self._log.read_text(errors="replace").splitlines())

    def _run(self) -> None:
        command = [sys.executable, "-P", "-m", "include.gate", "--index", str(INDEX)]
        with self._log.open("ab") as log:
            while not self._stop_event.is_set():
                self.starts += 1
                self._process = subprocess.Popen(command, cwd=self._checkout, env=self._environment, stderr=log)
                self._process.wait()
                self._stop_event.wait(RESTART_DELAY_S)
