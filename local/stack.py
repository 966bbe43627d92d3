"""The local stack as one object: up, down, and each program on its own."""

import fcntl
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from include.contracts.errors import TerminalError
from include.contracts.settings import Settings
from include.provision.topics import ensure_topics
from local import ports, processes
from local.install.environments import ensure_environment
from local.install.java import ensure_java
from local.layout import Layout, private_files, write_text
from local.program import Program
from local.readiness import wait_until_ready
from local.servers import airflow, elasticsearch, flink, gate, kafka, mlflow, mongodb, redis
from local.supervisord import Supervisor

DEADLINE_S = 180.0
SHUTDOWN_S = 150.0
ACTIVE = ("RUNNING", "STARTING", "BACKOFF", "STOPPING")
SERVERS = ("kafka", "redis", "elasticsearch", "flink-jobmanager", "flink-taskmanager")
"""All programs of the live path but the gate's processes."""
ARCHIVE = ("mongodb",)
"""What the archive stage writes to."""
AIRFLOW = tuple(name for name, *_ in airflow.COMPONENTS)
"""Airflow's four processes."""

OnProgress = Callable[[str], None]


def _silent(_: str) -> None:
    return


@dataclass(frozen=True, kw_only=True)
class ProgramStatus:
    """One program as it is now. `state` is supervisord's, or ORPHAN for what runs without supervision.

    `memory` in bytes, of the process and all below it; None where it does not run.
    """

    name: str
    title: str
    state: str
    pid: int | None
    uptime_s: float | None
    memory: int | None
    address: str


