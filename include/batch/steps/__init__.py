"""Steps of a nightly run: one module per task of the DAG, each with `run(inputs, parameters)`.

A module is imported only when its step runs, because some steps import heavy libraries.
"""

from collections.abc import Callable
from importlib import import_module

from include.batch.inputs import Inputs, Outputs
from include.batch.parameters import Parameters

Step = Callable[[Inputs, Parameters], Outputs]

STEPS: tuple[str, ...] = ("features", "similar", "neighbours", "train", "privacy", "explain", "promote")
"""Names of the steps, in an order in which every step runs after the steps whose files it reads."""


def load_step(name: str) -> Step:
    """Import the module of a step and return its function `run`."""
    run: Step = import_module(f"{__name__}.{name}").run
    return run
