"""CPU time and memory of the platform's processes, by what they are."""

from collections.abc import Mapping
from typing import NamedTuple

import psutil

from local.stack import Stack


class Usage(NamedTuple):
    """CPU seconds since the process started, resident memory in MB."""

    cpu_s: float
    rss_mb: float


def usage(stack: Stack, programs: tuple[str, ...]) -> dict[str, Usage]:
    """Usage by program; Python workers of the TaskManager count as `python-worker`, gates together as `gate`."""
    results: dict[str, Usage] = {}
    for program in programs:
        for pid in stack.pids(program):
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                one = Usage(times.user + times.system, process.memory_info().rss / 1e6)
                name = _name(program, process.name())
            before = results.get(name, Usage(0.0, 0.0))
            results[name] = Usage(before.cpu_s + one.cpu_s, before.rss_mb + one.rss_mb)
    return results


def cpu_us_per_session(before: Mapping[str, Usage], after: Mapping[str, Usage], sessions: int) -> dict[str, float]:
    """CPU microseconds a session between two readings, by name, and their sum as `all`."""
    spent = {
        name: (after[name].cpu_s - (before[name].cpu_s if name in before else 0.0)) / sessions * 1e6 for name in after
    }
    return {name: round(us, 1) for name, us in {**spent, "all": sum(spent.values())}.items()}


def _name(program: str, process: str) -> str:
    if program.startswith("gate"):
        return "gate"
    if program == "flink-taskmanager" and process.startswith("python"):
        return "python-worker"
    return program
