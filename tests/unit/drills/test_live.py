"""What the drills on the running platform send, and how they read what came of it."""

import math
import time
from pathlib import Path

from drills.elasticsearch_blocked import BEFORE_S, BETWEEN_S, OTHER_MONTH, _is_fresh, _load
from drills.live import WaitLog, balance_of, combined
from drills.poison import COMPRESSED_BYTES, Poison, worst_window_p95
from drills.watch import Sample
from include.contracts.index_documents import MAX_ID_BYTES, index_name, kpi_id
from include.contracts.reject_reasons import Reason
from include.contracts.settings import Settings
from include.contracts.topics import DEAD
from include.gate.validation import Candidate, Limits, Rejection, check
from include.ingest.expected_counts import Tally
from local.verification.count_check import StageCount

LIMITS = Limits.of(Settings())


def judged(poison: Poison, sent: list[tuple[bytes, bytes]]) -> list[Candidate | Rejection]:
    received_ms = int(time.time() * 1_000)
    return [check(value, key, received_ms, LIMITS) for key, value in sent]


def test_poison_is_what_the_gate_admits_or_rejects_as_too_long() -> None:
    sent: list[tuple[bytes, bytes]] = []
    poison = Poison(lambda key, value: sent.append((key, value)))
    poison.emoji()
    poison.back_dated()
    poison.categories()
    admitted = judged(poison, sent)
    assert [each for each in admitted if not isinstance(each, Candidate)] == []
    sessions = [each.session for each in admitted if isinstance(each, Candidate)]
    months = {(session.started_at.year, session.started_at.month) for session in sessions}
    assert len(months) >= 230
    category = sessions[-1].views[0].category or ""
    assert len(f"2026-11-23T08:15:00Z|{category}|2026-11-23".encode()) > MAX_ID_BYTES
    assert len(kpi_id("2026-11-23T08:15:00Z", category, "2026-11-23").encode()) <= MAX_ID_BYTES

    sent.clear()
    poison.compressed()
    rejected = judged(poison, sent)
    assert [each.reason for each in rejected if isinstance(each, Rejection)] == [Reason.TOO_LONG] * 2
    expected = poison.expected
    assert (expected.valid, expected.rejected) == (len(sessions), len(COMPRESSED_BYTES))
    assert expected.documents["product_sentiment"] == 20 * 32


def test_load_of_blocked_brings_a_month_without_an_index_after_the_second_fault_began() -> None:
    load, expected = _load(Settings(), per_s=20.0, seed=1, fault_s=10.0)
    assert len(load) == expected.produced
    newest = max(labelled.arrives_at for labelled in load)
    other = [number for number, each in enumerate(load) if newest - each.arrives_at > OTHER_MONTH / 2]
    assert other
    assert other[0] >= 21 * (BEFORE_S + 10 + BETWEEN_S)
    months = {index_name("session_summary", load[number].arrives_at) for number in other}
    assert months.isdisjoint({index_name("session_summary", each.arrives_at) for each in load[: other[0]]})


def test_combined_counts_add_up() -> None:
    first, second = Tally(), Tally()
    first.count_rejected(Reason.TOO_LONG)
    second.count_rejected(Reason.TOO_LONG)
    second.count_rejected(Reason.EMPTY)
    both = combined(first.expected(None), second.expected(None))
    assert (both.produced, both.verdicts) == (3, {"too_long": 2, "empty": 1})


def test_balance_of_keeps_dead_letters_apart() -> None:
    lines = [StageCount("gate", "a", 5, 3), StageCount("stream", "b", 5, 6), StageCount("stream", DEAD, 0, 4)]
    assert balance_of(lines) == {"lost": 2, "duplicated": 1, "dead_letters": 4}


def test_wait_log_counts_what_was_added_since(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("waiting for Elasticsearch, attempt 1: 403 cluster_block_exception: before\n")
    log = WaitLog(path)
    assert log.count("403 cluster_block_exception") == 0
    with path.open("a") as more:
        more.write("WARN waiting for Elasticsearch, attempt 1: 403 cluster_block_exception: x\nsomething else\n")
        more.write("WARN waiting for Elasticsearch, attempt 2: 429 cluster_block_exception: y\n")
    assert log.count("403 cluster_block_exception") == 1
    assert log.count("429") == 0


def test_worst_window_p95_shows_a_stall_that_the_whole_hides() -> None:
    delays = [(float(at), 1.0) for at in range(200)] + [(100.0 + number / 10, 9.0) for number in range(5)]
    assert worst_window_p95(delays) == 9.0
    assert sorted(delay for _, delay in delays)[int(0.95 * len(delays))] == 1.0


def test_worst_window_p95_of_missing_sessions_or_none_at_all_is_infinite() -> None:
    assert worst_window_p95([(1.0, 0.5), (2.0, math.inf)]) == math.inf
    assert worst_window_p95([]) == math.inf


def test_is_fresh_of_an_old_newest_session_or_no_sample_is_false() -> None:
    assert _is_fresh([Sample(at=100.0, newest=99.0)], 101.0)
    assert not _is_fresh([Sample(at=100.0, newest=90.0)], 101.0)
    assert not _is_fresh([], 101.0)
