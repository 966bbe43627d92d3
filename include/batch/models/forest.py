"""A random forest by scikit-learn."""

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import skops.io
from sklearn.ensemble import RandomForestClassifier

from include.batch.parameters import ModelParameters
from include.batch.samples import Floats, Samples

FILE = "forest.skops"
TRUSTED = ["numpy.dtype", "sklearn.tree._tree.Tree"]
"""Trusted types of a forest beside skops' own; a file with any other type is rejected."""
THREADS = 2
MAX_ROWS_PER_TREE = 10_000
"""Maximum rows per tree, so that the time of a fit does not grow with the archive."""
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_SCHEMA = "schema.json"
_ARRAY = re.compile(r'"(\d+\.npy)"')


@dataclass(frozen=True)
class ForestModel:
    """A random forest on the unscaled columns; NaN takes the learnt branch."""

    forest: RandomForestClassifier
    kind: ClassVar[str] = "forest"
    private: ClassVar[bool] = False

    def probabilities(self, samples: Samples) -> Floats:
        """Return the (n,) probability of a purchase: mean over the trees."""
        return np.asarray(self.forest.predict_proba(samples.x)[:, 1], dtype=np.float64)

    def write(self, folder: Path) -> None:
        """Write forest.skops: equal forests give equal bytes."""
        (folder / FILE).write_bytes(_canonical(skops.io.dumps(self.forest)))

    @classmethod
    def read(cls, folder: Path) -> "ForestModel":
        """Read what `write` wrote.

        Raises:
            TypeError: the file stores another type.
            Exception: errors of zipfile and skops for an invalid file.
        """
        loaded = skops.io.load(folder / FILE, trusted=TRUSTED)
        if not isinstance(loaded, RandomForestClassifier):
            raise TypeError(f"a {type(loaded).__name__} is not a random forest")
        return cls(loaded)


def forest(train: Samples, validation: Samples, parameters: ModelParameters, seed: int) -> ForestModel:
    """Fit a forest; Breiman, Machine Learning 45 (2001). `validation` is not used."""
    settings = parameters.forest
    fitted = RandomForestClassifier(
        n_estimators=settings.n_estimators,
        max_depth=settings.max_depth,
        min_samples_leaf=settings.min_samples_leaf,
        max_samples=min(len(train), MAX_ROWS_PER_TREE),
        n_jobs=THREADS,
        random_state=seed % 2**32,
    )
    fitted.fit(train.x, train.y)
    # Threads would add the trees' probabilities in a non-deterministic order.
    return ForestModel(fitted.set_params(n_jobs=1))


def _canonical(written: bytes) -> bytes:
    """Return the archive without object addresses and timestamps, which differ between equal forests."""
    numbers: dict[int, int] = {}

    def renumber(part: dict[str, Any]) -> dict[str, Any]:
        if "__id__" in part:
            part["__id__"] = numbers.setdefault(part["__id__"], len(numbers) + 1)
        return part

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(written)) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        schema = json.loads(archive.read(_SCHEMA), object_hook=renumber)
        arrays = {name: _array_name(name, numbers) for name in archive.namelist() if name != _SCHEMA}
        for name in sorted(arrays, key=lambda name: arrays[name]):
            new.writestr(zipfile.ZipInfo(arrays[name], _ZIP_EPOCH), archive.read(name), zipfile.ZIP_DEFLATED)
        text = _ARRAY.sub(lambda match: f'"{_array_name(match[1], numbers)}"', json.dumps(schema))
        new.writestr(zipfile.ZipInfo(_SCHEMA, _ZIP_EPOCH), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _array_name(name: str, numbers: dict[int, int]) -> str:
    """Return the canonical file name of an array; skops names the file after the array's address."""
    return f"{numbers[int(name.removesuffix('.npy'))]:07d}.npy"
