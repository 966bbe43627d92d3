"""What every step is given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from include.batch.parameters import Parameters
from include.batch.window import Window
from include.contracts.settings import Settings


@dataclass(frozen=True)
class Context:
    """One step of one run: a pure function of the window's data, the parameters and their seed.

    `out` is the run's folder; `say` gets progress lines; `ceiling` is the best ROC-AUC that any model can reach,
    where the data are synthetic and it is known; `only` the kinds of model to fit, all where it is empty.
    """

    window: Window
    out: Path
    parameters: Parameters
    settings: Settings
    say: Callable[[str], None]
    ceiling: float | None = None
    only: tuple[str, ...] = ()
