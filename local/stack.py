"""The local stack: start, stop and status of all programs or of single ones."""

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
"""Programs of the live path without the gate's processes."""
ARCHIVE = ("mongodb",)
"""Programs of the archive."""
AIRFLOW = tuple(name for name, *_ in airflow.COMPONENTS)
"""Programs of Airflow."""

OnProgress = Callable[[str], None]


def _discard_progress(_: str) -> None:
    return


@dataclass(frozen=True, kw_only=True)
class ProgramStatus:
    """Current status of one program.

    Attributes:
        name: Name in supervisord.
        title: Name in progress lines.
        state: supervisord's state, or ORPHAN for a process without supervisord.
        pid: Process id; None if the program does not run.
        uptime_s: Time since the start; None if unknown.
        memory: Bytes of the process and its descendants; None if the program does not run.
        address: Address of the server.
    """

    name: str
    title: str
    state: str
    pid: int | None
    uptime_s: float | None
    memory: int | None
    address: str


class Stack:
    """One stack of servers, identified by its state folder. `on_progress` receives progress lines."""

    def __init__(self, settings: Settings, on_progress: OnProgress = _discard_progress) -> None:
        self.settings = settings
        self.layout = Layout.of(settings.local)
        self._on_progress = on_progress
        self._supervisor = Supervisor(self.layout)

    def up(self, programs: Collection[str] | None = None, deadline_s: float = DEADLINE_S) -> None:
        """Start programs (all by default) and wait until they are ready; running programs are not changed.

        Ends orphans of an earlier stack first, and creates the topics before the gate starts.

        Raises:
            TerminalError: A name is unknown, or the state has another version.
            PortTakenError: A port has another listener.
            PrerequisiteError: A required program is missing.
            NotReadyError: A program was not ready in time.
        """
        # First, because an installation may take minutes.
        self._select(self._define(), programs)
        ensure_java(self._on_progress)
        ensure_environment("flink", self._on_progress)
        with self._exclusive():
            self.layout.require_current_state()
            gate.ensure_pseudonym_key(self.settings.gate, self.layout)
            airflow.ensure_keys(self.layout)
            mlflow.ensure_keys(self.settings.batch, self.layout)
            defined = self._define()
            expected = self._select(defined, programs)
            if any(program.name in AIRFLOW for program in expected):
                ensure_environment("airflow", self._on_progress)
            # Also for Airflow, which runs the nightly batch in this environment.
            if any(program.name in (*AIRFLOW, mlflow.NAME) for program in expected):
                ensure_environment("ml", self._on_progress)
            self._supervise(defined)
            self.layout.close()
            users = (gate.NAME, airflow.NAME)
            servers = [program for program in expected if not program.name.startswith(users)]
            gates = [program for program in expected if program.name.startswith(gate.NAME)]
            self._start(servers, deadline_s)
            if any(program.name == "kafka" for program in servers):
                ensure_topics(self.settings.kafka)
            self._start(gates, deadline_s)
            # Last, because its DAGs need the other programs.
            self._start([program for program in expected if program.name in AIRFLOW], deadline_s)

    def down(self) -> None:
        """Stop all programs, in order if supervisord runs, and all orphans."""
        if not self.layout.root.exists():
            return
        with self._exclusive():
            if self._supervisor.is_running():
                self._on_progress("stopping")
                supervisor = processes.tree(self._supervisor.shutdown())[:1]
                psutil.wait_procs(supervisor, timeout=SHUTDOWN_S)
            self._end_orphans()

    def purge(self) -> None:
        """Stop all programs and delete all state. Other files in the state folder are retained."""
        self.down()
        for folder in self.layout.folders:
            shutil.rmtree(folder, ignore_errors=True)
        if self.layout.root.exists() and not any(self.layout.root.iterdir()):
            self.layout.root.rmdir()

    def start(self, program: str) -> None:
        """Start one program of the running stack, without waiting until it is ready."""
        self._supervisor.start(program)

    def stop(self, program: str) -> None:
        """Stop one program; supervisord does not restart it."""
        self._supervisor.stop(program)

    def wait(self, programs: Collection[str], deadline_s: float = DEADLINE_S) -> None:
        """Wait until programs are ready.

        Raises:
            NotReadyError: Names the program that is not ready, and the cause.
        """
        self._wait([program for program in self._define() if program.name in programs], deadline_s)

    def pid(self, program: str) -> int:
        """Return the process id of a program.

        Raises:
            TerminalError: The program does not run.
        """
        pid = self._supervisor.processes().get(program, {}).get("pid") or 0
        if not pid:
            raise TerminalError(f"{program} is not running", "start it with ./showroom up")
        return int(pid)

    def pids(self, program: str) -> list[int]:
        """Return the process ids of a program and its descendants, for measurements and signals."""
        return [process.pid for process in processes.tree(self.pid(program))]

    def kill(self, program: str) -> None:
        """Kill a program and its descendants with SIGKILL, as in a crash; supervisord restarts it."""
        processes.kill(processes.tree(self.pid(program)))

    def status(self) -> list[ProgramStatus]:
        """Return the status of all programs, in the order of their start."""
        existing = self._supervisor.processes()
        orphans = {} if existing else self._orphans()
        return [self._status(program, existing.get(program.name, {}), orphans) for program in self._define()]

    def log_path(self, program: str) -> Path:
        """Return the path of a program's log."""
        return self.layout.log / f"{program}.log"

    def _define(self) -> list[Program]:
        settings, layout = self.settings, self.layout
        return [
            kafka.program(settings, layout),
            redis.program(settings, layout),
            elasticsearch.program(settings.local, layout),
            mongodb.program(settings.local, layout),
            mlflow.program(settings, layout),
            *flink.programs(settings, layout),
            *gate.programs(settings, layout),
            *airflow.programs(settings, layout),
        ]

    def _select(self, defined: list[Program], names: Collection[str] | None) -> list[Program]:
        unknown = set(names or ()) - {program.name for program in defined}
        if unknown:
            raise TerminalError(f"no such program: {', '.join(sorted(unknown))}", "see ./showroom status")
        return [program for program in defined if names is None or program.name in names]

    def _supervise(self, defined: list[Program]) -> None:
        self._supervisor.write(defined)
        if self._supervisor.is_running():
            self._supervisor.apply()
            return
        self._end_orphans()
        self._supervisor.launch()

    def _start(self, expected: list[Program], deadline_s: float) -> None:
        existing = self._supervisor.processes()
        idle = [program for program in expected if existing[program.name]["statename"] not in ACTIVE]
        ports.require_free_ports(idle)
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
        orphans = processes.find_processes(self.layout)
        if orphans:
            self._on_progress(f"ending {len(orphans)} processes without supervisord")
            processes.end(orphans)

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
        """Return the pid of the first process of each program that runs without supervisord."""
        pids: dict[str, int] = {}
        for process in sorted(processes.find_processes(self.layout), key=psutil.Process.create_time):
            pids.setdefault(processes.program_of(process), process.pid)
        return pids

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Lock the stack, so that only one command at a time changes it."""
        self.layout.create()
        with private_files():
            opened = (self.layout.run / "lock").open("w")
        with opened as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
