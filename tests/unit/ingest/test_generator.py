"""The synthetic shop: deterministic, ordered, with at most one fault per record."""

import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import msgspec
import pytest

from include.contracts.errors import TerminalError
from include.contracts.session import Session
from include.contracts.settings import Settings
from include.ingest.generator import build_ground_truth, synthesize
from include.ingest.labelled_record import VALID, LabelledRecord
from include.ingest.plan import Fault, FaultRates, Plan, microseconds
from include.ingest.seasonality import MAX_SLICE_SESSIONS, slices
from tests.unit.ingest.reference_gate import max_sessions_per_minute

SETTINGS = Settings()
END = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ONE_RECORD_FAULTS = set(Fault) - {Fault.BOT_USER, Fault.BOT_NETWORK, Fault.DUPLICATE}
DIGEST = """
import hashlib, sys
sys.path.insert(0, {root!r})
from tests.unit.ingest.test_generator import digest, plan
print(digest(plan(sessions=300)))
"""


def plan(
    *, seed: int = 1, sessions: int = 2_000, hours: float = 24.0, end: datetime = END, rates: FaultRates | None = None
) -> Plan:
    start = end - timedelta(hours=hours)
    return Plan.of(SETTINGS, seed=seed, start=start, end=end, sessions=sessions, faults=rates)


def digest(what: Plan) -> str:
    seal = hashlib.sha256()
    for labelled in synthesize(what):
        seal.update(msgspec.json.encode((labelled.key, labelled.value, labelled.arrives_at, labelled.verdict)))
    return seal.hexdigest()


def sessions_of(labelled_records: list[LabelledRecord]) -> list[Session]:
    decoder = msgspec.json.Decoder(Session)
    return [decoder.decode(labelled.value) for labelled in labelled_records if labelled.verdict == VALID]


def test_synthesize_same_plan_gives_same_records() -> None:
    shop = synthesize(plan())
    first, truth = list(shop), shop.ground_truth
    assert list(shop) == first
    assert shop.ground_truth == truth
    assert list(synthesize(plan())) == first


