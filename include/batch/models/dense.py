"""A trained dense network as plain arrays; scoring needs NumPy only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

from include.batch.samples import Floats, Matrix, Samples

Activation = Literal["relu", "tanh"]
ACTIVATIONS: tuple[Activation, ...] = ("relu", "tanh")
FILE = "network.npz"
CHUNK_ROWS = 65_536
"""Rows per forward pass."""


@dataclass(frozen=True)
class DenseNetwork:
    """Dense layers on `Samples.z`, an activation after each layer except the last, and one logit.

    `weights[i]` (in, out) and `biases[i]` (out,) are float32. Without a hidden layer it is a logistic regression. A
    `private` network is of kind `private_network`, any other of the kind `name`.
    """

    weights: tuple[Matrix, ...]
    biases: tuple[Matrix, ...]
    activation: Activation = "relu"
    private: bool = False
    name: str = "network"

    def __post_init__(self) -> None:
        """Validate the layers.

        Raises:
            ValueError: the shapes of the layers do not match.
        """
        if self.activation not in ACTIVATIONS or not self.weights or len(self.weights) != len(self.biases):
            raise ValueError("a network needs as many biases as weights, and a supported activation")
        outs = [layer.shape[1] for layer in self.weights]
        ins = [layer.shape[0] for layer in self.weights]
        if ins[1:] != outs[:-1] or outs[-1] != 1 or [bias.shape for bias in self.biases] != [(out,) for out in outs]:
            raise ValueError("the layers of the network have mismatched shapes")

    @property
    def kind(self) -> str:
        """`private_network`, or the name."""
        return "private_network" if self.private else self.name

    def logits(self, z: Matrix) -> Floats:
        """Return (n,) log-odds of a purchase for scaled columns (n, e)."""
        chunks = [self._forward(z[at : at + CHUNK_ROWS]) for at in range(0, len(z), CHUNK_ROWS)]
        return np.concatenate(chunks) if chunks else np.empty(0)

    def forward(self, z: Matrix) -> Floats:
        """Return (n,) probabilities for scaled columns (n, e)."""
        return 0.5 * (1.0 + np.tanh(0.5 * self.logits(z)))

    def probabilities(self, samples: Samples) -> Floats:
        """Return the (n,) probability of a purchase."""
        return self.forward(samples.z)

    def write(self, folder: Path) -> None:
        """Write network.npz."""
        arrays = {f"weight{i}": layer for i, layer in enumerate(self.weights)}
        arrays |= {f"bias{i}": layer for i, layer in enumerate(self.biases)}
        with (folder / FILE).open("wb") as file:
            np.savez(file, allow_pickle=False, activation=np.array(self.activation), name=np.array(self.kind), **arrays)

    @classmethod
    def read(cls, folder: Path) -> "DenseNetwork":
        """Read what `write` wrote.

        Raises:
            OSError, KeyError, ValueError: the file is missing or invalid.
        """
        with np.load(folder / FILE, allow_pickle=False) as arrays:
            depth = sum(name.startswith("weight") for name in arrays.files)
            name = str(arrays["name"])
            return cls(
                weights=tuple(arrays[f"weight{i}"].astype(np.float32) for i in range(depth)),
                biases=tuple(arrays[f"bias{i}"].astype(np.float32) for i in range(depth)),
                activation=cast("Activation", str(arrays["activation"])),
                private=name == "private_network",
                name=name if name != "private_network" else "network",
            )

    def _forward(self, z: Matrix) -> Floats:
        layer = z.astype(np.float64)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            layer = layer @ weight.astype(np.float64) + bias
            layer = np.tanh(layer) if self.activation == "tanh" else np.maximum(layer, 0.0)
        return (layer @ self.weights[-1].astype(np.float64) + self.biases[-1])[:, 0]
