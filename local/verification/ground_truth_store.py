"""Ground truths of all sessions sent to this stack, stored in MongoDB beside the archive."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from pymongo.collection import Collection

from include.archive import store
from include.clients.mongodb import Client, translate_errors
from include.contracts.collections import LEDGERS
from include.contracts.settings import MongodbSettings
from include.ingest.ground_truth import GroundTruth, merge
from include.ingest.replay import ReplayReport

REPLAY = "replay:"
# Merging the users of more intervals takes too long for `status`.
MAX_GROUND_TRUTHS = 1_000


def store_ground_truth(settings: MongodbSettings, ledger: GroundTruth) -> None:
    """Store the ground truth of one plan after publication; the same plan again replaces it."""
    _store(settings, ledger.plans[0].tag, msgspec.json.encode(ledger))


def store_replay(settings: MongodbSettings, name: str, report: ReplayReport) -> None:
    """Store the report of a replayed log; the same log replayed again counts once."""
    _store(settings, f"{REPLAY}{name}", msgspec.json.encode(report))


def load_ground_truths(settings: MongodbSettings) -> dict[str, GroundTruth]:
    """Return plan tag -> ground truth, for all synthetic intervals. Raises TransientError without MongoDB."""
    with store.connect(settings) as client, translate_errors("read the ledgers"):
        results = {entry["_id"]: entry["ledger"] for entry in _ledgers(client, settings).find({}, {"ledger": True})}
    return {
        tag: msgspec.json.decode(text, type=GroundTruth) for tag, text in results.items() if not tag.startswith(REPLAY)
    }


class ExpectedTotals(NamedTuple):
    """Totals of all stored ground truths: admitted sessions, and their users."""

    sessions: int
    users: int


def load_expected_totals(settings: MongodbSettings) -> ExpectedTotals | None:
    """Return the expected totals of all stored ground truths; None without any or with too many to merge."""
    with store.connect(settings) as client, translate_errors("read the ledgers"):
        retained = _ledgers(client, settings)
        if not 0 < retained.estimated_document_count() <= MAX_GROUND_TRUTHS:
            return None
        results = {entry["_id"]: entry["ledger"] for entry in retained.find({}, {"ledger": True})}
    shops = [
        msgspec.json.decode(text, type=GroundTruth) for name, text in results.items() if not name.startswith(REPLAY)
    ]
    logs = [msgspec.json.decode(text, type=ReplayReport) for name, text in results.items() if name.startswith(REPLAY)]
    expected = [log.expected for log in logs] + ([merge(shops).expected] if shops else [])
    return ExpectedTotals(
        sum(counts.valid for counts in expected), sum(counts.unique_users or 0 for counts in expected)
    )


def unique_users(settings: MongodbSettings, admitted: int) -> int | None:
    """Return the users with an admitted session; None unless all `admitted` sessions are in a ground truth."""
    truth = load_expected_totals(settings)
    return truth.users if truth is not None and truth.sessions == admitted else None


def _store(settings: MongodbSettings, run_id: str, ledger: bytes) -> None:
    entry = {"ledger": ledger.decode(), "written_at": datetime.now(UTC)}
    with store.connect(settings) as client, translate_errors("store the ledger"):
        _ledgers(client, settings).replace_one({"_id": run_id}, entry, upsert=True)


def _ledgers(client: Client, settings: MongodbSettings) -> Collection[dict[str, Any]]:
    return store.database(client, settings)[LEDGERS]
