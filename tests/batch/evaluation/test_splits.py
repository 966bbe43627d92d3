"""Splits: disjoint by user and session, ordered by time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from include.batch import parameters
from include.batch.evaluation import splits
from include.batch.evaluation.splits import Split, Splits
from include.batch.features.table import Table
from include.batch.window import Window
from include.contracts.errors import TerminalError

START = datetime(2026, 11, 9, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=14))
PARAMETERS = parameters.load().split
DAY_US = 86_400_000_000


def table(sessions: int = 4_000, users: int = 300, seed: int = 1) -> Table:
    rng = np.random.default_rng(seed)
    first = round(START.timestamp() * 1e6)
    return Table(
        session_id=np.array([f"s-{number:05d}" for number in range(sessions)], dtype=object),
        user_id=np.array([f"u-{number}" for number in rng.integers(0, users, sessions)], dtype=object),
        started_us=np.sort(first + rng.integers(0, 14 * DAY_US, sessions)),
        made=rng.random(sessions) < 0.2,
        x=rng.random((sessions, 2)).astype(np.float32),
        columns=("one", "earlier_visits"),
    )


def day(table: Table, at: int) -> float:
    return float(table.started_us[at] - round(START.timestamp() * 1e6)) / DAY_US


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.integers(20, 400), st.floats(1, 6), st.floats(0.2, 0.7))
def test_temporal_split_passes_check(seed: int, users: int, test_days: float, test_users: float) -> None:
    result = table(1_500, users, seed)
    chosen = parameters.SplitParameters(test_days=test_days, test_users=test_users, validation_days=2, random_test=0.25)
    parts = splits.temporal(result, WINDOW, chosen)
    # A short window of few users can lack purchases, which the check rejects.
    assume(all(0 < result.made[part].sum() < len(part) for part in (parts.train, parts.validation, parts.test)))
    splits.check(result, parts)
    assert all(day(result, at) >= 14 - test_days for at in parts.test)
    assert all(12 - test_days <= day(result, at) < 14 - test_days for at in parts.validation)
    assert all(day(result, at) < 12 - test_days for at in parts.train)


def test_test_users_are_the_same_in_every_run() -> None:
    users = [f"u-{number}" for number in range(5_000)]
    chosen = [user for user in users if splits.is_test_user(user, 0.4)]
    assert chosen[:5] == ["u-3", "u-4", "u-7", "u-17", "u-18"]
    assert 0.38 < len(chosen) / len(users) < 0.42
    assert set(chosen) <= {user for user in users if splits.is_test_user(user, 0.5)}


def test_temporal_split_excludes_ambiguous_rows() -> None:
    result = table()
    parts = splits.temporal(result, WINDOW, PARAMETERS)
    used = np.concatenate((parts.train, parts.validation, parts.test))
    assert len(set(used.tolist())) == len(used) < len(result)
    assert len(parts.train) > len(parts.validation) > 0


def test_random_split_uses_every_row_once_and_is_seeded() -> None:
    result = table()
    parts = splits.random(result, PARAMETERS, 7)
    assert sorted(np.concatenate((parts.train, parts.validation, parts.test)).tolist()) == list(range(len(result)))
    assert 0.22 < len(parts.test) / len(result) < 0.28
    again, other = splits.random(result, PARAMETERS, 7), splits.random(result, PARAMETERS, 8)
    assert again.test.tolist() == parts.test.tolist() != other.test.tolist()


def test_random_split_keeps_duplicates_on_one_side() -> None:
    """Every session occurs twice, the copy under another id."""
    result = table(1_000)
    rows = np.repeat(np.arange(1_000), 2)
    twice = Table(
        session_id=np.array([f"s-{number}" for number in range(2_000)], dtype=object),
        user_id=result.user_id[rows],
        started_us=result.started_us[rows],
        made=result.made[rows],
        x=result.x[rows],
        columns=result.columns,
    )
    for parts in (splits.temporal(twice, WINDOW, PARAMETERS), splits.random(twice, PARAMETERS, 1)):
        sides = [{int(at) // 2 for at in rows} for rows in (parts.train, parts.validation, parts.test)]
        assert not sides[0] & sides[1]
        assert not sides[0] & sides[2]
        assert not sides[1] & sides[2]
    splits.check(twice, splits.temporal(twice, WINDOW, PARAMETERS))


def rows(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, dtype=np.int64)


def small_table(**changes: object) -> Table:
    """Return four visits of four users, one per day."""
    first = round(START.timestamp() * 1e6)
    result = Table(
        session_id=np.array(["a", "b", "c", "d"], dtype=object),
        user_id=np.array(["1", "2", "3", "4"], dtype=object),
        started_us=first + np.arange(4) * DAY_US,
        made=np.array([True, False, True, False]),
        x=np.arange(8, dtype=np.float32).reshape(4, 2),
        columns=("one", "earlier_visits"),
    )
    return replace(result, **changes)  # type: ignore[arg-type]


VALID_SPLIT = Split(train=rows(0, 1), validation=rows(2), test=rows(3))


def test_check_of_a_valid_split_passes() -> None:
    splits.check(small_table(), VALID_SPLIT)


@pytest.mark.parametrize(
    ("result", "parts", "summary"),
    [
        (small_table(), Split(rows(0, 1, 3), rows(2), rows(3)), "row"),
        (small_table(), Split(rows(0, 1), rows(1), rows(3)), "row"),
        (small_table(user_id=np.array(["1", "2", "3", "1"], dtype=object)), VALID_SPLIT, "user"),
        (small_table(user_id=np.array(["1", "2", "3", "3"], dtype=object)), VALID_SPLIT, "user"),
        (small_table(session_id=np.array(["a", "b", "c", "b"], dtype=object)), VALID_SPLIT, "session"),
        (small_table(), Split(rows(0, 3), rows(2), rows(1)), "began before"),
        (small_table(), Split(rows(0, 2), rows(1), rows(3)), "began before"),
        (small_table(started_us=np.zeros(4, dtype=np.int64)), VALID_SPLIT, "began before"),
    ],
)
def test_check_of_an_invalid_split_raises(result: Table, parts: Split, summary: str) -> None:
    with pytest.raises(TerminalError, match=summary):
        splits.check(result, parts)


def test_check_detects_a_copy_under_another_id_and_user() -> None:
    """Only the history differs, because the copy has another user."""
    x = np.array([[np.nan, 0], [5, 1], [6, 2], [np.nan, 9]], dtype=np.float32)
    result = small_table(x=x, started_us=small_table().started_us[[0, 1, 2, 0]])
    with pytest.raises(TerminalError, match="copy of a session"):
        splits.check(result, VALID_SPLIT)
    splits.check(replace(result, started_us=small_table().started_us), VALID_SPLIT)


@pytest.mark.parametrize("made", [True, False])
def test_temporal_split_with_one_outcome_raises(made: bool) -> None:
    result = replace(table(), made=np.full(4_000, made))
    with pytest.raises(TerminalError, match="train part of the split"):
        splits.temporal(result, WINDOW, PARAMETERS)
    with pytest.raises(TerminalError, match="train part of the split"):
        splits.random(result, PARAMETERS, 1)


def test_splits_round_trip_through_the_file(tmp_path: Path) -> None:
    result = table()
    both = Splits(splits.temporal(result, WINDOW, PARAMETERS), splits.random(result, PARAMETERS, 1))
    splits.save(both, tmp_path)
    read = splits.load(tmp_path)
    for name in splits.KINDS:
        for part in splits.PARTS:
            one, other = (getattr(getattr(of, name), part) for of in (both, read))
            np.testing.assert_array_equal(one, other, strict=True)


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 torn"])
def test_load_of_an_unreadable_file_raises(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / splits.FILE).write_bytes(content)
    with pytest.raises(TerminalError, match=r"split\.npz failed"):
        splits.load(tmp_path)


def test_describe_counts_users() -> None:
    result = splits.describe(small_table(), rows(0, 0, 1, 2), VALID_SPLIT)
    assert result["train"] == {"sessions": 2, "users": 1, "base_rate": 0.5}
