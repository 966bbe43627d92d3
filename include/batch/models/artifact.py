"""Model artefacts: a folder with model.json, which lists the kind and the SHA-256 of each file; no pickles."""

import hashlib
import platform
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct

from include.batch.models.baselines import Majority, OneRule
from include.batch.models.boost import BoostModel
from include.batch.models.dense import DenseNetwork
from include.batch.models.forest import ForestModel
from include.batch.models.model import Model
from include.contracts.errors import TerminalError

MANIFEST = "model.json"
FORMAT = 1
_REMEDY = "fit the model again, or restore the folder from a copy"
_LIBRARIES = ("numpy", "scikit-learn", "xgboost-cpu", "skops")

READERS: dict[str, Callable[[Path], Model]] = {
    "majority": Majority.read,
    "one_rule": OneRule.read,
    "logistic": DenseNetwork.read,
    "forest": ForestModel.read,
    "boost": BoostModel.read,
    "network": DenseNetwork.read,
    "private_network": DenseNetwork.read,
}
"""Kind of model -> reader of its files."""


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of model.json.

    `columns` are those of `Samples.x`, `files` maps names to SHA-256, `versions` are those of the libraries that wrote
    it.
    """

    format: int
    kind: str
    private: bool
    columns: tuple[str, ...]
    files: dict[str, str]
    versions: dict[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 over kind, columns and files: equal digests, equal models, whichever versions wrote them."""
        content = "\n".join([self.kind, *self.columns, *(f"{name} {self.files[name]}" for name in sorted(self.files))])
        return hashlib.sha256(content.encode()).hexdigest()


def save(model: Model, folder: Path, columns: tuple[str, ...]) -> str:
    """Write a model as `folder`, atomically replacing an earlier one; return its digest."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.write(partial)
    written = Manifest(
        format=FORMAT,
        kind=model.kind,
        private=model.private,
        columns=columns,
        files={path.name: sha256(path) for path in sorted(partial.iterdir())},
        versions={"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    )
    (partial / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=1) + b"\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return written.digest


def manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder and verify its files.

    Raises:
        TerminalError: a file is missing or altered; the message names it.
    """
    path = folder / MANIFEST
    try:
        decoded = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise TerminalError(f"{path} is missing, so {folder.name} is not a model", _REMEDY) from error
    except (OSError, msgspec.MsgspecError) as error:
        raise TerminalError(f"reading {path} failed: {error}", _REMEDY) from error
    if decoded.format != FORMAT or decoded.kind not in READERS:
        raise TerminalError(
            f"{path} is of format {decoded.format}, kind {decoded.kind!r}: not supported by this version", _REMEDY
        )
    for name, expected in decoded.files.items():
        _check(folder, name, expected)
    return decoded


def load(folder: Path) -> Model:
    """Load the model of a folder.

    Raises:
        TerminalError: a file is missing, altered or of another kind; the message names it.
    """
    expected = manifest(folder)
    try:
        model = READERS[expected.kind](folder)
    except Exception as error:  # each library raises its own errors
        raise TerminalError(f"{folder}: not a model of kind {expected.kind} ({error})", _REMEDY) from error
    if (model.kind, model.private) != (expected.kind, expected.private):
        raise TerminalError(
            f"{folder}: {MANIFEST} has the kind {expected.kind}, the files have the kind {model.kind}", _REMEDY
        )
    return model


def _check(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise TerminalError(f"{path} is missing", _REMEDY)
    if sha256(path) != expected:
        raise TerminalError(f"{path} was altered: its SHA-256 differs", _REMEDY)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
