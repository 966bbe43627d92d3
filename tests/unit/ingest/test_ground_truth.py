"""Ground truth compared with the reference gate, and merged over intervals."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from include.contracts.errors import SourceFormatError
from include.contracts.session import Session
from include.contracts.settings import GateSettings, KafkaSettings, Settings
from include.gate.validation import Limits as GateLimits
from include.gate.validation import Rejection, check
from include.ingest.distinct import DistinctCounter, IntSet
from include.ingest.expected_counts import build_kpi_table
from include.ingest.generator import synthesize
from include.ingest.ground_truth import GroundTruth, merge
from include.ingest.labelled_record import VALID, LabelledRecord
from include.ingest.plan import Fault, FaultRates, Plan
from include.ingest.purchase_model import compute_roc_auc
from tests.unit.ingest.reference_gate import minute, recount, rows

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MEMORY_REASONS = {"duplicate", "impossible_pace", "rate_user", "rate_network", "unknown_device", "unknown_referrer"}


def build(
    seed: int, sessions: int, hours: float, factor: float, limits: Settings | None = None, end: datetime = NOW
) -> tuple[Plan, list[LabelledRecord], GroundTruth, Settings]:
    chosen = limits or Settings()
    what = Plan.of(
        chosen,
        seed=seed,
        start=end - timedelta(hours=hours),
        end=end,
        sessions=sessions,
        faults=structs.replace(FaultRates.scaled(factor), bot_network=min(1.0, factor / 5_000)),
    )
    what.check_clock(NOW)
    shop = synthesize(what)
    labelled_records = list(shop)
    return what, labelled_records, shop.ground_truth, chosen


def assert_matches_recount(labelled_records: list[LabelledRecord], ledger: GroundTruth, chosen: Settings) -> None:
    """Assert that every count and every verdict equals the reference gate's."""
    slow = recount(labelled_records, chosen, NOW)
    assert [str(labelled.verdict) for labelled in labelled_records] == slow.verdicts
    expected = ledger.expected
    assert expected.produced == len(labelled_records)
    assert expected.verdicts == slow.counts
    assert expected.documents == slow.documents
    assert expected.unique_users == len({session.user_id for session in slow.admitted})
    assert {
        name: (total.sessions, total.purchases, total.revenue, total.duration_s) for name, total in expected.kpi.items()
    } == slow.kpi()
    assert expected.purchases == sum(session.purchase.made for session in slow.admitted)
    assert expected.revenue == sum((Decimal(str(s.purchase.amount)) for s in slow.admitted), Decimal(0))
    assert expected.valid + expected.rejected == expected.produced
    inside: dict[tuple[datetime, str], list[Session]] = defaultdict(list)
    for session in slow.admitted:
        for category in rows(session):
            inside[minute(session), category].append(session)
    table = build_kpi_table(labelled_records)
    assert {key: (row.total.sessions, row.users) for key, row in table.items()} == {
        key: (len(sessions), len({session.user_id for session in sessions})) for key, sessions in inside.items()
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ground_truth_equals_recount(seed: int) -> None:
    _, labelled_records, ledger, chosen = build(seed, 1_500, 48.0, 10.0)
    assert set(ledger.injected) == set(Fault)
    assert_matches_recount(labelled_records, ledger, chosen)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(-5, 10_000),
    sessions=st.integers(0, 400),
    hours=st.floats(0.01, 400),
    factor=st.floats(0, 15),
    partitions=st.integers(1, 9),
    rate_user=st.integers(3, 25),
    window=st.sampled_from([60, 3_600, 86_400]),
)
def test_ground_truth_of_any_plan_equals_recount(
    seed: int, sessions: int, hours: float, factor: float, partitions: int, rate_user: int, window: int
) -> None:
    chosen = Settings(
        kafka=KafkaSettings(partitions=partitions),
        gate=GateSettings(
            max_user_sessions_per_minute=rate_user,
            max_network_sessions_per_minute=25,
            max_clicks_per_s=2.0,
            max_record_bytes=20_000,
            duplicate_window_s=window,
        ),
    )
    _, labelled_records, ledger, _ = build(seed, sessions, hours, factor, chosen)
    assert_matches_recount(labelled_records, ledger, chosen)


