"""What the steps before left in a run's folder, read back as one object."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from include.batch.context import Context
from include.batch.models.model import BASELINES
from include.batch.parameters import Parameters
from include.batch.track.decide import CHANCE, Margin
from include.batch.window import Window
from include.contracts.errors import TerminalError

PRIVATE = "private_network"


class Canary(Struct, frozen=True):
    """ROC-AUC of the kind on dealt labels."""

    roc_auc: Margin


class Fit(Struct, frozen=True, kw_only=True):
    """One fitted kind: figures on the later window, on the inner part (`inner`) and on the random split (`random`)."""

    kind: str
    private: bool = False
    scores: dict[str, float]
    intervals: dict[str, Margin] = {}
    inner: dict[str, float] = {}
    random: dict[str, float] = {}
    canary: Canary | None = None


class Trained(Struct, frozen=True, kw_only=True):
    """train.json: of it what is tracked."""

    data: str
    rows: dict[str, int]
    models: dict[str, Fit]
    digests: dict[str, str]
    above_ceiling: tuple[str, ...] = ()


class Released(Struct, frozen=True, kw_only=True):
    """privacy.json. `refused` says why there is no private network, empty where there is one."""

    mechanism: dict[str, Any] | None = None
    epsilon: float | None = None
    spent: float | None = None
    budget: float | None = None
    refused: str | None = None
    attack: dict[str, Any] | None = None
    scores: dict[str, Any] | None = None
    intervals: dict[str, Margin] = {}


class Night(Struct, frozen=True, kw_only=True):
    """A run: what it is a function of, what it fitted, what was released privately, how it was explained."""

    window: Window
    cut: datetime
    parameters: Parameters
    trained: Trained
    released: Released
    explained: dict[str, Any]
    folder: Path

    @property
    def key(self) -> str:
        """Names the run: the same window and parameters are the same run, and replace what it left before."""
        told = f"{self.window}\n".encode() + msgspec.json.encode(self.parameters, order="deterministic")
        return hashlib.sha256(told).hexdigest()[:16]

    @property
    def fits(self) -> Mapping[str, Fit]:
        """Kind -> its figures, the private network among them where there is one."""
        found = dict(self.trained.models)
        private = _private(self.released)
        return found | {PRIVATE: private} if private is not None else found

    @property
    def canary(self) -> Margin | None:
        """The worst of the run: one that is not at chance discredits every figure; None where none was measured."""
        found = [fit.canary.roc_auc for fit in self.fits.values() if fit.canary is not None]
        wrong = [margin for margin in found if not margin.low <= CHANCE <= margin.high]
        return next(iter(wrong or found), None)

    def model(self, kind: str) -> Path:
        """The folder of a fitted model."""
        return self.folder / "models" / kind

    def best(self) -> str:
        """The best kind that is not private and not trivial, chosen on the inner rows; empty where there is none."""
        metric = self.parameters.promotion.metric
        rivals = [kind for kind, fit in self.trained.models.items() if kind not in BASELINES and not fit.private]
        return max(rivals, key=lambda kind: self.trained.models[kind].inner.get(metric, float("-inf")), default="")


def read(context: Context) -> Night:
    """The run in `context.out`. Raises TerminalError where train.json or privacy.json is missing or another run's."""
    return Night(
        window=context.window,
        cut=context.window.cut(context.parameters.split.test_days),
        parameters=context.parameters,
        trained=_decode(context.out / "train.json", Trained, "train"),
        released=_decode(context.out / "privacy.json", Released, "privacy"),
        explained=_decode(context.out / "explain.json", dict[str, Any], "explain"),
        folder=context.out,
    )


def _decode(path: Path, kind: Any, step: str) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise TerminalError(f"{path} cannot be read ({error})", f"run the step {step} first") from error


def _private(released: Released) -> Fit | None:
    if released.refused or released.scores is None:
        return None
    told = released.scores if "scores" in released.scores else {"scores": released.scores}
    limits = {name: msgspec.to_builtins(margin) for name, margin in released.intervals.items()}
    return msgspec.convert({"intervals": limits, **told, "kind": PRIVATE, "private": True}, Fit)
