"""CPU time and memory of the platform's processes."""

from collections.abc import Mapping
from typing import NamedTuple

import psutil

from local.stack import Stack


class Usage(NamedTuple):
    """CPU time since the start of the process, s, and resident memory, MB."""

    cpu_s: float
    rss_mb: float


def measure_usage(stack: Stack, programs: tuple[str, ...]) -> dict[str, Usage]:
    """Return the usage by program; the TaskManager's Python workers are `python-worker`, all gates are `gate`."""
    results: dict[str, Usage] = {}
    for program in programs:
        for pid in stack.pids(program):
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                process_usage = Usage(times.user + times.system, process.memory_info().rss / 1e6)
                name = _usage_name(program, process.name())
            before = results.get(name, Usage(0.0, 0.0))
            results[name] = Usage(before.cpu_s + process_usage.cpu_s, before.rss_mb + process_usage.rss_mb)
    return results


def cpu_us_per_session(before: Mapping[str, Usage], after: Mapping[str, Usage], sessions: int) -> dict[str, float]:
    """Return the CPU time between two readings in microseconds a session, by name, and the sum as `all`."""
    cpu_us = {
        name: (after[name].cpu_s - (before[name].cpu_s if name in before else 0.0)) / sessions * 1e6 for name in after
    }
    return {name: round(us, 1) for name, us in {**cpu_us, "all": sum(cpu_us.values())}.items()}


def _usage_name(program: str, process: str) -> str:
    if program.startswith("gate"):
        return "gate"
    if program == "flink-taskmanager" and process.startswith("python"):
        return "python-worker"
    return program