class Stack:
    """One stack of servers, named by its settings' state folder. `on_progress` gets progress lines."""

    def __init__(self, settings: Settings, on_progress: OnProgress = _silent) -> None:
        self.settings = settings
        self.layout = Layout.of(settings)
        self._on_progress = on_progress
        self._supervisor = Supervisor(self.layout)

    def up(self, programs: Collection[str] | None = None, deadline_s: float = DEADLINE_S) -> None:
        """Start programs (all of them by default) and wait until they answer; what runs already is left alone.

        Whatever an earlier, crashed stack left behind is ended first. Creates the topics before the gate
        starts. Raises PortTakenError, PrerequisiteError or NotReadyError.
        """
        # Before the minutes that an installation may take.
        self._select(self._define(), programs)
        ensure_java(self._on_progress)
        ensure_environment("flink", self._on_progress)
        with self._exclusive():
            self.layout.require_current_state()
            gate.ensure_pseudonym_key(self.settings, self.layout)
            airflow.ensure_keys(self.layout)
            mlflow.ensure_keys(self.settings, self.layout)
            defined = self._define()
            expected = self._select(defined, programs)
            if any(program.name in AIRFLOW for program in expected):
                ensure_environment("airflow", self._on_progress)
            # Airflow runs the nightly batch in it.
            if any(program.name in (*AIRFLOW, mlflow.NAME) for program in expected):
                ensure_environment("ml", self._on_progress)
            self._supervise(defined)
            self.layout.close()
            users = (gate.NAME, airflow.NAME)
            servers = [program for program in expected if not program.name.startswith(users)]
            gates = [program for program in expected if program.name.startswith(gate.NAME)]
            self._start(servers, deadline_s)
            if any(program.name == "kafka" for program in servers):
                ensure_topics(self.settings)
            self._start(gates, deadline_s)
            # Last: what its DAGs find must be there when they begin.
            self._start([program for program in expected if program.name in AIRFLOW], deadline_s)

    def down(self) -> None:
        """Stop everything, in order where supervisord still lives, and whatever of the stack runs without it."""
        if not self.layout.root.exists():
            return
        with self._exclusive():
            if self._supervisor.running():
                self._on_progress("stopping")
                supervisor = processes.tree(self._supervisor.shutdown())[:1]
                psutil.wait_procs(supervisor, timeout=SHUTDOWN_S)
            self._end_orphans()

    def purge(self) -> None:
        """Stop everything and delete all state, but nothing else that may lie in the state folder."""
        self.down()
        for folder in self.layout.folders:
            shutil.rmtree(folder, ignore_errors=True)
        if self.layout.root.exists() and not any(self.layout.root.iterdir()):
            self.layout.root.rmdir()

    def start(self, program: str) -> None:
        """Start one program of the running stack; does not wait until it answers."""
        self._supervisor.start(program)

    def stop(self, program: str) -> None:
        """Stop one program and keep it stopped."""
        self._supervisor.stop(program)

    def wait(self, programs: Collection[str], deadline_s: float = DEADLINE_S) -> None:
        """Wait until these programs answer; NotReadyError says which does not, and why."""
        self._wait([program for program in self._define() if program.name in programs], deadline_s)

    def pid(self, program: str) -> int:
        """Process id of a program that runs; TerminalError where it does not."""
        pid = self._supervisor.processes().get(program, {}).get("pid") or 0
        if not pid:
            raise TerminalError(f"{program} is not running", "start it with ./showroom up")
        return int(pid)

    def pids(self, program: str) -> list[int]:
        """The program's process and all its children: what a measurement or a SIGSTOP must cover."""
        return [process.pid for process in processes.tree(self.pid(program))]

    def kill(self, program: str) -> None:
        """Kill -9 a program with all its children, as a crash would; supervisord starts it again."""
        processes.kill(processes.tree(self.pid(program)))

    def status(self) -> list[ProgramStatus]:
        """All programs, in the order of their start."""
        existing = self._supervisor.processes()
        orphans = {} if existing else self._orphans()
        return [self._status(program, existing.get(program.name, {}), orphans) for program in self._define()]

    def log_path(self, program: str) -> Path:
        """Where the output of a program goes."""
        return self.layout.log / f"{program}.log"

    def _define(self) -> list[Program]:
        build = (self.settings, self.layout)
        stores = (kafka, redis, elasticsearch, mongodb, mlflow)
        defined = [server.program(*build) for server in stores]
        return [*defined, *flink.programs(*build), *gate.programs(*build), *airflow.programs(*build)]

    def _select(self, defined: list[Program], names: Collection[str] | None) -> list[Program]:
        unknown = set(names or ()) - {program.name for program in defined}
        if unknown:
            raise TerminalError(f"no such program: {', '.join(sorted(unknown))}", "see ./showroom status")
        return [program for program in defined if names is None or program.name in names]

    def _supervise(self, defined: list[Program]) -> None:
        self._supervisor.write(defined)
        if self._supervisor.running():
            self._supervisor.apply()
            return
        self._end_orphans()
        self._supervisor.launch()

    def _start(self, expected: list[Program], deadline_s: float) -> None:
        existing = self._supervisor.processes()
        idle = [program for program in expected if existing[program.name]["statename"] not in ACTIVE]
        ports.require_free(idle)
        for program in idle:
            with private_files():
                for path, text in program.files().items():
                    write_text(path, text, mode=0o600)
                program.prepare()
            self._on_progress(f"starting {program.title}")
            self._supervisor.start(program.name)
        self._wait(expected, deadline_s)

    def _wait(self, expected: list[Program], deadline_s: float) -> None:
        wait_until_ready(expected, self._supervisor.processes, self.log_path, deadline_s, self._on_progress)

    def _end_orphans(self) -> None:
        left = processes.find_processes(self.layout)
        if left:
            self._on_progress(f"ending {len(left)} processes that nothing supervises")
            processes.end(left)

    def _status(self, program: Program, info: dict[str, object], orphans: dict[str, int]) -> ProgramStatus:
        pid = int(str(info.get("pid") or orphans.get(program.name, 0)))
        started = float(str(info.get("start", 0)))
        return ProgramStatus(
            name=program.name,
            title=program.title,
            state=str(info.get("statename", "ORPHAN" if pid else "STOPPED")),
            pid=pid or None,
            uptime_s=time.time() - started if pid and started else None,
            memory=processes.memory(pid) if pid else None,
            address=program.address,
        )

    def _orphans(self) -> dict[str, int]:
        """Programs that outlived their supervisord, by name, with the process that was started first."""
        results: dict[str, int] = {}
        for process in sorted(processes.find_processes(self.layout), key=psutil.Process.create_time):
            results.setdefault(processes.program_of(process), process.pid)
        return results

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One command at a time changes a stack."""
        self.layout.create()
        with private_files():
            opened = (self.layout.run / "lock").open("w")
        with opened as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
