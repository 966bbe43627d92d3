"""MLflow "models from code" entry point of a logged model; it imports this project and loads no pickle."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from include.batch.features import columns
from include.batch.models import artifact
from include.batch.samples import Floats, Matrix, Samples


class Scorer(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """Map the columns of the feature table, NaN if unknown, to probabilities of a purchase."""

    def load_context(self, context: Any) -> None:
        """Load the model's folder.

        Raises:
            TerminalError: a file is missing or corrupt.
        """
        folder = Path(context.artifacts["model"])
        self.columns = list(artifact.manifest(folder).columns)
        self.model = artifact.load(folder)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Floats:
        """Return (n,) probabilities of n rows."""
        x: Matrix = model_input[self.columns].to_numpy(dtype=np.float32)
        rows = len(x)
        samples = Samples(x, columns.scale(x), np.zeros(rows, dtype=np.bool_), np.arange(rows), tuple(self.columns))
        return self.model.probabilities(samples)


mlflow.models.set_model(Scorer())
