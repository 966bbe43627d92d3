"""Waits end with readiness, at a deadline with a reason, or immediately if a program cannot start."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.contracts.errors import NotReadyError
from local.program import Probe, Program
from local.readiness import last_error_line, wait_until_ready


def program(probe: Probe) -> Program:
    return Program(name="thing", title="Thing", command=("thing",), priority=1, probe=probe, address="")


def answers(*given: str | Exception | None) -> Callable[[], str | None]:
    message: Iterator[str | Exception | None] = iter(given)

    def probe() -> str | None:
        response = next(message)
        if isinstance(response, Exception):
            raise response
        return response

    return probe


def wait(probe: Probe, log: Path, state: str = "RUNNING", deadline_s: float = 10.0) -> list[str]:
    said: list[str] = []
    wait_until_ready([program(probe)], lambda: {"thing": {"statename": state}}, lambda _: log, deadline_s, said.append)
    return said


def test_wait_probes_until_ready(tmp_path: Path) -> None:
    [line] = wait(answers(ConnectionError("refused"), "still loading", None), tmp_path / "log")

    assert line.startswith("Thing is ready after")


def test_wait_at_deadline_raises_cause_and_last_log_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("started\nout of memory\n\tat some.Java(Stack.java:1)\n")

    with pytest.raises(NotReadyError) as caught:
        wait(lambda: "no broker has registered", log, deadline_s=0.1)

    waited = r"Thing is not ready: no broker has registered after \d+\.\d s; its log says: out of memory"
    assert re.search(waited, str(caught.value))
    assert str(log) in str(caught.value)


def test_wait_for_given_up_program_raises(tmp_path: Path) -> None:
    started = time.monotonic()

    with pytest.raises(NotReadyError, match="ends soon after each start"):
        wait(lambda: "refused", tmp_path / "log", state="FATAL", deadline_s=60)

    assert time.monotonic() - started < 10


def test_last_error_line_of_missing_or_empty_log_is_a_dash(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n\n")

    assert last_error_line(tmp_path / "missing") == "-"
    assert last_error_line(tmp_path / "empty") == "-"


def test_last_error_line_prefers_cause_then_error(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("starting\nERROR no luck\nbye\n")
    assert last_error_line(log) == "ERROR no luck"

    log.write_text("Caused by: no disk\n\tat a.b(C.java:1)\nERROR no luck\nbye\n")
    assert last_error_line(log) == "Caused by: no disk"


def test_wait_for_restarting_program_raises(tmp_path: Path) -> None:
    pids = iter(range(1, 1_000))

    with pytest.raises(NotReadyError, match="ends soon after each start"):
        wait_until_ready(
            [program(lambda: "refused")],
            lambda: {"thing": {"statename": "RUNNING", "pid": next(pids)}},
            lambda _: tmp_path / "log",
            60,
            lambda _: None,
        )
