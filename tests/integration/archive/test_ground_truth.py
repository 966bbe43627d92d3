"""The truth about all users is known only while every admitted session is in a ledger."""

from datetime import UTC, datetime, timedelta

from pymongo.database import Database

from include.archive.store import Document
from include.contracts.settings import Settings
from include.ingest.generator import synthesize
from include.ingest.plan import Plan
from local.verification.ground_truth_store import load_expected_totals, store_ground_truth, unique_users

START = datetime(2026, 11, 23, tzinfo=UTC)


def test_unique_users_is_none_once_a_source_without_a_ledger_has_sent(own: Settings, empty: Database[Document]) -> None:
    assert load_expected_totals(own) is None
    plan = Plan.of(own, seed=7, start=START, end=START + timedelta(hours=2), sessions=200)
    history = synthesize(plan)
    assert len(list(history)) > 0
    store_ground_truth(own, history.ground_truth)
    truth = load_expected_totals(own)
    assert truth is not None
    assert (truth.sessions, truth.users) == (
        history.ground_truth.expected.valid,
        history.ground_truth.expected.unique_users,
    )
    assert unique_users(own, truth.sessions) == truth.users
    # A session of a shop of one's own: HyperLogLog counts it, the ledgers do not.
    assert unique_users(own, truth.sessions + 1) is None
