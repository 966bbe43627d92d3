"""Inputs and outputs of a step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from include.batch.window import Window
from include.contracts.settings import Settings

Outputs = Mapping[str, object]
"""The summary of a step, written as JSON into the run's folder; the data of a step are files beside it."""


@dataclass(frozen=True)
class Inputs:
    """Inputs of one step of one run.

    Attributes:
        window: the sessions of the run.
        out: the run's folder; a step reads the files of earlier steps in it and writes its own.
        settings: addresses and keys.
        log: receives progress lines.
        oracle_auc: the best ROC-AUC that any model can reach on synthetic data; None if it is unknown.
        only: kinds of model to fit; all kinds if it is empty.
    """

    window: Window
    out: Path
    settings: Settings
    log: Callable[[str], None]
    oracle_auc: float | None = None
    only: tuple[str, ...] = ()
