"""The step features: what it writes, and which data it rejects."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from include.batch import parameters
from include.batch.evaluation import splits
from include.batch.features import source, table
from include.batch.inputs import Inputs
from include.batch.steps import features
from include.batch.window import Window
from include.contracts.errors import TerminalError
from include.contracts.settings import Settings
from tests.batch.documents import WINDOW, Document, chunks, shop

PARAMETERS = parameters.load()
Archive = Callable[[Sequence[Document]], Inputs]


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Archive:
    """Return a function that builds the step's inputs for an archive with the given documents."""

    def build_inputs(documents: Sequence[Document]) -> Inputs:
        def stream(settings: Settings, window: Window, projection: object, chunk: int) -> Iterator[Sequence[Document]]:
            yield from chunks(documents, chunk)

        monkeypatch.setattr(source, "stream", stream)
        return Inputs(WINDOW, tmp_path, Settings(), lambda _: None)

    return build_inputs


def test_run_writes_table_and_splits_and_is_repeatable(archive: Archive) -> None:
    inputs = archive(shop(3_000, 200))
    summary = features.run(inputs, PARAMETERS)
    written = table.read(inputs.out)
    assert summary["digest"] == written.digest
    assert summary["sessions"] == 3_000
    assert summary["base_rate"] == pytest.approx(written.made.mean())
    splits.check(written, splits.load(inputs.out).temporal)
    assert sorted(path.name for path in inputs.out.iterdir()) == ["features.parquet", "split.npz"]
    assert features.run(inputs, PARAMETERS) == summary


@pytest.mark.parametrize("made", [True, False])
def test_run_with_a_single_outcome_raises(archive: Archive, made: bool) -> None:
    documents = [document | {"purchase": {"made": made}} for document in shop(500, 50)]
    with pytest.raises(TerminalError, match=r"session ended in a purchase.*both outcomes"):
        features.run(archive(documents), PARAMETERS)


def test_run_with_a_leaking_column_raises_and_writes_nothing(archive: Archive) -> None:
    """The source changes the clicks of a visit after its purchase."""
    documents = [
        document | {"clicks": 400 + number % 9 if document["purchase"]["made"] else number % 300}
        for number, document in enumerate(shop(2_000, 150))
    ]
    inputs = archive(documents)
    with pytest.raises(TerminalError, match="clicks"):
        features.run(inputs, PARAMETERS)
    assert not (inputs.out / table.FILE).exists()
