"""Load, poison records and counts of the drills on the running platform."""

import math
import time
from pathlib import Path

from drills.elasticsearch_blocked import BEFORE_S, BETWEEN_S, OTHER_MONTH, _build_load, _is_fresh
from drills.live import WaitLog, combine_expected, count_differences
from drills.poison import COMPRESSED_BYTES, Poison, worst_window_p95
from drills.watch import Sample
from include.contracts.index_documents import MAX_ID_BYTES, index_name, kpi_id
from include.contracts.reject_reasons import Reason
from include.contracts.settings import Settings
from include.contracts.topics import DEAD
from include.gate.validation import Candidate, Limits, Rejection, check
from include.ingest.expected_counts import Tally
from local.verification.count_check import StageCount

LIMITS = Limits.of(Settings().gate)


def validate_all(sent: list[tuple[bytes, bytes]]) -> list[Candidate | Rejection]:
    received_ms = int(time.time() * 1_000)
    return [check(value, key, received_ms, LIMITS) for key, value in sent]


def test_poison_records_are_valid_or_too_long() -> None:
    sent: list[tuple[bytes, bytes]] = []
    poison = Poison(lambda key, value: sent.append((key, value)))
    poison.send_emoji()
    poison.send_back_dated()
    poison.send_long_categories()
    admitted = validate_all(sent)
    assert [result for result in admitted if not isinstance(result, Candidate)] == []
    sessions = [result.session for result in admitted if isinstance(result, Candidate)]
    months = {(session.started_at.year, session.started_at.month) for session in sessions}
    assert len(months) >= 230
    category = sessions[-1].views[0].category or ""
    assert len(f"2026-11-23T08:15:00Z|{category}|2026-11-23".encode()) > MAX_ID_BYTES
    assert len(kpi_id("2026-11-23T08:15:00Z", category, "2026-11-23").encode()) <= MAX_ID_BYTES

    sent.clear()
    poison.send_compressed()
    rejected = validate_all(sent)
    assert [result.reason for result in rejected if isinstance(result, Rejection)] == [Reason.TOO_LONG] * 2
    expected = poison.expected
    assert (expected.valid, expected.rejected) == (len(sessions), len(COMPRESSED_BYTES))
    assert expected.documents["product_sentiment"] == 20 * 32


def test_build_load_sends_a_month_without_an_index_after_the_second_fault() -> None:
    load, expected = _build_load(Settings(), per_s=20.0, seed=1, fault_s=10.0)
    assert len(load) == expected.produced
    newest = max(labelled.arrives_at for labelled in load)
    other = [number for number, labelled in enumerate(load) if newest - labelled.arrives_at > OTHER_MONTH / 2]
    assert other
    assert other[0] >= 21 * (BEFORE_S + 10 + BETWEEN_S)
    months = {index_name("session_summary", load[number].arrives_at) for number in other}
    assert months.isdisjoint({index_name("session_summary", labelled.arrives_at) for labelled in load[: other[0]]})


def test_combine_expected_adds_counts() -> None:
    first, second = Tally(), Tally()
    first.count_rejected(Reason.TOO_LONG)
    second.count_rejected(Reason.TOO_LONG)
    second.count_rejected(Reason.EMPTY)
    both = combine_expected(first.expected(None), second.expected(None))
    assert (both.produced, both.verdicts) == (3, {"too_long": 2, "empty": 1})


def test_count_differences_excludes_dead_letters_from_duplicates() -> None:
    lines = [StageCount("gate", "a", 5, 3), StageCount("stream", "b", 5, 6), StageCount("stream", DEAD, 0, 4)]
    assert count_differences(lines) == {"lost": 2, "duplicated": 1, "dead_letters": 4}


def test_wait_log_counts_only_new_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("waiting for Elasticsearch, attempt 1: 403 cluster_block_exception: before\n")
    log = WaitLog(path)
    assert log.count("403 cluster_block_exception") == 0
    with path.open("a") as more:
        more.write("WARN waiting for Elasticsearch, attempt 1: 403 cluster_block_exception: x\nsomething else\n")
        more.write("WARN waiting for Elasticsearch, attempt 2: 429 cluster_block_exception: y\n")
    assert log.count("403 cluster_block_exception") == 1
    assert log.count("429") == 0


def test_worst_window_p95_of_a_short_stall_exceeds_the_overall_p95() -> None:
    delays = [(float(second), 1.0) for second in range(200)] + [(100.0 + number / 10, 9.0) for number in range(5)]
    assert worst_window_p95(delays) == 9.0
    assert sorted(delay for _, delay in delays)[int(0.95 * len(delays))] == 1.0


def test_worst_window_p95_with_missing_sessions_or_without_samples_is_infinite() -> None:
    assert worst_window_p95([(1.0, 0.5), (2.0, math.inf)]) == math.inf
    assert worst_window_p95([]) == math.inf


def test_is_fresh_with_an_old_session_or_without_samples_is_false() -> None:
    assert _is_fresh([Sample(timestamp=100.0, newest=99.0)], 101.0)
    assert not _is_fresh([Sample(timestamp=100.0, newest=90.0)], 101.0)
    assert not _is_fresh([], 101.0)
