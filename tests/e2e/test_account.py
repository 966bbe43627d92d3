"""All kinds of sessions through the whole platform: counts, documents and rejected records against the ground truth."""

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from include.clients.elasticsearch import connect
from include.contracts.reject_reasons import Reason
from include.contracts.settings import Settings
from include.gate.batch_processor import PREFIX_BYTES
from include.gate.pseudonym import pseudonymizer
from include.gate.stats import read_stats
from include.ingest.generator import synthesize
from include.ingest.ground_truth import GroundTruth
from include.ingest.labelled_record import VALID, LabelledRecord
from include.ingest.plan import FaultRates, Plan
from include.ingest.publisher import publish
from include.serving import queries
from local.verification.count_check import Baseline, take_baseline
from tests.e2e.checks import assert_counts_match, assert_kpis, read_raw_record, read_rejected

SAMPLES = 40


class Published:
    """A published load whose counts match."""

    def __init__(self, settings: Settings) -> None:
        end = datetime.now(UTC)
        plan = Plan.of(
            settings,
            seed=11,
            start=end - timedelta(days=2),
            end=end,
            sessions=4_000,
            faults=FaultRates.scaled(5),
        )
        self.since: Baseline = take_baseline(settings)
        synthesis = synthesize(plan)
        self.labelled_records: list[LabelledRecord] = list(synthesis)
        self.ground_truth: GroundTruth = synthesis.ground_truth
        publish(settings.kafka, self.labelled_records)
        assert_counts_match(settings, self.ground_truth.expected, self.since)


@pytest.fixture(scope="module")
def published(live: Settings) -> Published:
    """Two days of sessions with every fault, five times as often as usual."""
    return Published(live)


def test_load_with_every_fault_matches_all_counts(published: Published) -> None:
    assert all(
        published.ground_truth.injected[fault] > 0 for fault in ("bot_user", "duplicate", "late", "empty", "too_long")
    )
    assert len(published.ground_truth.expected.verdicts) > 12


def test_kpi_minute_rows_match_the_valid_sessions(live: Settings, published: Published) -> None:
    assert_kpis(live, published.labelled_records)


def test_gate_user_estimates_are_within_the_error_bound(live: Settings, published: Published) -> None:
    with redis.Redis.from_url(live.redis.url.reveal()) as client:
        report = read_stats(client, live)
    expected_users = published.ground_truth.expected.unique_users
    assert expected_users
    assert report.bloom_items == expected_users
    assert report.users_unique == pytest.approx(expected_users, rel=0.03)
    assert report.verdicts == published.ground_truth.expected.verdicts


def test_rejected_records_retain_bytes_reason_and_origin(live: Settings, published: Published) -> None:
    result = read_rejected(live, published.since)
    invalid_records = [labelled for labelled in published.labelled_records if labelled.verdict != VALID]
    assert Counter((key, value, headers["reason"]) for key, value, headers in result) == Counter(
        (labelled.key, _stored_value(labelled.value, str(labelled.verdict)), str(labelled.verdict))
        for labelled in invalid_records
    )
    for key, value, headers in result[:: max(1, len(result) // SAMPLES)]:
        assert headers["topic"] == "sessions.raw"
        origin = read_raw_record(live, int(headers["partition"]), int(headers["offset"]))
        assert (origin.key, _stored_value(origin.value or b"", headers["reason"])) == (key, value)
        if headers["reason"] == Reason.TOO_LONG:
            assert headers["sha256"] == hashlib.sha256(origin.value).hexdigest()


def _stored_value(value: bytes, reason: str) -> bytes:
    """Return the value as stored in sessions.rejected: complete, or a prefix of a value that is too long."""
    return value[:PREFIX_BYTES] if reason == Reason.TOO_LONG else value


def test_documents_match_the_sent_sessions(live: Settings, published: Published) -> None:
    valid = [labelled for labelled in published.labelled_records if labelled.verdict == VALID]
    pseudonym = pseudonymizer(live.gate.require_pseudonym_key())
    sessions = [json.loads(labelled.value) for labelled in valid[:: len(valid) // SAMPLES]]
    sample = {f"{pseudonym(session['user_id'])}:{session['session_id']}": session for session in sessions}
    views = {f"{key}:{n}": (s, v, n) for key, s in sample.items() for n, v in enumerate(s["views"])}
    with connect(live.elasticsearch) as client:
        summaries = queries.documents(client, "session_summary", sample)
        details = queries.documents(client, "product_details", views)
        sentiments = queries.documents(client, "product_sentiment", views)
    assert set(summaries) == set(sample)
    assert set(details) == set(views)
    assert set(sentiments) == {key for key, (_, view, _) in views.items() if view["review"] is not None}
    for key, session in sample.items():
        _check_summary(summaries[key], session, pseudonym(session["user_id"]))
    for key, (session, view, location) in views.items():
        _check_view(details[key], session, view, location)
        if key in sentiments:
            assert sentiments[key]["review"] == view["review"]
            assert -1 <= sentiments[key]["score"] <= 1


def test_sentiment_counts_match_the_ground_truth(live: Settings, published: Published) -> None:
    with connect(live.elasticsearch) as client:
        results = {
            label: queries.count(client, "product_sentiment", {"term": {"label": label}})
            for label in ("negative", "neutral", "positive")
        }
    assert results == dict.fromkeys(results, 0) | published.ground_truth.expected.sentiments


def _check_summary(document: dict[str, Any], session: dict[str, Any], user: str) -> None:
    started = datetime.fromisoformat(session["started_at"])
    same = (
        "session_id", "duration_s", "referrer", "page_views", "clicks", "last_action", "exit_page",
    )  # fmt: skip
    assert {name: document[name] for name in same} == {name: session[name] for name in same}
    assert document["user_id"] == user
    assert datetime.fromisoformat(document["started_at"]) == started
    assert datetime.fromisoformat(document["ended_at"]) == started + timedelta(seconds=session["duration_s"])
    assert (document["device_type"], document["device_os"]) == (session["device"]["type"], session["device"]["os"])
    assert {name: document[name] for name in session["location"]} == session["location"]
    assert document["gender"] == session["user"]["gender"]
    assert document["purchase_made"] == session["purchase"]["made"]
    assert document["purchase_amount"] == session["purchase"]["amount"]
    assert document["hour_of_day"] == started.astimezone(UTC).hour
    assert document["day_of_week"] == started.astimezone(UTC).isoweekday()
    assert document["is_weekend"] == (started.astimezone(UTC).isoweekday() > 5)
    assert set(document["categories"]) == {view["category"] for view in session["views"]}
    assert set(document["viewed_products"]) == {view["product_id"] for view in session["views"]}
    assert not {"name", "email", "ip"} & set(document)


def _check_view(document: dict[str, Any], session: dict[str, Any], view: dict[str, Any], view_position: int) -> None:
    for name in ("product_id", "name", "category", "price", "seconds"):
        assert document[name] == view[name]
    assert (document["session_id"], document["position"]) == (session["session_id"], view_position)
    assert document["purchase_made"] == session["purchase"]["made"]