def test_generator_in_other_process_gives_equal_bytes(pytestconfig: pytest.Config) -> None:
    command = [sys.executable, "-c", DIGEST.format(root=str(pytestconfig.rootpath))]
    results = [
        subprocess.run(command, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout.strip()
        for seed in ("1", "2")
    ]
    assert results == [digest(plan(sessions=300))] * 2


def test_generator_with_other_seed_gives_other_sessions() -> None:
    one, two = list(synthesize(plan(seed=1, sessions=300))), list(synthesize(plan(seed=2, sessions=300)))
    assert {labelled.value for labelled in one}.isdisjoint(labelled.value for labelled in two if labelled.value)
    assert {labelled.session_id for labelled in one}.isdisjoint(labelled.session_id for labelled in two)


def test_records_are_ordered_within_the_interval() -> None:
    what = plan(rates=FaultRates.scaled(5))
    results = [labelled.arrives_at for labelled in synthesize(what)]
    assert all(before <= after for before, after in pairwise(results))
    assert what.start <= results[0]
    assert results[-1] < what.end


def test_visits_are_complete_with_unique_ids() -> None:
    results = list(synthesize(plan()))
    firsts = [labelled for labelled in results if labelled.fault is not Fault.DUPLICATE]
    assert len({labelled.session_id for labelled in firsts}) == len(firsts)
    bots = sum(labelled.fault in (Fault.BOT_USER, Fault.BOT_NETWORK) for labelled in results)
    assert len(firsts) - bots == 2_000


def test_adjacent_intervals_share_no_session() -> None:
    cuts = [END - timedelta(hours=24), END - timedelta(hours=9, minutes=17), END - timedelta(seconds=40), END]
    parts = [
        [e.session_id for e in synthesize(Plan.of(SETTINGS, seed=1, start=start, end=end, sessions=200))]
        for start, end in pairwise(cuts)
    ]
    assert sum(len(set(part)) for part in parts) == len(set().union(*parts))


def test_synthesize_injects_one_fault_per_record() -> None:
    faults: dict[str, list[Fault]] = defaultdict(list)
    good: dict[str, LabelledRecord] = {}
    results = list(synthesize(plan(sessions=4_000, rates=FaultRates.scaled(8))))
    for labelled in results:
        if labelled.fault is Fault.DUPLICATE:
            original = good[labelled.session_id]
            assert (original.key, original.value) == (labelled.key, labelled.value)
            assert original.fault is None
        elif labelled.fault is not None:
            faults[labelled.session_id].append(labelled.fault)
        else:
            good[labelled.session_id] = labelled
    assert all(len(kinds) == 1 for kinds in faults.values())
    assert ONE_RECORD_FAULTS | {Fault.BOT_USER, Fault.BOT_NETWORK} == {kinds[0] for kinds in faults.values()}
    shop = synthesize(plan(sessions=4_000, rates=FaultRates.scaled(8)))
    assert Counter(str(labelled.fault) for labelled in shop if labelled.fault) == shop.ground_truth.injected


def test_without_faults_every_record_is_admitted() -> None:
    shop = synthesize(plan(rates=FaultRates.none()))
    assert {labelled.verdict for labelled in shop} == {VALID}
    assert shop.ground_truth.expected.verdicts == {"valid": 2_000}
    assert shop.ground_truth.injected == {}


def test_sessions_keep_the_contract_and_a_human_pace() -> None:
    admitted = sessions_of([e for e in synthesize(plan()) if e.fault not in (Fault.BOT_USER, Fault.BOT_NETWORK)])
    assert all(0 < session.duration_s <= 3_600 for session in admitted)
    assert all(session.clicks is not None and session.clicks <= session.duration_s for session in admitted)
    assert all(session.purchase.amount > 0 or not session.purchase.made for session in admitted)
    viewed = [[view.product_id for view in session.views] for session in admitted]
    assert all(len(set(products)) == len(products) >= 1 for products in viewed)


def test_documents_a_session_are_about_four() -> None:
    documents = build_ground_truth(plan(sessions=5_000)).expected.documents
    assert 1.5 <= documents["product_details"] / documents["session_summary"] <= 2.5
    assert 0.4 <= documents["product_sentiment"] / documents["session_summary"] <= 0.8


def test_late_sessions_ended_long_before_they_arrive_and_others_just_now() -> None:
    limit = timedelta(seconds=SETTINGS.stream.lateness_threshold_s)
    results = [e for e in synthesize(plan(rates=FaultRates.scaled(4))) if e.verdict == VALID]
    for labelled, session in zip(results, sessions_of(results), strict=True):
        age = labelled.arrives_at - session.started_at - timedelta(seconds=session.duration_s)
        assert (age > limit) == (labelled.fault is Fault.LATE)
        assert age >= timedelta(0)


def test_peak_minute_is_far_below_the_rate_limits() -> None:
    busy = plan(sessions=12_000, hours=0.1, rates=FaultRates.none())
    most = max_sessions_per_minute(synthesize(busy))
    assert most["user"] <= 2
    assert most["network"] <= 12


def test_visits_per_user_are_skewed() -> None:
    users = Counter(session.user_id for session in sessions_of(list(synthesize(plan(sessions=8_000, hours=200)))))
    visits = sorted(users.values(), reverse=True)
    assert visits[0] >= 10
    assert sum(count == 1 for count in visits) > len(visits) / 3


def test_slices_follow_seasonality() -> None:
    week = Plan.of(SETTINGS, seed=1, start=END - timedelta(days=7), end=END, sessions=100_000)
    parts = list(slices(week))
    assert sum(part.sessions for part in parts) == 100_000
    assert all(before.end == after.start for before, after in pairwise(parts))
    assert (parts[0].start, parts[-1].end) == (microseconds(week.start), microseconds(week.end))
    by_hour = Counter[int]()
    for part in parts:
        by_hour[part.start // 3_600_000_000 % 24] += part.sessions
    assert by_hour[2] > 2 * by_hour[9]


def test_huge_plan_starts_immediately_in_bounded_slices() -> None:
    huge = Plan.of(SETTINGS, seed=1, start=END - timedelta(days=1), end=END, sessions=20_000_000, population=200_000)
    assert max(part.sessions for part in slices(huge)) <= MAX_SLICE_SESSIONS
    assert len(list(islice(synthesize(huge), 5))) == 5


def test_ground_truth_before_end_raises() -> None:
    shop = synthesize(plan(sessions=50))
    next(iter(shop))
    with pytest.raises(TerminalError, match="not complete"):
        _ = shop.ground_truth
