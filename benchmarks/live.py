"""Live path from raw records to all four indices: throughput, freshness at half that rate, and the HTTP baseline."""

from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.baseline_http import index_one_by_one
from benchmarks.bench_stack import bench_settings, empty_stack, on_progress
from benchmarks.load import DAYS, measure_rate, preload, sample_progress
from benchmarks.result import report
from benchmarks.usage import cpu_us_per_session, measure_usage
from include.clients.elasticsearch import connect
from include.contracts.settings import ElasticsearchSettings, Settings
from include.ingest.generator import synthesize
from include.ingest.plan import Plan
from include.ingest.publisher import publish
from include.serving import queries
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
INDEX_TIMEOUT_S = 60.0
FRESHNESS_DURATION_S = 60
SAMPLED_PER_S = 40
BASELINE_DURATION_S = 20.0


def run(sessions: int, warm_up: int, seed: int) -> str:
    """Run the bench; return the result as one JSON line."""
    settings = bench_settings()
    with empty_stack(settings) as stack:
        figures = measure_throughput(stack, settings, sessions=sessions, warm_up=warm_up, seed=seed)
        half_rate = figures["sessions_per_s"] / 2
        on_progress(f"{figures['sessions_per_s']:,} sessions/s; now {half_rate:,.0f}/s for {FRESHNESS_DURATION_S} s")
        freshness = measure_freshness(settings, half_rate, seed + 2)
        on_progress("HTTP baseline")
        figures |= {
            "p50_s": round(freshness.p50_s, 2),
            "p95_s": round(freshness.p95_s, 2),
            "freshness_rate": round(half_rate),
            "freshness_sampled": freshness.sampled,
            "freshness_lost": freshness.lost,
        }
        figures["original_documents_per_s"] = round(
            index_one_by_one(settings.elasticsearch, _documents(settings.elasticsearch), BASELINE_DURATION_S), 1
        )
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


def measure_throughput(
    stack: Stack, settings: Settings, *, sessions: int, warm_up: int, seed: int, population: int | None = None
) -> dict[str, Any]:
    """Measure the throughput of the live path until no session is left.

    A first run of `warm_up` sessions precedes the measurement, because the servers' JVMs need about a minute to
    compile their code.

    Returns:
        Figures of the result.
    """
    stack.up(SERVERS)
    start_job(settings)
    gates = [f"gate-{number}" for number in range(settings.gate.processes)]
    if warm_up:
        on_progress("warming up")
        _run_load(stack, settings, gates, sessions=warm_up, seed=seed + 1, population=population)
        for gate in gates:
            stack.stop(gate)
    return _run_load(stack, settings, gates, sessions=sessions, seed=seed, population=population)


def _run_load(
    stack: Stack, settings: Settings, gates: list[str], *, sessions: int, seed: int, population: int | None
) -> dict[str, Any]:
    """Fill the raw topic, start the gates, wait until everything is indexed, and return the figures."""
    since = take_baseline(settings)
    on_progress(f"filling sessions.raw with {sessions:,} sessions")
    expected = preload(settings, sessions=sessions, seed=seed, population=population).expected
    before = measure_usage(stack, SERVERS)
    for gate in gates:
        stack.start(gate)
    on_progress("the gate is running")
    indexed = since.documents["session_summary"]
    with connect(settings.elasticsearch) as client:
        samples = sample_progress(
            lambda: queries.count(client, "session_summary") - indexed, expected.valid, INDEX_TIMEOUT_S
        )
    wait_until_indexed(settings.elasticsearch, expected, since, INDEX_TIMEOUT_S)
    after = measure_usage(stack, (*SERVERS, *gates))
    sessions_per_s = measure_rate(samples)
    documents = sum(count for name, count in expected.documents.items())
    return {
        "sessions_per_s": round(sessions_per_s),
        "documents_per_s": round(sessions_per_s * documents / expected.valid),
        "documents_per_session": round(documents / expected.valid, 2),
        "unaccounted": _unaccounted(settings, expected, since),
        "cpu_us_per_session": cpu_us_per_session(before, after, expected.valid),
        "rss_mb": {name: round(process.rss_mb) for name, process in after.items()},
    }


def measure_freshness(settings: Settings, per_s: float, seed: int) -> Freshness:
    """Publish sessions at a steady rate and measure the time from production to searchability."""
    now = datetime.now(UTC)
    plan = Plan.of(
        settings, seed=seed, start=now - timedelta(days=1), end=now, sessions=round(per_s * FRESHNESS_DURATION_S)
    )
    labelled_records = list(synthesize(plan))  # because generation would disturb the measurement
    with FreshnessProbe(settings.elasticsearch, every=max(1, round(per_s / SAMPLED_PER_S))) as probe:
        publish(settings.kafka, probe.watch(labelled_records), rate=per_s, on_acknowledged=probe.produced)
        return probe.result(INDEX_TIMEOUT_S)


def _unaccounted(settings: Settings, expected: Any, since: Baseline) -> int:
    """Return the sum of absolute differences between expected and actual counts of all stages."""
    return round(sum(abs(line.difference) for line in compare_counts(settings, expected, since)))


def _documents(settings: ElasticsearchSettings) -> list[dict[str, object]]:
    with connect(settings) as client:
        hits = client.search(index="session_summary", size=1_000)["hits"]["hits"]
    return [hit["_source"] for hit in hits]
