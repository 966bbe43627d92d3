"""Lines of the count check, and the sessions that the freshness probe tracks."""

from datetime import UTC, datetime

import pytest

from include.contracts.reject_reasons import Reason
from include.contracts.settings import Settings
from include.ingest.labelled_record import VALID, LabelledRecord, Verdict
from local.verification.count_check import StageCount
from local.verification.freshness import FreshnessProbe


@pytest.mark.parametrize(
    ("expected", "result", "difference"),
    [(5, 5, 0), (5, 4, -1), (5, 7, 2), (10.004, 10.0, 0), (10.0, 10.01, pytest.approx(0.01)), (0, 1, 1)],
)
def test_stage_count_difference_is_actual_minus_expected(expected: float, result: float, difference: float) -> None:
    assert StageCount("stage", "what", expected, result).difference == difference


def labelled(session_id: str, verdict: Verdict) -> LabelledRecord:
    return LabelledRecord(key=b"k", value=b"{}", arrives_at=datetime.now(UTC), session_id=session_id, verdict=verdict)


def test_freshness_tracks_admitted_sessions_once() -> None:
    probe = FreshnessProbe(Settings().elasticsearch)
    records = [labelled("a", VALID), labelled("b", Reason.EMPTY), labelled("a", Reason.DUPLICATE)]
    for record in probe.watch(records):
        probe.produced(record.session_id, 1.0)
    assert probe.waiting == {"a": 1.0}


def test_freshness_tracks_every_nth_session() -> None:
    probe = FreshnessProbe(Settings().elasticsearch, every=3)
    for record in probe.watch([labelled(str(number), VALID) for number in range(1, 10)]):
        probe.produced(record.session_id, 2.0)
    assert set(probe.waiting) == {"3", "6", "9"}
