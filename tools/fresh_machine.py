"""Run `./showroom demo` on bare Debian machines, and check that it exits with 0 on each.

debootstrap fills a folder, which bubblewrap uses as the root folder of a machine: no Python, no Java, only Debian's own
package lists. The network, its proxies, certificates and package registries are those of the host. Downloads are cached
between machines.
"""

import argparse
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from include.contracts.errors import PrerequisiteError, ShowroomError, TerminalError
from local.project import ROOT as PROJECT
from local.project import SHOWROOM
from tools.machine import MIRROR, ORDINARY, ROOT, Account, Machine, require_tools
from tools.python_mirror import build_mirror

WORK = SHOWROOM / "fresh-machine"
PORT_OFFSET = 7_000
LIMIT_S = 3_600.0
MOST_REMEDIES = 3
REMEDY = re.compile(r"run: sudo (apt-get [a-z0-9 .+-]+)")
SCRIPT = 'cd -- "$0" && ./showroom demo "$@" && ./showroom status && ./showroom down'
ACCOUNTS = {"root": ROOT, "user": ORDINARY}


class Case(NamedTuple):
    """One machine: its Debian release, the user of the demo, and the project folder below the home folder."""

    suite: str
    account: str
    folder: str

    def __str__(self) -> str:
        """Return the words that select it, and its folder."""
        return f"{self.suite}-{self.account} in {ACCOUNTS[self.account].home / self.folder}"

    @property
    def name(self) -> str:
        """The name that selects it."""
        return f"{self.suite}-{self.account}"


CASES = (
    Case("trixie", "user", "my shop ü"),
    Case("trixie", "root", "showroom"),
    Case("bookworm", "user", "showroom"),
    Case("bookworm", "root", "showroom"),
)


class Outcome(NamedTuple):
    """Result of one case."""

    case: Case
    error: str
    minutes: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the selected cases; return 0 only if all exit with 0."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cases = [case for case in CASES if not options.machine or case.name in options.machine]
    try:
        require_tools()
        variables = {"SHOWROOM_LOCAL_PORT_OFFSET": str(options.port_offset), **_python_mirror(options.uv_download)}
    except ShowroomError as error:
        _on_progress(f"fresh-machine failed: {error}")
        return 1
    outcomes = [_run(case, variables, options.demo, keep=options.keep) for case in cases]
    for outcome in outcomes:
        _on_progress(f"{outcome.error or 'ok':<8} {outcome.minutes:5.1f} min  {outcome.case}")
    return 1 if any(outcome.error for outcome in outcomes) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/fresh-machine", description=__doc__.split("\n\n")[0])
    names = [case.name for case in CASES]
    parser.add_argument("--machine", action="append", choices=names, help="run on this machine only; can be repeated")
    parser.add_argument(
        "--port-offset", type=int, default=PORT_OFFSET, help="SHOWROOM_LOCAL_PORT_OFFSET (default: %(default)s)"
    )
    parser.add_argument(
        "--uv-download", action="store_true", help="let uv download its Python, instead of a copy of this one"
    )
    parser.add_argument("--keep", action="store_true", help=f"keep the machines in {WORK.relative_to(PROJECT)}")
    parser.add_argument("demo", nargs="*", help="options of ./showroom demo, after --")
    return parser


def _python_mirror(uv_download: bool) -> dict[str, str]:
    """Provide this process's Python to uv, because its own download may be unreachable."""
    if uv_download:
        return {}
    prefix = Path(sys.base_prefix)
    if prefix == Path("/usr"):
        raise PrerequisiteError("the Python in /usr cannot be copied", "add --uv-download")
    folder = WORK / "python-mirror"
    folder.mkdir(parents=True, exist_ok=True)
    return build_mirror(prefix, folder, MIRROR)


def _run(case: Case, variables: dict[str, str], demo: Sequence[str], *, keep: bool) -> Outcome:
    began = time.monotonic()
    tree = WORK / "machines" / case.name
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    try:
        _log(case).write_text("")
        mirror = WORK / "python-mirror"
        _demo(case, Machine(tree, WORK / "caches", mirror if mirror.exists() else None), variables, demo)
        error = ""
    except ShowroomError as failure:
        _on_progress(f"{case}: {failure}")
        error = "failed"
        _keep_logs(case, tree)
    finally:
        if not keep:
            shutil.rmtree(tree)
    return Outcome(case, error, (time.monotonic() - began) / 60)


def _demo(case: Case, machine: Machine, variables: dict[str, str], demo: Sequence[str]) -> None:
    """Run the demo; run each command that it asks an administrator to run, once."""
    account = ACCOUNTS[case.account]
    folder = account.home / case.folder
    _on_progress(f"{case}: making the machine")
    machine.create(case.suite)
    machine.copy_project(PROJECT, folder, account)
    remedies: list[str] = []
    while True:
        _on_progress(f"{case}: ./showroom demo {' '.join(demo)}")
        code, last = _attempt(case, machine, [str(folder), *demo], account, variables)
        if code == 0:
            return
        request = REMEDY.search(last)
        if account == ROOT or request is None or request[1] in remedies or len(remedies) == MOST_REMEDIES:
            raise TerminalError(f"./showroom demo ended with {code}: {last}", f"see {_log(case)}")
        remedies.append(request[1])
        _on_progress(f"{case}: as asked by {last!r}")
        machine.check(["bash", "-c", f"DEBIAN_FRONTEND=noninteractive {request[1]}"], ROOT, request[1])


def _attempt(
    case: Case, machine: Machine, arguments: Sequence[str], account: Account, variables: dict[str, str]
) -> tuple[int, str]:
    """Run the demo once; return its exit code and its last line."""
    last = ""
    command = ["bash", "-c", SCRIPT, *arguments]
    with _log(case).open("a") as log, machine.process(command, account, variables) as process:
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        for line in process.stdout or ():
            log.write(line)
            log.flush()
            last = line.strip() or last
        limit.cancel()
        return process.wait(), last


def _keep_logs(case: Case, tree: Path) -> None:
    """Copy the server logs of a failed demo, because the machine is deleted."""
    project = tree / (ACCOUNTS[case.account].home / case.folder).relative_to("/")
    retained = WORK / f"{case.name}-logs"
    shutil.rmtree(retained, ignore_errors=True)
    if (logs := project / ".showroom" / "stack" / "log").is_dir():
        shutil.copytree(logs, retained, symlinks=True)


def _log(case: Case) -> Path:
    return WORK / f"{case.name}.log"


def _on_progress(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
