"""Throughput of one gate process with all checks and transactions. Only Kafka, Redis and the gate run."""

import redis

from benchmarks.bench_stack import bench_settings, empty_stack, on_progress
from benchmarks.load import GateProgress, measure_rate, preload, sample_progress
from benchmarks.result import report
from benchmarks.usage import cpu_us_per_session, measure_usage
from include.gate.stats import read_stats

TARGETS = {"sessions_per_s": ("at least", 24_000.0)}
PROGRAMS = ("kafka", "redis", "gate-0")


def run(sessions: int, seed: int) -> str:
    """Run the bench; return the result as one JSON line."""
    settings = bench_settings()
    with empty_stack(settings) as stack:
        stack.up(["kafka", "redis"])
        on_progress(f"filling sessions.raw with {sessions:,} sessions")
        expected = preload(settings, sessions=sessions, seed=seed).expected
        before = measure_usage(stack, PROGRAMS[:2])
        stack.start("gate-0")
        progress = GateProgress(settings.kafka)
        on_progress("the gate is running")
        samples = sample_progress(progress, expected.produced)
        progress.close()
        after = measure_usage(stack, PROGRAMS)
        with redis.Redis.from_url(settings.redis.url.reveal()) as client:
            result = read_stats(client, settings)
    figures = {
        "sessions_per_s": round(measure_rate(samples)),
        "records": expected.produced,
        "verdicts_exact": result.verdicts == expected.verdicts,
        "cpu_us_per_session": cpu_us_per_session(before, after, expected.produced),
        "rss_mb": {name: round(process.rss_mb) for name, process in after.items()},
        "seen_bytes_per_session": round(result.claims_bytes / result.claims, 1),
        "users_unique_error": round(result.users_unique / (expected.unique_users or 1) - 1, 5),
        "users_known_error": round(result.bloom_items / (expected.unique_users or 1) - 1, 5),
    }
    config = {"sessions": sessions, "partitions": settings.kafka.partitions, "gate_batch": settings.gate.batch_size}
    return report("gate", figures=figures, targets=TARGETS, seed=seed, config=config)
