"""How long each panel's question takes: over everything there is, over a day, and a whole dashboard at once."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch

from benchmarks.bench_stack import bench_settings, empty_stack, say
from benchmarks.fill_indices import DAYS, SUMMARY, fill
from benchmarks.result import report
from include.clients.elasticsearch import connect
from include.serving.panels import Board, Narrow, Panel, ask, load
from include.serving.templates import ensure_templates

TARGET_MS = 500
TARGET_AT = 1_000_000
SPANS = {"day": timedelta(days=1), "fortnight": timedelta(days=DAYS)}
WARM_UP = 2


def run(documents: int, repeats: int, seed: int) -> str:
    """Measure; returns the JSON line. The target holds at a million `session_summary` documents, over all of them."""
    settings = bench_settings(index_durability="async")
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    with empty_stack(settings) as stack:
        stack.up(("elasticsearch",))
        with connect(settings) as client:
            ensure_templates(client, settings)
            began = time.monotonic()
            filled = fill(client, settings, sessions=documents, end=end, seed=seed, say=say)
            say(f"filled in {time.monotonic() - began:.0f} s: {dict(filled)}")
            figures = _measure(client, end, repeats)
    worst = max(figures["panels"].items(), key=lambda panel: panel[1]["fortnight_p95_ms"])
    figures |= {"documents": dict(filled), "slowest": worst[0], "p95_ms": worst[1]["fortnight_p95_ms"]}
    say(f"slowest: {worst[0]}, {worst[1]['fortnight_p95_ms']} ms")
    return report(
        "panels" if documents == TARGET_AT else f"panels-{documents}",
        figures=figures,
        targets={"p95_ms": ("at most", TARGET_MS)} if filled[SUMMARY] <= 1.1 * TARGET_AT else {},
        seed=seed,
        config={"documents": documents, "repeats": repeats, "days": DAYS},
    )


def _measure(client: Elasticsearch, end: datetime, repeats: int) -> dict[str, Any]:
    panels: dict[str, dict[str, float]] = {}
    boards: dict[str, dict[str, float]] = {}
    for board in load().values():
        for panel in _asking(board):
            panels[panel.id] = _panel(client, panel, end, repeats)
            say(f"{panel.id}: {panels[panel.id]}")
        boards[board.id] = _board(client, board, end, repeats)
        say(f"all of {board.id} at once: {boards[board.id]}")
    return {"panels": panels, "boards": boards}


def _panel(client: Elasticsearch, panel: Panel, end: datetime, repeats: int) -> dict[str, float]:
    """Each time for a time of its own, so that no cache of Elasticsearch has the answer."""
    found: dict[str, float] = {}
    for name, span in SPANS.items():
        took = [_timed(client, panel, _narrow(end, span, number)) for number in range(WARM_UP + repeats)][WARM_UP:]
        found |= {f"{name}_p50_ms": _rank(took, 0.5), f"{name}_p95_ms": _rank(took, 0.95)}
    return found


def _board(client: Elasticsearch, board: Board, end: datetime, repeats: int) -> dict[str, float]:
    """All panels side by side, as a page that is opened asks them: until the last one is there."""
    asking = _asking(board)
    found: dict[str, float] = {}
    with ThreadPoolExecutor(len(asking)) as viewers:
        for name, span in SPANS.items():
            took = []
            for number in range(WARM_UP + repeats // 2):
                narrow = _narrow(end, span, 1_000 + number)
                began = time.monotonic()
                list(viewers.map(lambda panel, narrow=narrow: ask(client, panel, narrow), asking))
                took.append((time.monotonic() - began) * 1_000)
            found[f"{name}_p95_ms"] = _rank(took[WARM_UP:], 0.95)
    return found


def _asking(board: Board) -> list[Panel]:
    return [panel for panel in board.panels if panel.index]


def _narrow(end: datetime, span: timedelta, number: int) -> Narrow:
    until = end - timedelta(milliseconds=number)
    return Narrow(since=until - span, until=until)


def _timed(client: Elasticsearch, panel: Panel, narrow: Narrow) -> float:
    began = time.monotonic()
    ask(client, panel, narrow)
    return (time.monotonic() - began) * 1_000


def _rank(took: list[float], share: float) -> float:
    """The smallest time that at least `share` of them do not exceed."""
    ordered = sorted(took)
    place = max(0, -(-int(share * 1_000) * len(ordered) // 1_000) - 1)
    return round(ordered[place], 1)
