"""Repurchase: features end before the cut-off, and no customer is on both sides."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.batch import repurchase
from benchmarks.batch.repurchase import DAYS, ENCODERS, FIELDS, Purchases, features_at, outcomes, samples
from benchmarks.batch.tasks import assign_parts, cutoffs, repurchase_task
from include.contracts.errors import TerminalError

CUT = 15_200.0


def _purchases(events: list[tuple[int, float, bool]]) -> Purchases:
    """Build purchases from (customer, day, whether it is a return)."""
    ordered = sorted(events)
    customer = np.array([event[0] for event in ordered], dtype=np.int64)
    at = np.array([event[1] for event in ordered])
    returned = np.array([event[2] for event in ordered], dtype=np.bool_)
    ones = np.ones(len(ordered))
    return Purchases(
        customer=customer,
        at=at,
        value=ones * 10,
        lines=ones * 2,
        fresh=ones,
        returned=returned,
        home=ones > 0,
        gap=repurchase._gaps(customer, at, returned),
    )


Events = st.lists(st.tuples(st.integers(1, 4), st.floats(-60, 60), st.booleans()), min_size=1, max_size=30)


@given(Events, Events)
def test_features_at_ignore_events_after_the_cutoff(
    past: list[tuple[int, float, bool]], future: list[tuple[int, float, bool]]
) -> None:
    before = [(1, CUT - 61, False), *((who, CUT - 0.001 - abs(day), back) for who, day, back in past)]
    after = [(who, CUT + abs(day), back) for who, day, back in future]
    customers, fields = features_at(_purchases(before), CUT)
    customers_too, fields_too = features_at(_purchases(before + after), CUT)
    assert np.array_equal(customers, customers_too)
    assert fields.keys() == fields_too.keys() == ENCODERS.keys()
    for name, values in fields.items():
        assert np.isfinite(values).all(), name
        assert np.array_equal(values, fields_too[name]), name


def test_outcomes_count_purchases_within_thirty_days_of_the_cutoff() -> None:
    events = [
        (1, CUT - 0.01, False),
        (2, CUT, False),
        (3, CUT + DAYS - 0.01, False),
        (4, CUT + DAYS, False),
        (5, CUT + 3, True),
    ]
    outcome = outcomes(_purchases(events), np.arange(1, 6), CUT)
    assert outcome.tolist() == [False, True, True, False, False]


def test_features_at_of_a_small_history() -> None:
    events = [(7, CUT - 40, False), (7, CUT - 10, False), (7, CUT - 10, False), (7, CUT - 5, True), (8, CUT - 1, True)]
    customers, fields = features_at(_purchases(events), CUT)
    assert customers.tolist() == [7]
    expected = {
        "recency_days": 10,
        "age_days": 40,
        "invoices": 3,
        "mean_gap_days": 15,
        "spread_gap_days": 15,
        "last_gap_days": 0,
        "days_bought": 2,
        "returns": 1,
        "value": 30,
        "invoices_14_days": 2,
        "value_30_days": 20,
        "invoices_60_days": 3,
    }
    assert {name: float(fields[name][0]) for name in expected} == pytest.approx(expected)


def test_training_outcomes_end_before_the_test_cutoff() -> None:
    test = repurchase.day(repurchase.TEST)
    assert max(cutoffs(test)) + DAYS <= test
    assert max(cutoffs(test - DAYS)) + DAYS <= test - DAYS


def test_folds_test_every_customer_once_and_never_train_on_them() -> None:
    random = np.random.default_rng(3)
    test = repurchase.day(repurchase.TEST)
    events = [(int(who), test - float(random.uniform(-29, 330)), False) for who in random.integers(1, 60, 1500)]
    purchases = _purchases(events)
    task = repurchase_task(purchases, seed=1)
    tested = np.concatenate([fold.test.group for fold in task.folds])
    assert sorted(tested.tolist()) == samples(purchases, [test]).group.tolist()
    for fold in (*task.folds, *task.origins):
        assert not set(fold.train.group.tolist()) & set(fold.test.group.tolist())


def test_training_and_selection_data_exclude_test_outcomes() -> None:
    random = np.random.default_rng(4)
    test = repurchase.day(repurchase.TEST)
    events = [(int(who), test - float(random.uniform(0.01, 330)), False) for who in random.integers(1, 60, 1500)]
    future = [(who, test + 3.0, False) for who in range(1, 60)]
    plain, changed = (repurchase_task(_purchases(some), seed=1) for some in (events, events + future))
    assert all(fold.test.y.all() for fold in changed.folds)
    assert not any(fold.test.y.any() for fold in plain.folds)
    for one, other in zip((*plain.folds, *plain.origins), (*changed.folds, *changed.origins), strict=True):
        assert np.array_equal(one.train.x, other.train.x)
        assert np.array_equal(one.train.y, other.train.y)
    assert all(np.array_equal(a.test.y, b.test.y) for a, b in zip(plain.origins, changed.origins, strict=True))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(2, 7))
def test_assign_parts_of_a_group_is_independent_of_other_groups(groups: list[int], parts: int) -> None:
    group = np.array(groups, dtype=np.int64)
    part = assign_parts(group, parts, 5)
    assert ((part >= 0) & (part < parts)).all()
    assert assign_parts(group[:1], parts, 5)[0] == part[0]


def test_assign_parts_of_one_part_leaves_no_part_empty() -> None:
    group = np.arange(700)
    part = group[assign_parts(group, 2, 42) == 0]
    assert set(assign_parts(part, 4, 42).tolist()) == set(range(4))


def _file(folder: Path, lines: list[tuple[object, ...]]) -> Path:
    path = folder / repurchase.FILE
    rows = [",".join(FIELDS), *(",".join(map(str, line)) for line in lines), ""]
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    return path


def _line(number: str, code: str, quantity: int, day: int, **other: object) -> tuple[object, ...]:
    at = datetime(2011, 3, 1, 9, 30, tzinfo=UTC) + timedelta(days=day)
    fields = (number, code, '"A, B"', quantity, f"{at:%Y-%m-%d %H:%M:%S}", 2.5, 17850, "United Kingdom")
    return tuple((dict(zip(FIELDS, fields, strict=True)) | other).values())


def test_read_aggregates_lines_to_invoices(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        [
            _line("2", "a", 4, 10),
            _line("1", "a", 2, 0),
            _line("1", "b", 1, 0),
            _line("1", "b", 1, 0),
            _line("1", "c", 1, 0, UnitPrice=0),
            _line("3", "c", 1, 3, CustomerID=""),
            _line("C4", "a", -2, 11),
            _line("5", "a", 1, 2, CustomerID=9, Country="France"),
        ],
    )
    result = repurchase.read(path)
    assert result.customer.tolist() == [9, 17850, 17850, 17850]
    assert result.value.tolist() == [2.5, 7.5, 10.0, 5.0]
    assert result.lines.tolist() == [1, 2, 1, 1]
    assert result.fresh.tolist() == [1, 2, 0, 0]
    assert result.returned.tolist() == [False, False, False, True]
    assert result.home.tolist() == [False, True, True, True]
    assert np.array_equal(result.gap, [np.nan, np.nan, 10, np.nan], equal_nan=True)
    assert result.at[0] == repurchase.day(datetime(2011, 3, 3, 9, 30, tzinfo=UTC))


def test_read_of_another_file_raises(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="--data"):
        repurchase.read(tmp_path / repurchase.FILE)
    (tmp_path / repurchase.FILE).write_bytes(gzip.compress(b"a,b\n1,2\n"))
    with pytest.raises(TerminalError, match="--data"):
        repurchase.read(tmp_path / repurchase.FILE)
    with pytest.raises(TerminalError, match="--data"):
        repurchase.read(_file(tmp_path, [_line("3", "c", 1, 3, CustomerID="")]))


def test_before_selects_the_same_rows_of_all_columns() -> None:
    result = _purchases([(1, CUT, False), (2, CUT - 1, False)]).before(CUT)
    assert result.customer.tolist() == [2]
