"""Run all tests, each folder in its environment, with one count at the end."""

import os
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from include.contracts.errors import TerminalError
from include.contracts.settings import PREFIX
from local.install.environments import Environment, ensure_environment
from local.project import ROOT, SHOWROOM

RESULTS = SHOWROOM / "test-results"

FOLDERS: dict[str, Environment] = {
    "tests/unit": "dev",
    "tests/compose": "dev",
    "tests/batch": "ml",
    "tests/stream": "flink",
    "tests/dags": "airflow",
    "tests/pages": "airflow",
    "tests/integration": "dev",
    "tests/browser": "dev",
    "tests/e2e": "dev",
}
"""Every test folder, in the order of a complete run: fast folders first."""

ON_SERVERS = ("tests/dags", "tests/integration", "tests/browser", "tests/e2e")
"""Folders whose tests start servers; they run in sequence, all others concurrently."""


class Counts(NamedTuple):
    """Number of tests by outcome; an error during collection is a failure."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: object) -> "Counts":
        if not isinstance(other, Counts):
            return NotImplemented
        return Counts(*(mine + its for mine, its in zip(self, other, strict=True)))

    def __str__(self) -> str:
        """Return the summary line, in pytest's format."""
        text = f"{self.passed} passed, {self.failed} failed"
        return f"{text}, {self.skipped} skipped" if self.skipped else text


class Run(NamedTuple):
    """One call of pytest."""

    environment: Environment
    paths: tuple[str, ...]

    @property
    def on_servers(self) -> bool:
        """Whether its tests start servers."""
        return self.paths[0].startswith(tuple(f"{folder}/" for folder in ON_SERVERS)) or self.paths[0] in ON_SERVERS


def plan(paths: Sequence[str], folder: Path = ROOT) -> list[Run]:
    """Return the pytest runs for paths below `folder`, one per test folder; no paths select all tests.

    The tests of a folder share one stack, which the tests of no other folder have used.

    Raises TerminalError for a path that is missing or belongs to no test folder.
    """
    chosen: list[tuple[str, str]] = []
    for path in paths or ["tests"]:
        location = path.split("::")[0].rstrip("/")
        if not (folder / location).exists():
            raise TerminalError(f"{location} does not exist", f"test folders are: {', '.join(FOLDERS)}")
        inside = [(name, path) for name in FOLDERS if f"{location}/".startswith(f"{name}/")]
        around = [(name, name) for name in FOLDERS if name.startswith(f"{location}/") and _has_tests(folder / name)]
        if not inside and not around:
            raise TerminalError(f"{location} contains no tests", f"test folders are: {', '.join(FOLDERS)}")
        chosen += inside or around
    order = list(FOLDERS)
    chosen.sort(key=lambda pair: order.index(pair[0]))
    groups = groupby(chosen, key=lambda pair: pair[0])
    return [Run(FOLDERS[name], tuple(path for _, path in members)) for name, members in groups]


def execute_all(runs: Sequence[Run], arguments: Sequence[str], on_progress: Callable[[str], None]) -> Counts:
    """Run everything: tests that start servers in sequence, all others concurrently.

    Tests on servers mostly wait, so the others cost almost no time. The output of the others is printed at their end.
    With `-x` among the arguments no run starts after a failure.
    """
    numbered = list(enumerate(runs, start=1))
    aside = [(number, run) for number, run in numbered if not run.on_servers]
    ahead = [(number, run) for number, run in numbered if run.on_servers]
    if not ahead:
        aside, ahead = [], aside
    with ThreadPoolExecutor(1) as lane:
        quiet = lane.submit(_lane, aside, arguments, on_progress, captured=True)
        total = _lane(ahead, arguments, on_progress, captured=False)
        return total + quiet.result()


def _lane(
    runs: Sequence[tuple[int, Run]], arguments: Sequence[str], on_progress: Callable[[str], None], *, captured: bool
) -> Counts:
    total = Counts()
    for number, run in runs:
        ensure_environment(run.environment, on_progress)
        title = f"== {', '.join(run.paths)} in environment {run.environment}"
        on_progress(f"{title}, beside the others" if captured else title)
        result, printed = execute(run, number, arguments, captured=captured)
        if captured:
            on_progress(f"{title}:\n{printed.rstrip()}")
        total += result
        if result.failed and "-x" in arguments:
            break
    return total


def execute(run: Run, number: int, arguments: Sequence[str], *, captured: bool = False) -> tuple[Counts, str]:
    """Run pytest once. Its output goes to this process's output, or is returned if it is captured."""
    python = ensure_environment(run.environment)
    RESULTS.mkdir(parents=True, exist_ok=True)
    report = RESULTS / f"{number}-{run.environment}.xml"
    report.unlink(missing_ok=True)
    # Settings of the caller's shell must not affect the tests.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {"PYTHONPATH": str(ROOT), "HYPOTHESIS_STORAGE_DIRECTORY": str(SHOWROOM / "cache" / "hypothesis")}
    command = [str(python), "-P", "-m", "pytest", f"--junitxml={report}", *arguments, *run.paths]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if captured else {}
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, check=False, **output)  # type: ignore[call-overload]
    return counts(report, done.returncode), done.stdout or ""


def counts(report: Path, exit_code: int) -> Counts:
    """Return the counts of pytest's report; a failed run without a failed test counts as one failure."""
    totals = Counts()
    if report.exists():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            totals += Counts(max(0, tests - failed - skipped), failed, skipped)
    if exit_code != 0 and totals.failed == 0:
        totals += Counts(failed=1)
    return totals


def _has_tests(folder: Path) -> bool:
    return any(folder.rglob("test_*.py"))
