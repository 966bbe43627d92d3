"""Wait until servers respond."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from include.contracts.errors import NotReadyError
from local.program import Program

PAUSE_S = 0.25
TAIL_BYTES = 16_384
MAX_REASON_CHARACTERS = 200
GIVEN_UP = "FATAL"
STARTS = 3
REASON_LINES = 40
REASONS = (re.compile(r"^Caused by"), re.compile(r"error|fatal|exception", re.IGNORECASE))

States = Callable[[], Mapping[str, Mapping[str, Any]]]


def wait_until_ready(
    programs: Iterable[Program],
    states: States,
    log_path: Callable[[str], Path],
    deadline_s: float,
    on_progress: Callable[[str], None],
) -> None:
    """Probe all programs until each has responded once.

    Raises NotReadyError with the reason at the deadline, and earlier for a program that supervisord gave up or restarts
    repeatedly.
    """
    started = time.monotonic()
    waiting = {program.name: program for program in programs}
    missing: dict[str, str] = {}
    pids: dict[str, set[int]] = {name: set() for name in waiting}
    while waiting:
        existing = states()
        for name, program in list(waiting.items()):
            info = existing.get(name, {})
            pids[name] |= {info.get("pid") or 0} - {0}
            missing[name] = _probe(program)
            if not missing[name]:
                del waiting[name]
                on_progress(f"{program.title} is ready after {time.monotonic() - started:.1f} s")
            elif info.get("statename") == GIVEN_UP or len(pids[name]) > STARTS:
                raise _not_ready(program, "it ends soon after each start", log_path(name))
        if waiting and time.monotonic() - started > deadline_s:
            program = next(iter(waiting.values()))
            raise _not_ready(
                program, f"{missing[program.name]} after {time.monotonic() - started:.1f} s", log_path(program.name)
            )
        if waiting:
            time.sleep(PAUSE_S)


def _probe(program: Program) -> str:
    """Return what is missing; empty if the program is ready. Every error of a client means that it is not ready."""
    try:
        return program.probe() or ""
    except Exception as error:
        return " ".join(str(error).split())[:MAX_REASON_CHARACTERS] or type(error).__name__


def _not_ready(program: Program, reason: str, log: Path) -> NotReadyError:
    return NotReadyError(f"{program.title} is not ready: {reason}; its log says: {last_error_line(log)}", f"see {log}")


def last_error_line(log: Path) -> str:
    """Return the most informative of a log's last lines: the last cause, else the last error, else the last; or -."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return "-"
    messages = [
        line.strip() for line in lines[-REASON_LINES:] if line.strip() and not re.match(r"\s+(at|\.\.\.)\s", line)
    ]
    for reason in REASONS:
        if result := [line for line in messages if reason.search(line)]:
            return result[-1][:MAX_REASON_CHARACTERS]
    return messages[-1][:MAX_REASON_CHARACTERS] if messages else "-"
