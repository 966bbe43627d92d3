"""The number of unique users is available only while every admitted session is in a ledger."""

from datetime import UTC, datetime, timedelta

from pymongo.database import Database

from include.clients.mongodb import Document
from include.contracts.settings import Settings
from include.ingest.generator import synthesize
from include.ingest.plan import Plan
from local.verification.ground_truth_store import load_expected_totals, store_ground_truth, unique_users

START = datetime(2026, 11, 23, tzinfo=UTC)


def test_unique_users_with_sessions_outside_the_ledgers_returns_none(own: Settings, empty: Database[Document]) -> None:
    assert load_expected_totals(own.mongodb) is None
    plan = Plan.of(own, seed=7, start=START, end=START + timedelta(hours=2), sessions=200)
    history = synthesize(plan)
    assert len(list(history)) > 0
    store_ground_truth(own.mongodb, history.ground_truth)
    expected = load_expected_totals(own.mongodb)
    assert expected is not None
    assert (expected.sessions, expected.users) == (
        history.ground_truth.expected.valid,
        history.ground_truth.expected.unique_users,
    )
    assert unique_users(own.mongodb, expected.sessions) == expected.users
    # HyperLogLog counts sessions of an external shop; the ledgers do not.
    assert unique_users(own.mongodb, expected.sessions + 1) is None
