"""The live path with 1, 2 and 4 partitions and gate processes, and with ten times the users."""

from typing import Any

from benchmarks.bench_stack import bench_settings, empty_stack, on_progress
from benchmarks.live import measure_throughput
from benchmarks.result import report

STEPS = (1, 2, 4)
USERS = 20_000
USER_FACTOR = 10


def run(sessions: int, warm_up: int, seed: int) -> str:
    """Run the bench; return the result as one JSON line."""
    figures: dict[str, Any] = {}
    for step in STEPS:
        on_progress(f"{step} partitions and gate processes")
        figures[f"partitions_{step}"] = _measure(step, sessions, warm_up, seed, USERS)
    on_progress(f"{USER_FACTOR} times the users")
    figures["users_x10"] = _measure(STEPS[-1], sessions, warm_up, seed, USERS * USER_FACTOR)
    figures["unaccounted"] = sum(step["unaccounted"] for step in figures.values())
    base, more = figures[f"partitions_{STEPS[-1]}"], figures["users_x10"]
    figures["users_x10_cpu_ratio"] = round(more["cpu_us_per_session"]["all"] / base["cpu_us_per_session"]["all"], 3)
    figures["users_x10_redis_rss_ratio"] = round(more["rss_mb"]["redis"] / base["rss_mb"]["redis"], 3)
    targets = {"unaccounted": ("at most", 0.0)}
    config = {"sessions": sessions, "warm_up": warm_up, "users": USERS}
    return report("scale", figures=figures, targets=targets, seed=seed, config=config)


def _measure(processes: int, sessions: int, warm_up: int, seed: int, users: int) -> dict[str, Any]:
    settings = bench_settings(kafka={"partitions": processes}, gate={"processes": processes})
    with empty_stack(settings) as stack:
        return measure_throughput(stack, settings, sessions=sessions, warm_up=warm_up, seed=seed, population=users)
