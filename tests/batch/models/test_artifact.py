"""Stored models: complete or rejected, with the file in the message; no code in them is executed."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from include.batch.models import artifact
from include.batch.models.baselines import Majority
from include.batch.models.dense import DenseNetwork
from include.batch.models.forest import forest
from include.contracts.errors import TerminalError
from tests.batch.factories import MODELS, samples

COLUMNS = ("c0", "c1")
RANDOM = np.random.default_rng(5)
SHAPES = ((6, 4), (4, 3), (3, 1))
WEIGHTS = tuple(RANDOM.normal(size=shape).astype(np.float32) for shape in SHAPES)
BIASES = tuple(RANDOM.normal(size=shape[1]).astype(np.float32) for shape in SHAPES)
DATA = samples(300, 1)


def sealed(folder: Path) -> None:
    """Make the manifest match the files, as an attacker would."""
    path = folder / artifact.MANIFEST
    summary = json.loads(path.read_text())
    summary["files"] = {name: artifact.sha256(folder / name) for name in summary["files"]}
    path.write_text(json.dumps(summary))


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_network_round_trips_through_the_folder(tmp_path: Path, private: bool, activation: str) -> None:
    network = DenseNetwork(WEIGHTS, BIASES, activation, private=private)  # type: ignore[arg-type]
    artifact.save(network, tmp_path / "kept", COLUMNS)
    loaded = artifact.load(tmp_path / "kept")
    assert isinstance(loaded, DenseNetwork)
    assert loaded.kind == ("private_network" if private else "network")
    assert (loaded.private, loaded.activation) == (private, activation)
    assert np.array_equal(loaded.probabilities(DATA), network.probabilities(DATA))
    assert artifact.manifest(tmp_path / "kept").columns == COLUMNS


def test_network_equals_its_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    z = DATA.z.astype(float)
    hidden = np.maximum(np.maximum(z @ WEIGHTS[0] + BIASES[0], 0) @ WEIGHTS[1] + BIASES[1], 0)
    expected = 1 / (1 + np.exp(-(hidden @ WEIGHTS[2] + BIASES[2])[:, 0]))
    assert np.allclose(DenseNetwork(WEIGHTS, BIASES).forward(DATA.z), expected)
    monkeypatch.setattr("include.batch.models.dense.CHUNK_ROWS", 7)
    assert np.allclose(DenseNetwork(WEIGHTS, BIASES).forward(DATA.z), expected)
    assert DenseNetwork(WEIGHTS, BIASES).forward(DATA.z[:0]).shape == (0,)


def test_extreme_logits_are_valid_probabilities() -> None:
    result = DenseNetwork((np.full((6, 1), 1e6, np.float32),), (np.zeros(1, np.float32),)).probabilities(DATA)
    assert np.isfinite(result).all()
    assert result.min() >= 0.0
    assert result.max() <= 1.0


@pytest.mark.parametrize(
    ("weights", "biases", "activation"),
    [
        (WEIGHTS, BIASES[:2], "relu"),
        (WEIGHTS, BIASES, "gelu"),
        (WEIGHTS[:2], BIASES[:2], "relu"),
        (WEIGHTS[::-1], BIASES[::-1], "relu"),
        ((), (), "relu"),
    ],
)
def test_network_with_mismatched_layers_raises(weights: object, biases: object, activation: str) -> None:
    with pytest.raises(ValueError, match="network"):
        DenseNetwork(weights, biases, activation)  # type: ignore[arg-type]


def test_save_replaces_the_previous_model(tmp_path: Path) -> None:
    artifact.save(DenseNetwork(WEIGHTS, BIASES), tmp_path / "kept", COLUMNS)
    artifact.save(Majority(0.25), tmp_path / "kept", COLUMNS)
    assert artifact.load(tmp_path / "kept").kind == "majority"
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["model.json", "rule.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_digest_depends_on_content_only(tmp_path: Path) -> None:
    first = artifact.save(Majority(0.25), tmp_path / "a", COLUMNS)
    assert artifact.save(Majority(0.25), tmp_path / "b", COLUMNS) == first
    assert artifact.save(Majority(0.26), tmp_path / "c", COLUMNS) != first
    assert artifact.save(Majority(0.25), tmp_path / "d", COLUMNS[::-1]) != first


@pytest.mark.parametrize("file", ["model.json", "network.npz"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped"])
def test_load_with_a_missing_or_altered_file_raises(tmp_path: Path, file: str, damage: str) -> None:
    folder = tmp_path / "kept"
    artifact.save(DenseNetwork(WEIGHTS, BIASES), folder, COLUMNS)
    whole = (folder / file).read_bytes()
    damaged = {"empty": b"", "cut": whole[:-40], "flipped": whole[:30] + b"#" + whole[31:]}
    if damage == "missing":
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(damaged[damage])
    with pytest.raises(TerminalError, match=file):
        artifact.load(folder)


def test_load_of_a_foreign_file_with_valid_checksum_raises(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    artifact.save(DenseNetwork(WEIGHTS, BIASES), folder, COLUMNS)
    (folder / "network.npz").write_bytes(b"pickled, perhaps")
    sealed(folder)
    with pytest.raises(TerminalError, match="not a model of kind network"):
        artifact.load(folder)


def test_load_of_pickled_objects_raises(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    artifact.save(DenseNetwork(WEIGHTS, BIASES), folder, COLUMNS)
    np.savez(folder / "network.npz", weight0=np.array([{}], dtype=object), activation="relu", name="network")
    sealed(folder)
    with pytest.raises(TerminalError, match="allow_pickle"):
        artifact.load(folder)


def test_load_of_a_forest_with_an_untrusted_type_raises(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    artifact.save(forest(DATA, DATA, MODELS, 7), folder, COLUMNS)
    fitted = forest(DATA, DATA, MODELS, 7).forest
    fitted.extra = Path("/")
    skops.io.dump(fitted, folder / "forest.skops")
    sealed(folder)
    with pytest.raises(TerminalError, match="PosixPath"):
        artifact.load(folder)


def test_load_of_another_estimator_as_forest_raises(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    artifact.save(forest(DATA, DATA, MODELS, 7), folder, COLUMNS)
    skops.io.dump(LogisticRegression(), folder / "forest.skops")
    sealed(folder)
    with pytest.raises(TerminalError, match="a LogisticRegression is not a random forest"):
        artifact.load(folder)


def test_forest_file_contains_no_addresses_and_timestamps(tmp_path: Path) -> None:
    artifact.save(forest(DATA, DATA, MODELS, 7), tmp_path / "kept", COLUMNS)
    with zipfile.ZipFile(tmp_path / "kept" / "forest.skops") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert all(len(entry.filename) <= 11 for entry in archive.infolist())


@pytest.mark.parametrize(("name", "value"), [("kind", "oracle"), ("format", 99), ("private", True), ("more", 1)])
def test_load_with_an_unknown_manifest_raises(tmp_path: Path, name: str, value: object) -> None:
    folder = tmp_path / "kept"
    artifact.save(DenseNetwork(WEIGHTS, BIASES), folder, COLUMNS)
    path = folder / artifact.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(TerminalError, match=r"model\.json"):
        artifact.load(folder)


def test_load_rejects_paths_outside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    artifact.save(Majority(0.25), folder, COLUMNS)
    path = folder / artifact.MANIFEST
    summary = json.loads(path.read_text())
    (tmp_path / "outside").write_bytes(b"")
    summary["files"]["../outside"] = artifact.sha256(tmp_path / "outside")
    path.write_text(json.dumps(summary))
    with pytest.raises(TerminalError, match="outside"):
        artifact.load(folder)
