"""Fill the indices directly with two weeks of a shop.

The stream's own function builds the documents of one synthetic day. The copies have other ids, users and times.
"""

import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from elasticsearch import Elasticsearch

from benchmarks.fill_archive import records
from include.clients.elasticsearch import translate_errors
from include.contracts.errors import TerminalError
from include.contracts.index_documents import KPI_ALL, PIPELINE, TIME_FIELD, index_name
from include.contracts.settings import Settings
from include.ingest.generator import synthesize
from include.ingest.plan import Plan
from local.install.environments import ensure_environment
from local.project import ROOT

DAYS = 14
OF_A_DAY = 20_000
CHUNK = 4_000
SENDERS = 3
# Average number of days on which a user has sessions.
VISITS = 4
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SUMMARY = "session_summary"
# Run by the stream's interpreter: valid sessions on standard input, documents on standard output, one a line.
_DOCUMENTS = """
import sys
import msgspec
from flink.documents import build_documents
from include.contracts.session import ValidSession
for line in sys.stdin.buffer:
    for item in build_documents(msgspec.json.decode(line, type=ValidSession)):
        sys.stdout.buffer.write(msgspec.json.encode(item) + b"\\n")
"""

Document = dict[str, Any]
Action = tuple[str, str, Document]
"""Alias, id and document."""


class DayDocument(NamedTuple):
    """One document of the day, with parsed times."""

    alias: str
    id: str
    document: Document


def fill(
    client: Elasticsearch,
    settings: Settings,
    *,
    sessions: int,
    end: datetime,
    seed: int,
    on_progress: Callable[[str], None],
) -> Counter[str]:
    """Index about `sessions` sessions of the two weeks before `end`, with rows in every index.

    Returns:
        Number of documents by alias.
    """
    sent: Counter[str] = Counter()
    day = _build_day(settings, end - DAY, end, min(sessions, OF_A_DAY), seed)
    day_sessions = sum(day_document.alias == SUMMARY for day_document in day)
    copies = max(1, round(sessions / day_sessions))
    on_progress(f"{copies} copies of {day_sessions} sessions with {len(day)} documents")
    with ThreadPoolExecutor(SENDERS) as senders:
        running: set[Future[int]] = set()
        for number, batch in enumerate(_chunks(_all_actions(day, copies, end, seed), sent)):
            if len(running) > SENDERS:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                _ = [future.result() for future in done]
            running.add(senders.submit(_send, client, batch))
            if number % 100 == 0:
                on_progress(f"{sent.total()} documents")
        _ = [future.result() for future in running]
    with translate_errors("refresh"):
        client.indices.refresh(index=",".join(f"{alias}-*" for alias in sent))
    return sent


def _build_day(settings: Settings, start: datetime, end: datetime, sessions: int, seed: int) -> list[DayDocument]:
    """Return the documents of a day, built by the stream's function in the stream's environment."""
    shop = synthesize(Plan.of(settings, seed=seed, start=start, end=end, sessions=sessions))
    with tempfile.TemporaryFile() as lines:
        lines.write(b"".join(record + b"\n" for record in records(shop, settings.gate)))
        lines.seek(0)
        command = [str(ensure_environment("flink")), "-P", "-c", _DOCUMENTS]
        environment = {"PYTHONPATH": str(ROOT)}
        completed = subprocess.run(command, stdin=lines, stdout=subprocess.PIPE, check=True, env=environment)
    results = [DayDocument(*msgspec.json.decode(line)) for line in completed.stdout.splitlines()]
    for day_document in results:
        for name in ("started_at", "ended_at", "received_at"):
            if name in day_document.document:
                day_document.document[name] = datetime.fromisoformat(day_document.document[name])
    return results


def _all_actions(day: list[DayDocument], copies: int, end: datetime, seed: int) -> Iterator[Action]:
    for copy in range(copies):
        yield from _copy_day(day, copy, copy % DAYS)
    yield from _kpi_rows(day, copies)
    yield from _events(end, seed)


