"""Checks of the source tree, each with a name and a result, and the automatic fixes of some of them."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from include.contracts.errors import ShowroomError
from local.install.environments import Environment, ensure_environment, python_of
from local.project import ROOT
from tools import locks
from tools.docs_check import complaints
from tools.generated_docs import drift, generate
from tools.naming import violations
from tools.site.build import build_site

TYPED: dict[Environment, tuple[str, ...]] = {
    "dev": ("include", "docker", "benchmarks", "drills", "local", "cli", "tests", "tools"),
    "flink": ("flink", "tests/stream"),
    "airflow": ("dags", "plugins", "tests/dags", "tests/pages"),
    "ml": ("include/batch", "include/clients/mlflow.py", "benchmarks/batch", "tests/batch"),
}
"""Folders and modules that each environment's interpreter type-checks; the longest path that matches decides."""


class Verdict(NamedTuple):
    """The result of one check; `complaint` is empty if it passed."""

    name: str
    complaint: str
    seconds: float


class Check(NamedTuple):
    """One check: its name, and a function that returns its errors."""

    name: str
    complain: Callable[[], str]


def checks() -> tuple[Check, ...]:
    """Return all checks, fast ones first. None of them writes to the source tree."""
    dev = str(python_of("dev").parent)
    return (
        Check("lint", lambda: _run(f"{dev}/ruff", "check", "--quiet")),
        Check("format", lambda: _run(f"{dev}/ruff", "format", "--check", "--quiet")),
        Check("import borders", lambda: _run(f"{dev}/lint-imports", "--no-cache", "--no-logo")),
        Check("names", lambda: "\n".join(violations(ROOT))),
        Check("dependencies", lambda: _run(f"{dev}/deptry", ".", "--no-ansi")),
        Check("locks", lambda: _listed("./showroom check --fix changes", locks.stale())),
        Check("generated files", _drifted),
        Check("documentation", lambda: "\n".join(complaints())),
        Check("documentation site", build_site),
        *(Check(f"types in {name}", lambda name=name: _types(name)) for name in TYPED),  # type: ignore[misc]
    )


def run_checks() -> Iterator[Verdict]:
    """Run all checks; print the result of each."""
    for check in checks():
        started = time.monotonic()
        complaint = check.complain()
        yield Verdict(check.name, complaint, time.monotonic() - started)


def repair() -> None:
    """Apply the automatic fixes: safe lint fixes, format, locks, generated files."""
    ruff = f"{python_of('dev').parent}/ruff"
    _run(ruff, "check", "--quiet", "--fix")
    _run(ruff, "format", "--quiet")
    locks.compile_all()
    generate()


def _drifted() -> str:
    try:
        return _listed("./showroom check --fix changes", drift())
    except ShowroomError as error:
        return str(error)


def _types(name: Environment) -> str:
    ensure_environment(name)
    targets = [path for path in TYPED[name] if (ROOT / path).is_file() or any((ROOT / path).rglob("*.py"))]
    elsewhere = [path for other, paths in TYPED.items() if other != name for path in paths]
    inner = [path for path in elsewhere if any(path.startswith(f"{target}/") for target in targets)]
    excluded = [f"--exclude=^{re.escape(path)}(/|$)" for path in inner]
    mypy = (f"{python_of('dev').parent}/mypy", "--python-executable", str(python_of(name)), "--no-error-summary")
    return _run(*mypy, *excluded, *targets) if targets else ""


def _listed(verb: str, names: list[str]) -> str:
    return f"{verb} {', '.join(names)}" if names else ""


def _run(*command: str) -> str:
    """Return the output of a tool that fails; empty if it succeeds."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "plugins"))), "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return (done.stdout + done.stderr).strip() or f"{command[0]} ended with {done.returncode}"
