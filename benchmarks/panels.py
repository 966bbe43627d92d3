"""Query time of each panel over all data and over a day, and of all panels of a dashboard at once."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch

from benchmarks.bench_stack import bench_settings, empty_stack, on_progress
from benchmarks.fill_indices import DAYS, SUMMARY, fill
from benchmarks.result import report
from include.clients.elasticsearch import connect
from include.dashboards.model import Dashboard, Filters, Panel
from include.dashboards.panels import load_dashboards, query_panel
from include.serving.templates import ensure_templates

TARGET_MS = 500
TARGET_DOCUMENTS = 1_000_000
SPANS = {"day": timedelta(days=1), "fortnight": timedelta(days=DAYS)}
WARM_UP_REPEATS = 2


def run(documents: int, repeats: int, seed: int) -> str:
    """Run the bench; return the result as one JSON line.

    The target applies to queries over all of a million `session_summary` documents.
    """
    settings = bench_settings(elasticsearch={"translog_durability": "async"})
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    with empty_stack(settings) as stack:
        stack.up(("elasticsearch",))
        with connect(settings.elasticsearch) as client:
            ensure_templates(client, settings.elasticsearch)
            began = time.monotonic()
            filled = fill(client, settings, sessions=documents, end=end, seed=seed, on_progress=on_progress)
            on_progress(f"filled in {time.monotonic() - began:.0f} s: {dict(filled)}")
            figures = _measure(client, end, repeats)
    slowest = max(figures["panels"].items(), key=lambda panel: panel[1]["fortnight_p95_ms"])
    figures |= {"documents": dict(filled), "slowest": slowest[0], "p95_ms": slowest[1]["fortnight_p95_ms"]}
    on_progress(f"slowest: {slowest[0]}, {slowest[1]['fortnight_p95_ms']} ms")
    return report(
        "panels" if documents == TARGET_DOCUMENTS else f"panels-{documents}",
        figures=figures,
        targets={"p95_ms": ("at most", TARGET_MS)} if filled[SUMMARY] <= 1.1 * TARGET_DOCUMENTS else {},
        seed=seed,
        config={"documents": documents, "repeats": repeats, "days": DAYS},
    )


def _measure(client: Elasticsearch, end: datetime, repeats: int) -> dict[str, Any]:
    panels: dict[str, dict[str, float]] = {}
    dashboards: dict[str, dict[str, float]] = {}
    for dashboard in load_dashboards().values():
        for panel in _panels_with_data(dashboard):
            panels[panel.id] = _panel(client, panel, end, repeats)
            on_progress(f"{panel.id}: {panels[panel.id]}")
        dashboards[dashboard.id] = _measure_dashboard(client, dashboard, end, repeats)
        on_progress(f"all panels of {dashboard.id} at once: {dashboards[dashboard.id]}")
    return {"panels": panels, "boards": dashboards}


def _panel(client: Elasticsearch, panel: Panel, end: datetime, repeats: int) -> dict[str, float]:
    """Measure a panel. Each query has another time range, so that no cache of Elasticsearch applies."""
    results: dict[str, float] = {}
    for name, span in SPANS.items():
        durations_ms = [
            _time_query(client, panel, _filters(end, span, number)) for number in range(WARM_UP_REPEATS + repeats)
        ][WARM_UP_REPEATS:]
        results |= {f"{name}_p50_ms": _rank(durations_ms, 0.5), f"{name}_p95_ms": _rank(durations_ms, 0.95)}
    return results


def _measure_dashboard(client: Elasticsearch, dashboard: Dashboard, end: datetime, repeats: int) -> dict[str, float]:
    """Measure concurrent queries of all panels, as a page load sends them, until the last response."""
    panels = _panels_with_data(dashboard)
    results: dict[str, float] = {}
    with ThreadPoolExecutor(len(panels)) as executor:
        for name, span in SPANS.items():
            durations_ms = []
            for number in range(WARM_UP_REPEATS + repeats // 2):
                filters = _filters(end, span, 1_000 + number)
                began = time.monotonic()
                list(executor.map(lambda panel, filters=filters: query_panel(client, panel, filters), panels))
                durations_ms.append((time.monotonic() - began) * 1_000)
            results[f"{name}_p95_ms"] = _rank(durations_ms[WARM_UP_REPEATS:], 0.95)
    return results


def _panels_with_data(dashboard: Dashboard) -> list[Panel]:
    return [panel for panel in dashboard.panels if panel.index]


def _filters(end: datetime, span: timedelta, number: int) -> Filters:
    until = end - timedelta(milliseconds=number)
    return Filters(since=until - span, until=until)


def _time_query(client: Elasticsearch, panel: Panel, filters: Filters) -> float:
    began = time.monotonic()
    query_panel(client, panel, filters)
    return (time.monotonic() - began) * 1_000


def _rank(durations_ms: list[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest time that at least `share` of the times do not exceed."""
    ordered = sorted(durations_ms)
    index = max(0, -(-int(share * 1_000) * len(ordered) // 1_000) - 1)
    return round(ordered[index], 1)
