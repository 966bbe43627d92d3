"""The golden day: records, sessions and documents of one synthetic day, with known counts.

The stream's function builds the documents in the stream's environment. Reference results are computed from the
sessions, without Elasticsearch.
"""

import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import msgspec

from benchmarks.fill_archive import records
from include.contracts.index_documents import ProductSentiment
from include.contracts.session import Device, Location, Purchase, ValidSession
from include.contracts.settings import Settings
from include.ingest.generator import synthesize
from include.ingest.ground_truth import GroundTruth
from include.ingest.labelled_record import LabelledRecord
from include.ingest.plan import FaultRates, Plan
from include.ingest.reviews import TEMPLATES
from local.install.environments import ensure_environment
from local.project import ROOT
from tests.valid_sessions import valid_session, viewed

START = datetime(2054, 6, 17, tzinfo=UTC)
END = START + timedelta(days=1)
SESSIONS = 1_500
ATTACK = "<script>alert(1)</script>"
QUOTED = 'Büro "Böse" \\ OR *:* 🛋'

# Runs in the stream's interpreter: JSON lines of sessions in, a bulk body out.
BUILD_BODY = """
import sys
import msgspec
from flink.bulk import bulk_body, bulk_action
from flink.documents import build_documents
from include.contracts.session import ValidSession
for line in sys.stdin.buffer:
    session = msgspec.json.decode(line, type=ValidSession)
    items = [bulk_action(0, *item, session.received_at) for item in build_documents(session)]
    sys.stdout.buffer.write(bulk_body(items))
"""


@dataclass(frozen=True)
class Day:
    """One day. `labelled_records`: all raw records; `sessions`: all admitted ones, including `extra`."""

    ledger: GroundTruth
    labelled_records: list[LabelledRecord]
    sessions: list[ValidSession]
    extra: list[ValidSession]
    bulk: bytes
    scores: dict[str, float] = field(default_factory=dict)


def golden_day(settings: Settings) -> Day:
    """Return a synthetic day with four times the usual fault rates, and sessions with unusual values."""
    faults = FaultRates.scaled(4)
    synthesis = synthesize(Plan.of(settings, seed=11, start=START, end=END, sessions=SESSIONS, faults=faults))
    labelled_records = list(synthesis)
    extra = list(_unusual_sessions())
    own = (msgspec.json.decode(record, type=ValidSession) for record in records(labelled_records, settings.gate))
    sessions = [*own, *extra]
    bulk = build_documents(sessions)
    return Day(synthesis.ground_truth, labelled_records, sessions, extra, bulk, _scores(bulk))


def build_documents(sessions: list[ValidSession]) -> bytes:
    """Return a bulk body of all documents, built by the stream's function in the stream's environment."""
    python = ensure_environment("flink")
    with tempfile.TemporaryFile() as lines:
        lines.write(b"".join(msgspec.json.encode(session) + b"\n" for session in sessions))
        lines.seek(0)
        command = [str(python), "-P", "-c", BUILD_BODY]
        return subprocess.run(
            command, stdin=lines, stdout=subprocess.PIPE, check=True, env={"PYTHONPATH": str(ROOT)}, cwd=Path("/")
        ).stdout


@cache
def generated_sentiment(review: str) -> str:
    """Return the sentiment that a synthetic review was generated with."""
    for sentiment, texts in TEMPLATES.items():
        for text in texts:
            opening, _, closing = text.partition("{item}")
            if review.startswith(opening) and review.endswith(closing):
                return sentiment
    return "positive"


def _unusual_sessions() -> Iterator[ValidSession]:
    """Yield sessions with missing and unusual values, and sessions at the bounds of the day."""
    long = "Lovely, well built. " * 200
    attack = viewed(product_id="p-odd", name=ATTACK, category=QUOTED, review=ATTACK + " great, I love it")
    bare = viewed(product_id="p-bare", name=None, category=None, price=None, seconds=None, review=None)
    nowhere = Location(country=None, state=None, city=None, zip=None)
    unknown = Device(type="not_collected", os=None, browser=None)
    bought = Purchase(made=True, amount=19.99, payment=None)
    changes: list[dict[str, object]] = [
        {"views": [attack, viewed(review=long), attack]},
        {"views": [attack], "purchase": Purchase(made=True, amount=-5.5, payment="other")},
        {"views": [bare], "location": nowhere, "device": unknown, "referrer": "not_collected", "purchase": bought},
        {"views": [], "last_action": "search", "referrer": "direct"},
        {"views": [viewed(product_id="p-odd", name="A new name", category=QUOTED, review=None)]},
        {"views": [viewed()], "last_action": "checkout", "returning": True},
    ]
    for number, change in enumerate(changes):
        at = START + timedelta(hours=4 * number, minutes=29, seconds=59, milliseconds=999)
        yield valid_session(session_id=f"odd-{number}", user_id=f"odd-user-{number}", started_at=at, **change)
    yield valid_session(session_id="odd-before", user_id="odd-user-0", started_at=START - timedelta(milliseconds=1))
    yield valid_session(session_id="odd-first", user_id="odd-user-0", started_at=START)
    yield valid_session(session_id="odd-after", user_id="odd-user-0", started_at=END)


def _scores(bulk: bytes) -> dict[str, float]:
    """Return review -> score of the stream's sentiment model."""
    lines = bulk.splitlines()
    expected = (
        source for action, source in zip(lines[::2], lines[1::2], strict=True) if b"product_sentiment" in action
    )
    result = (msgspec.json.decode(source, type=ProductSentiment) for source in expected)
    return {review.review: review.score for review in result}


def arrived(day: Day, until: datetime) -> Counter[str]:
    """Return verdict -> number of records that arrived before a time."""
    return Counter(str(labelled.verdict) for labelled in day.labelled_records if labelled.arrives_at < until)
