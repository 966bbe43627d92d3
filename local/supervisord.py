"""supervisord: configuration, start and RPC interface."""

import hashlib
import os
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from supervisor import xmlrpc as supervisor_xmlrpc

from include.clients.errors import unavailable
from include.contracts.errors import NotReadyError, SettingsError, TransientError
from local.layout import Layout, write_text
from local.processes import MARK
from local.program import Program
from local.project import LOCALE, ROOT

START_RETRIES = 20
LOG_BYTES = 20 * 1024 * 1024
LOG_FILES = 3
START_TIMEOUT_S = 20
INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "TZ")

FAULT_BAD_NAME = supervisor_xmlrpc.Faults.BAD_NAME
FAULT_ALREADY_STARTED = supervisor_xmlrpc.Faults.ALREADY_STARTED
FAULT_NOT_RUNNING = supervisor_xmlrpc.Faults.NOT_RUNNING


class Supervisor:
    """Client of one stack's supervisord through its Unix socket."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._config = layout.conf / "supervisord.conf"
        self._socket = layout.run / "supervisor.sock"

    def is_running(self) -> bool:
        """Return whether supervisord responds."""
        try:
            self._call("supervisor.getState")
        except TransientError:
            return False
        return True

    def write(self, programs: Iterable[Program]) -> None:
        """Write the configuration. Only its owner may read it, because it contains secrets."""
        write_text(self._config, render(programs, self._layout, self._socket), mode=0o600)

    def launch(self) -> None:
        """Start supervisord in the background, without any program.

        Raises:
            NotReadyError: supervisord did not start.
        """
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment |= {MARK: str(self._layout.root), "TMPDIR": str(self._layout.tmp), "LC_ALL": LOCALE}
        self._socket.unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(self._config)]
        done = subprocess.run(
            command,
            env=environment,
            cwd=ROOT,
            umask=0o077,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0 or not self.is_running():
            reason = done.stdout.strip().splitlines()[-1:] or ["no reason given"]
            raise NotReadyError(
                f"start of supervisord failed: {reason[0]}", f"see {self._layout.log / 'supervisord.log'}"
            )

    def apply(self) -> None:
        """Apply the configuration to a running supervisord; changed programs are stopped."""
        added, changed, removed = self._call("supervisor.reloadConfig")[0]
        for name in (*changed, *removed):
            self._call("supervisor.stopProcessGroup", name)
            self._call("supervisor.removeProcessGroup", name)
        for name in (*added, *changed):
            self._call("supervisor.addProcessGroup", name)

    def start(self, name: str) -> None:
        """Start one program unless it runs, without waiting for it."""
        self._call("supervisor.startProcess", name, False, ignore=FAULT_ALREADY_STARTED)

    def stop(self, name: str) -> None:
        """Stop one program and wait for its end."""
        self._call("supervisor.stopProcess", name, True, ignore=FAULT_NOT_RUNNING)

    def shutdown(self) -> int:
        """Stop all programs, highest priority number first, and supervisord; return its pid without waiting."""
        pid: int = self._call("supervisor.getPID")
        self._call("supervisor.shutdown")
        return pid

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return supervisord's process info by program; empty if supervisord is not running."""
        try:
            return {info["name"]: info for info in self._call("supervisor.getAllProcessInfo")}
        except TransientError:
            return {}

    def _call(self, method: str, *arguments: object, ignore: int | None = None) -> Any:
        transport = supervisor_xmlrpc.SupervisorTransport(serverurl=f"unix://{self._socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == ignore:
                return None
            raise TransientError(f"{method} failed: {fault.faultString}", "see ./showroom status") from fault
        except (OSError, xmlrpc.client.ProtocolError) as error:
            raise unavailable(method, "supervisord", error, "run ./showroom up") from error
        finally:
            transport.close()


def render(programs: Iterable[Program], layout: Layout, socket: Path) -> str:
    """Return supervisord's configuration. No program starts automatically; started programs are restarted."""
    sections: list[tuple[str, Mapping[str, object]]] = [
        ("unix_http_server", {"file": socket, "chmod": "0700"}),
        (
            "supervisord",
            {
                "logfile": layout.log / "supervisord.log",
                "logfile_maxbytes": LOG_BYTES,
                "logfile_backups": 1,
                "pidfile": layout.run / "supervisord.pid",
                "directory": ROOT,
                "childlogdir": layout.log,
                "umask": "077",
                "minfds": 1024,
                **({"user": "root"} if os.geteuid() == 0 else {}),
            },
        ),
        (
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        ("supervisorctl", {"serverurl": f"unix://{socket}"}),
        *((f"program:{program.name}", _program(program, layout)) for program in programs),
    ]
    return "\n".join(_section(name, values) for name, values in sections)


def _program(program: Program, layout: Layout) -> dict[str, object]:
    digest = hashlib.sha256("".join(program.files().values()).encode()).hexdigest()
    # The digest makes a changed configuration file a changed program for supervisord.
    environment = {**program.environment, "CONFIG_DIGEST": digest[:16]}
    return {
        "command": " ".join(map(_quote, program.command)),
        "directory": program.directory or ROOT,
        "environment": ",".join(f"{name}={_quote(value)}" for name, value in environment.items()),
        "priority": program.priority,
        "autostart": "false",
        "autorestart": "true",
        "startsecs": 1,
        "startretries": START_RETRIES,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": program.stop_wait_s,
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": layout.log / f"{program.name}.log",
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": LOG_FILES,
    }


def _quote(text: str) -> str:
    """Quote a word for supervisord.

    Raises:
        SettingsError: The word has a character that the configuration cannot escape.
    """
    if any(mark in text for mark in ('"', "\n", " ;", " #", "\\")):
        raise SettingsError(
            "a path or setting contains a quote, a backslash, a newline, ' ;' or ' #'", "remove that character"
        )
    return f'"{text}"'


def _section(name: str, values: Mapping[str, object]) -> str:
    lines = (f"{key} = {str(value).replace('%', '%%')}" for key, value in values.items())
    return "\n".join((f"[{name}]", *lines, ""))
