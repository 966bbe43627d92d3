"""Raw to all four indices with every service on this machine; then freshness at half of that rate; then the old way."""

from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.baseline_http import one_by_one
from benchmarks.bench_stack import bench_settings, empty_stack, on_progress
from benchmarks.load import DAYS, preload, rate, timed
from benchmarks.result import report
from benchmarks.usage import cpu_us_per_session, usage
from include.contracts.settings import Settings
from include.ingest.generator import synthesize
from include.ingest.plan import Plan
from include.ingest.publisher import publish
from include.serving import queries
from include.serving.client import connect
from local.stack import SERVERS, Stack
from local.stream_job import start_job
from local.verification.count_check import Baseline, compare_counts, take_baseline, wait_until_indexed
from local.verification.freshness import Freshness, FreshnessProbe

TARGETS = {
    "sessions_per_s": ("at least", 4_000.0),
    "p95_s": ("at most", 3.0),
    "ratio_to_original": ("at least", 40.0),
    "unaccounted": ("at most", 0.0),
}
PATIENCE_S = 60.0
STEADY_S = 60
SAMPLED_PER_S = 40
ORIGINAL_S = 20.0


def run(sessions: int, warm_up: int, seed: int) -> str:
    """Measure; returns the JSON line."""
    settings = bench_settings()
    with empty_stack(settings) as stack:
        figures = saturated(stack, settings, sessions=sessions, warm_up=warm_up, seed=seed)
        half = figures["sessions_per_s"] / 2
        on_progress(f"{figures['sessions_per_s']:,} sessions/s; now {half:,.0f} a second for {STEADY_S} s")
        fresh = steady(settings, half, seed + 2)
        on_progress("the original's way")
        figures |= {
            "p50_s": round(fresh.p50_s, 2),
            "p95_s": round(fresh.p95_s, 2),
            "freshness_rate": round(half),
            "freshness_sampled": fresh.sampled,
            "freshness_lost": fresh.lost,
        }
        figures["original_documents_per_s"] = round(one_by_one(settings, _documents(settings), ORIGINAL_S), 1)
        figures["ratio_to_original"] = round(figures["documents_per_s"] / figures["original_documents_per_s"], 1)
    config = {
        "sessions": sessions,
        "warm_up": warm_up,
        "days": DAYS,
        "partitions": settings.kafka.partitions,
        "gate_processes": settings.gate.processes,
        "parallelism": settings.stream.parallelism,
        "index_durability": settings.elasticsearch.translog_durability,
    }
    return report("live", figures=figures, targets=TARGETS, seed=seed, config=config)


def saturated(
    stack: Stack, settings: Settings, *, sessions: int, warm_up: int, seed: int, population: int | None = None
) -> dict[str, Any]:
    """Figures of the whole path, lag 0 at the end, on servers that have done `warm_up` sessions before.

    Four Java processes compile what they run for their first minute; a platform runs for months.
    """
    stack.up(SERVERS)
    start_job(settings)
    gates = [f"gate-{number}" for number in range(settings.gate.processes)]
    if warm_up:
        on_progress("warming up")
        _through(stack, settings, gates, sessions=warm_up, seed=seed + 1, population=population)
        for gate in gates:
            stack.stop(gate)
    return _through(stack, settings, gates, sessions=sessions, seed=seed, population=population)


def _through(
    stack: Stack, settings: Settings, gates: list[str], *, sessions: int, seed: int, population: int | None
) -> dict[str, Any]:
    """Fill the raw topic, then let the gate loose on it; figures once everything is indexed."""
    since = take_baseline(settings)
    on_progress(f"filling sessions.raw with {sessions:,} visits")
    expected = preload(settings, sessions=sessions, seed=seed, population=population).expected
    before = usage(stack, SERVERS)
    for gate in gates:
        stack.start(gate)
    on_progress("the gate is running")
    indexed = since.documents["session_summary"]
    with connect(settings) as client:
        samples = timed(lambda: queries.count(client, "session_summary") - indexed, expected.valid, PATIENCE_S)
    wait_until_indexed(settings, expected, since, PATIENCE_S)
    after = usage(stack, (*SERVERS, *gates))
    sessions_per_s = rate(samples)
    documents = sum(count for name, count in expected.documents.items())
    return {
        "sessions_per_s": round(sessions_per_s),
        "documents_per_s": round(sessions_per_s * documents / expected.valid),
        "documents_per_session": round(documents / expected.valid, 2),
        "unaccounted": _unaccounted(settings, expected, since),
        "cpu_us_per_session": cpu_us_per_session(before, after, expected.valid),
        "rss_mb": {name: round(one.rss_mb) for name, one in after.items()},
    }


def steady(settings: Settings, per_s: float, seed: int) -> Freshness:
    """Live sessions at a steady rate; how long each takes from produced to searchable."""
    now = datetime.now(UTC)
    plan = Plan.of(settings, seed=seed, start=now - timedelta(days=1), end=now, sessions=round(per_s * STEADY_S))
    emissions = list(synthesize(plan))  # made before, so that making them does not disturb the measurement
    with FreshnessProbe(settings, every=max(1, round(per_s / SAMPLED_PER_S))) as probe:
        publish(settings, probe.watch(emissions), rate=per_s, on_acknowledged=probe.produced)
        return probe.result(PATIENCE_S)


def _unaccounted(settings: Settings, expected: Any, since: Baseline) -> int:
    """Sum of all differences between what is expected and what each stage holds."""
    return round(sum(abs(line.difference) for line in compare_counts(settings, expected, since)))


def _documents(settings: Settings) -> list[dict[str, object]]:
    with connect(settings) as client:
        hits = client.search(index="session_summary", size=1_000)["hits"]["hits"]
    return [hit["_source"] for hit in hits]