def _copy_day(day: list[DayDocument], copy: int, days: int) -> Iterator[Action]:
    """Yield the day's documents `days` days earlier. Every `VISITS` consecutive copies share the same users."""
    offset = days * DAY
    for alias, document_id, document in day:
        started = document["started_at"] - offset
        copied_document = {
            **document,
            "session_id": f"{copy}-{document['session_id']}",
            "user_id": f"{copy // VISITS:04x}{document['user_id'][4:]}",
            "started_at": started,
        }
        if alias == SUMMARY:
            copied_document |= {
                "ended_at": document["ended_at"] - offset,
                "received_at": document["received_at"] - offset,
                "day_of_week": started.isoweekday(),
                "is_weekend": started.isoweekday() > 5,  # noqa: PLR2004
                "month": started.month,
                "week_of_year": started.isocalendar().week,
            }
        yield alias, f"{copy}-{document_id}", copied_document


def _kpi_rows(day: list[DayDocument], copies: int) -> Iterator[Action]:
    """Yield the kpi_minute rows of each day: those of the original day times its number of copies."""
    rows: dict[tuple[datetime, str], Counter[str]] = {}
    for alias, _, document in day:
        if alias != SUMMARY:
            continue
        minute = document["started_at"].replace(second=0, microsecond=0)
        for category in (*document["categories"], KPI_ALL):
            row = rows.setdefault((minute, category), Counter())
            row["sessions"] += 1
            row["purchases"] += document["purchase_made"]
            row["cents"] += round(document["purchase_amount"] * 100)
            row["seconds"] += document["duration_s"]
    for days in range(min(DAYS, copies)):
        times = len(range(days, copies, DAYS))
        for (minute, category), row in rows.items():
            yield _kpi_row(minute - days * DAY, category, row, times)


def _kpi_row(minute: datetime, category: str, row: Counter[str], times: int) -> Action:
    document = {
        "minute": minute,
        "category": category,
        "arrival_date": f"{minute:%Y-%m-%d}",
        "sessions": row["sessions"] * times,
        "users": row["sessions"] * times,
        "purchases": row["purchases"] * times,
        "revenue": row["cents"] * times / 100,
        "duration_s": row["seconds"] * times,
        "mean_duration_s": row["seconds"] / row["sessions"],
        "conversion": row["purchases"] / row["sessions"],
        "late_sessions": 0,
    }
    return "kpi_minute", f"{minute.isoformat()}|{category}|{document['arrival_date']}", document


def _events(end: datetime, seed: int) -> Iterator[Action]:
    """Yield the events that supervision writes every minute for a healthy platform."""
    stage_counts = [
        ("ingest", "raw"),
        ("gate", "decided"),
        ("gate", "valid"),
        ("gate", "rejected"),
        ("stream", "searchable"),
    ]
    events = [("stage", stage, name, 50.0) for stage, name in stage_counts]
    events += [("rejected", "gate", reason, 1.0) for reason in ("duplicate", "rate_user", "impossible_pace")]
    events += [("lag", stage, stage, 3.0) for stage in ("gate", "stream", "archive")]
    events += [("decision", "supervise", "healthy", 1.0)]
    for number in range(DAYS * DAY // MINUTE):
        at = end - number * MINUTE
        for kind, stage, name, value in events:
            total = 1e6 - value * number if kind in ("stage", "rejected") else None
            event = {"at": at, "kind": kind, "stage": stage, "name": name, "value": value + number * seed % 7}
            yield PIPELINE, f"{at.isoformat()}|{kind}|{stage}|{name}", {**event, "total": total, "detail": None}


def _chunks(actions: Iterable[Action], sent: Counter[str]) -> Iterator[bytes]:
    lines: list[bytes] = []
    encode = msgspec.json.Encoder().encode
    for alias, document_id, document in actions:
        at: datetime = document[TIME_FIELD[alias]]
        lines += [encode({"index": {"_index": index_name(alias, at), "_id": document_id}}), encode(document)]
        sent[alias] += 1
        if len(lines) == 2 * CHUNK:
            yield b"\n".join(lines) + b"\n"
            lines = []
    if lines:
        yield b"\n".join(lines) + b"\n"


def _send(client: Elasticsearch, body: Any) -> int:
    with translate_errors("fill"):
        response = client.options(request_timeout=120).bulk(body=body, filter_path="errors,items.*.error")
    if response["errors"]:
        raise TerminalError(
            f"bulk request failed: document rejected: {response['items'][0]}", "see Elasticsearch's log"
        )
    return len(body)
