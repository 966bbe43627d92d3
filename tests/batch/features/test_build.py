"""The feature table: independent of order and chunks, and atomic."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest

from include.batch import parameters
from include.batch.features import build, columns, table
from include.batch.features.columns import NAMES, SESSION
from include.batch.features.table import Table
from include.contracts.errors import TerminalError, TransientError
from tests.batch.documents import START, WINDOW, Document, chunks, document, shop

PARAMETERS = parameters.load()
FEATURES = PARAMETERS.features


def built(documents: Sequence[Document], folder: Path, size: int = 500) -> Table:
    return build.build(chunks(documents, size), WINDOW, FEATURES, folder)


def test_build_is_independent_of_order_and_chunks(tmp_path: Path) -> None:
    documents = shop(800, 40)
    plain = built(documents, tmp_path)
    shuffled = list(documents)
    Random(3).shuffle(shuffled)
    assert {built(shuffled, tmp_path, size).digest for size in (800, 333, 61)} == {plain.digest}
    assert len(plain) == 800
    assert list(zip(plain.started_us, plain.session_id, strict=True)) == sorted(
        zip(plain.started_us, plain.session_id, strict=True)
    )
    assert (plain.x[:, NAMES.index("earlier_visits")] > 0).sum() > 500


def test_build_keeps_rows_and_keys_aligned(tmp_path: Path) -> None:
    documents = shop(400, 30)
    result = built(documents[::-1], tmp_path, 90)
    by_id = {one["_id"]: one for one in documents}
    for at in range(len(result)):
        one = by_id[result.session_id[at]]
        assert result.user_id[at] == one["user_id"]
        assert result.made[at] == one["purchase"]["made"]
        assert result.x[at, NAMES.index("duration_s")] == one["duration_s"]
        assert result.x[at, NAMES.index("views")] == len(one["views"])
        assert START + timedelta(microseconds=int(result.started_us[at] - result.started_us[0])) - START == (
            one["started_at"] - min(other["started_at"] for other in documents)
        )


def test_digest_changes_with_the_sessions(tmp_path: Path) -> None:
    documents = shop(50, 5)
    before = built(documents, tmp_path).digest
    documents[17] = documents[17] | {"clicks": 999}
    assert built(documents, tmp_path).digest != before


def test_build_drops_duplicate_sessions(tmp_path: Path) -> None:
    documents = shop(200, 10)
    assert built([*documents, *documents[:70]], tmp_path, 64).digest == built(documents, tmp_path).digest


def test_build_keeps_two_sessions_of_equal_time(tmp_path: Path) -> None:
    result = built([document("s-b"), document("s-a")], tmp_path)
    assert result.session_id.tolist() == ["s-a", "s-b"]


def test_build_of_an_empty_window_raises(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="no session that began in"):
        built([], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_build_with_a_failing_cursor_leaves_no_files(tmp_path: Path) -> None:
    def dying() -> Iterator[Sequence[Document]]:
        yield shop(100, 5)
        raise TransientError("read sessions: connection closed", "run the step again")

    with pytest.raises(TransientError):
        build.build(dying(), WINDOW, FEATURES, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_table_round_trips_through_the_file(tmp_path: Path) -> None:
    result = built(shop(300, 20), tmp_path)
    table.write(result, tmp_path)
    assert table.read(tmp_path).digest == result.digest


def test_samples_number_users_and_scale_columns(tmp_path: Path) -> None:
    result = built(shop(300, 20), tmp_path)
    samples = columns.samples(result)
    assert samples.columns == NAMES
    assert samples.z.shape == (300, len(columns.SCALED))
    assert np.isfinite(samples.z).all()
    assert len(set(samples.group.tolist())) == 20
    for number in range(20):
        assert len(set(result.user_id[samples.group == number])) == 1
    with pytest.raises(TerminalError, match="other columns"):
        columns.samples(replace(result, columns=NAMES[1:]))


def test_names_start_with_the_session_columns() -> None:
    assert NAMES[: len(SESSION)] == tuple(column.name for column in SESSION)
