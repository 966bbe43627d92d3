"""The UCI sessions as samples: groups, splits and fields."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.batch import shoppers
from benchmarks.batch.shoppers import ALL, OUTCOME, WITHOUT_PAGE_VALUES, WITHOUT_PERIOD
from benchmarks.batch.tasks import exclude_groups, uci
from include.contracts.errors import TerminalError

MONTHS = ("Feb", "Mar", "May", "June", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _row(number: int, **other: object) -> str:
    fields = dict.fromkeys(ALL, number % 7) | {
        "ProductRelated_Duration": number * 1.5,
        "Month": MONTHS[number % len(MONTHS)],
        "OperatingSystems": 1 + number % 8,
        "VisitorType": shoppers.VISITORS[number % 3],
        "Weekend": "TRUE" if number % 2 else "FALSE",
        OUTCOME: "TRUE" if number % 3 == 0 else "FALSE",
    }
    return ",".join(str(value) for value in (fields | other).values())


def _file(folder: Path, rows: list[str]) -> Path:
    path = folder / shoppers.FILE
    path.write_text("\r\n".join([",".join((*ALL, OUTCOME)), *rows, ""]))
    return path


def test_equal_sessions_share_a_group(tmp_path: Path) -> None:
    rows = [_row(1), _row(2), _row(1, Revenue="TRUE"), _row(1), _row(2, PageValues=9)]
    data = shoppers.read(_file(tmp_path, rows))
    assert len({*data.group[[0, 2, 3]].tolist()}) == 1
    assert len(set(data.group.tolist())) == 3


def test_folds_never_share_a_group(tmp_path: Path) -> None:
    rows = [_row(number) for number in range(200)] * 2 + [_row(n, Month="Nov") for n in range(10)]
    for task in uci(shoppers.read(_file(tmp_path, rows)), seed=1):
        for fold in (*task.folds, *task.origins):
            assert not set(fold.train.group.tolist()) & set(fold.test.group.tolist())


def test_later_task_tests_later_months_only(tmp_path: Path) -> None:
    data = shoppers.read(_file(tmp_path, [_row(number) for number in range(300)]))
    month = {int(group): month for group, month in zip(data.group, data.fields["Month"], strict=True)}
    later = uci(data, seed=1)[2]
    assert {month[int(group)] for group in later.folds[0].test.group} == {11, 12}
    for fold in (*later.folds, *later.origins):
        trained, tested = ([month[int(group)] for group in side.group] for side in (fold.train, fold.test))
        assert max(trained) < min(tested)
    assert all(month[int(group)] < shoppers.TEST_FROM for fold in later.origins for group in fold.test.group)


@pytest.mark.parametrize(
    ("columns", "denied"), [(WITHOUT_PAGE_VALUES, ("PageValues",)), (WITHOUT_PERIOD, ("PageValues", "Month"))]
)
def test_excluded_field_has_no_effect(tmp_path: Path, columns: tuple[str, ...], denied: tuple[str, ...]) -> None:
    other = {"PageValues": 77, "Month": "Dec"}
    plain = shoppers.read(_file(tmp_path, [_row(number) for number in range(9)]))
    rows = [_row(number, **{name: other[name] for name in denied}) for number in range(9)]
    changed = shoppers.read(_file(tmp_path, rows))
    for attribute in ("x", "z"):
        assert np.array_equal(getattr(plain.samples(columns), attribute), getattr(changed.samples(columns), attribute))
        assert not np.array_equal(getattr(plain.samples(), attribute), getattr(changed.samples(), attribute))


def test_outcome_is_not_a_column(tmp_path: Path) -> None:
    plain = shoppers.read(_file(tmp_path, [_row(number) for number in range(9)]))
    changed = shoppers.read(_file(tmp_path, [_row(number, Revenue="TRUE") for number in range(9)]))
    assert np.array_equal(plain.samples().x, changed.samples().x)
    assert np.array_equal(plain.samples().z, changed.samples().z)
    assert np.array_equal(plain.group, changed.group)
    assert OUTCOME not in plain.samples().columns


def test_encoding_of_a_session_is_independent_of_other_sessions(tmp_path: Path) -> None:
    many = shoppers.read(_file(tmp_path, [_row(number) for number in range(50)])).samples()
    alone = shoppers.read(_file(tmp_path, [_row(17)])).samples()
    assert np.array_equal(many.x[17], alone.x[0])
    assert np.array_equal(many.z[17], alone.z[0])
    assert many.x.shape[1] == len(many.columns)
    assert np.isfinite(many.z).all()
    assert np.abs(many.z).max() <= 1


def test_exclude_groups_removes_training_rows_of_test_groups() -> None:
    group = np.array([1, 2, 1, 3, 2])
    assert exclude_groups(group, np.array([0, 1, 3]), np.array([2])).tolist() == [1, 3]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n"])
def test_read_of_another_file_raises(tmp_path: Path, text: str) -> None:
    path = tmp_path / shoppers.FILE
    with pytest.raises(TerminalError, match="--data"):
        shoppers.read(path)
    path.write_text(text)
    with pytest.raises(TerminalError, match="--data"):
        shoppers.read(path)


def test_read_with_an_unexpected_value_raises(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="Jan"):
        shoppers.read(_file(tmp_path, [_row(1, Month="Jan")]))


def test_samples_with_an_unknown_field_raises(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="Colour"):
        shoppers.read(_file(tmp_path, [_row(1)])).samples(["Colour"])