def test_ground_truth_verdicts_equal_gate_validation() -> None:
    _, labelled_records, _, chosen = build(5, 3_000, 24.0, 10.0)
    limits = GateLimits.of(chosen.gate)
    for labelled in labelled_records:
        output = check(labelled.value, labelled.key, int(NOW.timestamp() * 1_000), limits)
        if isinstance(output, Rejection):
            assert output.reason == labelled.verdict
        else:
            assert labelled.verdict == VALID or labelled.verdict in MEMORY_REASONS
            assert output.too_fast == (labelled.verdict == "impossible_pace")


def test_oracle_auc_is_auc_of_true_probability() -> None:
    _, _, ledger, _ = build(1, 20_000, 200.0, 1.0)
    intent = ledger.intent
    assert intent.roc_auc is not None
    assert intent.expected_roc_auc is not None
    assert intent.base_rate is not None
    assert 0.80 <= intent.roc_auc <= 0.88
    assert abs(intent.roc_auc - intent.expected_roc_auc) < 0.02
    assert 0.08 <= intent.base_rate <= 0.15
    assert intent.sessions + intent.bots == ledger.expected.valid
    assert intent.purchases == ledger.expected.purchases


def test_compute_roc_auc_equals_pair_count() -> None:
    ranked = [(3.0, 10.0), (0.0, 4.0), (5.0, 5.0), (2.0, 0.0)]
    scored = [(location, yes, no) for location, (yes, no) in enumerate(ranked)]
    wins = sum(yes * no * (1.0 if a > b else 0.5) for a, yes, _ in scored for b, _, no in scored if a >= b)
    assert compute_roc_auc(ranked) == pytest.approx(wins / (10 * 19))
    assert compute_roc_auc([(0.0, 5.0)]) is None


def test_reviews_in_the_records_are_those_in_the_ledger() -> None:
    _, labelled_records, ledger, _ = build(1, 2_000, 24.0, 1.0)
    assert sum(ledger.expected.sentiments.values()) == ledger.expected.documents["product_sentiment"]
    sessions = [msgspec.json.decode(e.value, type=Session) for e in labelled_records if e.verdict == VALID]
    assert any("\n" in (view.review or "") for session in sessions for view in session.views)


def test_ground_truth_round_trips_through_file(tmp_path: Path) -> None:
    *_, ledger, _ = build(1, 400, 10.0, 5.0)
    path = tmp_path / "kept" / "ledger.json"
    ledger.save(path)
    assert GroundTruth.load(path) == ledger
    assert [result.name for result in path.parent.iterdir()] == ["ledger.json"]


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1"])
def test_ground_truth_load_invalid_file_raises(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ledger.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceFormatError, match=r"ledger\.json"):
        GroundTruth.load(path)


def test_merge_of_intervals_equals_recount() -> None:
    parts = [build(4, 600, 6.0, 5.0, end=NOW - timedelta(hours=6 * back)) for back in (2, 1, 0)]
    united = merge([ledger for _, _, ledger, _ in parts])
    everything = [labelled for _, labelled_records, _, _ in parts for labelled in labelled_records]
    assert_matches_recount(everything, united, Settings())
    alone = [ledger.expected.unique_users or 0 for _, _, ledger, _ in parts]
    assert united.expected.unique_users is not None
    assert united.expected.unique_users < sum(alone)
    assert united.intent.sessions == sum(ledger.intent.sessions for _, _, ledger, _ in parts)


def test_merge_same_interval_twice_raises() -> None:
    *_, ledger, _ = build(1, 50, 1.0, 0.0)
    with pytest.raises(SourceFormatError, match="twice"):
        merge([ledger, ledger])
    with pytest.raises(SourceFormatError, match="no ground truth"):
        merge([])


@given(st.sets(st.integers(0, 5_000)), st.sets(st.integers(0, 2**40)))
def test_int_set_behaves_as_set(some: set[int], others: set[int]) -> None:
    packed = IntSet.unpack(IntSet(some).pack())
    assert list(packed) == sorted(some)
    assert len(packed) == len(some)
    assert all(member in packed for member in some)
    packed.update(IntSet(others))
    assert set(packed) == some | others


def test_distinct_counter_beyond_limit_is_none() -> None:
    distinct = DistinctCounter(3)
    assert [distinct.add(text) for text in "abab"] == [True, True, False, False]
    assert distinct.count == 2
    for text in "cd":
        distinct.add(text)
    assert distinct.count is None
    assert not distinct.is_exact
