"""One gate process under a small process manager: what it logs, how often it was started, whether it hangs."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from benchmarks.bench_stack import on_progress
from include.contracts.settings import Settings
from local.project import ROOT, state_dir

INDEX = 0
RESTART_S = 1.0
END_S = 12.0
LOGS = "drill-logs"


def log_of(settings: Settings, drill: str) -> Path:
    """The gate's log of a drill. It lies beside the stack's folder, because the stack is purged at the end."""
    return state_dir(settings).parent / LOGS / f"{drill}-gate.log"


def log_gate_log_path(settings: Settings, drill: str, result: str) -> None:
    """Point to the gate's log if a target of the result is missed."""
    if not json.loads(result)["met"]:
        on_progress(f"a target is missed; the gate's log is {log_of(settings, drill)}")


class GateProcess:
    """Starts the gate again when it ends. `checkout`: the folder whose gate runs, to compare versions."""

    def __init__(self, settings: Settings, log: Path, checkout: Path = ROOT) -> None:
        self._environment = os.environ | settings.to_env() | {"PYTHONPATH": str(checkout), "PYTHONUNBUFFERED": "1"}
        self._checkout = checkout
        self._log = log
        self._done = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.kills = 0
        self._thread = threading.Thread(target=self._keep, name="gate", daemon=True)

    def __enter__(self) -> "GateProcess":
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.write_text("")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._thread.join()

    def kill(self) -> None:
        """Kill -9; it is started again."""
        self.kills += 1
        if self._process is not None:
            self._process.kill()

    def count_lines(self, text: str) -> int:
        """Lines of the log that hold a text."""
        return sum(text in line for line in self._log.read_text(errors="replace").splitlines())

    def _keep(self) -> None:
        command = [sys.executable, "-P", "-m", "include.gate", "--index", str(INDEX)]
        with self._log.open("ab") as log:
            while not self._done.is_set():
                self.starts += 1
                self._process = subprocess.Popen(command, cwd=self._checkout, env=self._environment, stderr=log)
                self._process.wait()
                self._done.wait(RESTART_S)
