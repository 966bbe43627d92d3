"""One gate process: raw to valid, all checks on, transactions on. Kafka and Redis on the same machine, nothing else."""

import redis

from benchmarks.bench_stack import bench_settings, empty_stack, on_progress
from benchmarks.load import GateProgress, preload, rate, timed
from benchmarks.result import report
from benchmarks.usage import cpu_us_per_session, usage
from include.gate.stats import read_stats

TARGETS = {"sessions_per_s": ("at least", 24_000.0)}
PROGRAMS = ("kafka", "redis", "gate-0")


def run(sessions: int, seed: int) -> str:
    """Measure; returns the JSON line."""
    settings = bench_settings()
    with empty_stack(settings) as stack:
        stack.up(["kafka", "redis"])
        on_progress(f"filling sessions.raw with {sessions:,} visits")
        truth = preload(settings, sessions=sessions, seed=seed).expected
        before = usage(stack, PROGRAMS[:2])
        stack.start("gate-0")
        progress = GateProgress(settings)
        on_progress("the gate is running")
        samples = timed(progress, truth.produced)
        progress.close()
        after = usage(stack, PROGRAMS)
        with redis.Redis.from_url(settings.redis.url.reveal()) as client:
            result = read_stats(client, settings)
    figures = {
        "sessions_per_s": round(rate(samples)),
        "records": truth.produced,
        "verdicts_exact": result.verdicts == truth.verdicts,
        "cpu_us_per_session": cpu_us_per_session(before, after, truth.produced),
        "rss_mb": {name: round(one.rss_mb) for name, one in after.items()},
        "seen_bytes_per_session": round(result.claims_bytes / result.claims, 1),
        "users_unique_error": round(result.users_unique / (truth.unique_users or 1) - 1, 5),
        "users_known_error": round(result.bloom_items / (truth.unique_users or 1) - 1, 5),
    }
    config = {"sessions": sessions, "partitions": settings.kafka.partitions, "gate_batch": settings.gate.batch_size}
    return report("gate", figures=figures, targets=TARGETS, seed=seed, config=config)
