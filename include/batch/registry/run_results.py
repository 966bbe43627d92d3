"""Results of the earlier steps of a run, read from its folder."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.evaluation.leakage import ShuffledLabelCheck
from include.batch.inputs import Inputs
from include.batch.models.model import BASELINES
from include.batch.parameters import Parameters
from include.batch.registry.promotion import CHANCE
from include.batch.run_folder import MODELS
from include.batch.window import Window
from include.contracts.errors import TerminalError

PRIVATE = "private_network"


class ModelResult(Struct, frozen=True, kw_only=True):
    """Metrics of one model: on the temporal holdout (`scores`), the validation part and the random split."""

    kind: str
    private: bool = False
    scores: dict[str, float]
    intervals: dict[str, ConfidenceInterval] = {}
    validation: dict[str, float] = {}
    random: dict[str, float] = {}
    shuffled_label_check: ShuffledLabelCheck | None = None


class TrainingResults(Struct, frozen=True, kw_only=True):
    """Fields of train.json that are logged."""

    data: str
    rows: dict[str, int]
    models: dict[str, ModelResult]
    digests: dict[str, str]
    above_oracle_auc: tuple[str, ...] = ()


class ReleaseResults(Struct, frozen=True, kw_only=True):
    """Fields of privacy.json. `refused` is the reason why there is no private network; empty if there is one."""

    mechanism: dict[str, Any] | None = None
    epsilon: float | None = None
    spent: float | None = None
    budget: float | None = None
    refused: str | None = None
    attack: dict[str, Any] | None = None
    scores: dict[str, Any] | None = None
    intervals: dict[str, ConfidenceInterval] = {}


class RunResults(Struct, frozen=True, kw_only=True):
    """A run: its inputs, its models, its private release and its explanations."""

    window: Window
    cut: datetime
    parameters: Parameters
    training: TrainingResults
    release: ReleaseResults
    explanations: dict[str, Any]
    folder: Path

    @property
    def key(self) -> str:
        """The id of the run.

        A rerun with the same window and parameters has the same key and replaces the results.
        """
        content = f"{self.window}\n".encode() + msgspec.json.encode(self.parameters, order="deterministic")
        return hashlib.sha256(content).hexdigest()[:16]

    @property
    def models(self) -> Mapping[str, ModelResult]:
        """Kind -> metrics, including the private network if there is one."""
        private = _private(self.release)
        return self.training.models | ({PRIVATE: private} if private is not None else {})

    @property
    def shuffled_label_check(self) -> ConfidenceInterval | None:
        """The worst shuffled-label check of the run, None without any; a failed check invalidates all metrics."""
        checks = [model.shuffled_label_check for model in self.models.values()]
        intervals = [check.roc_auc for check in checks if check is not None]
        failed = [interval for interval in intervals if not interval.contains(CHANCE)]
        return next(iter(failed or intervals), None)

    def model(self, kind: str) -> Path:
        """Return the folder of a fitted model."""
        return self.folder / MODELS / kind

    def best(self) -> str:
        """Return the best kind on the validation rows; empty if there is none.

        Private models and baselines are excluded.
        """
        metric = self.parameters.promotion.metric
        candidates = [
            kind for kind, model in self.training.models.items() if kind not in BASELINES and not model.private
        ]
        return max(
            candidates, key=lambda kind: self.training.models[kind].validation.get(metric, float("-inf")), default=""
        )


def read(inputs: Inputs, parameters: Parameters) -> RunResults:
    """Read the results in `inputs.out`.

    Raises:
        TerminalError: train.json, privacy.json or explain.json is missing or invalid.
    """
    return RunResults(
        window=inputs.window,
        cut=inputs.window.cut(parameters.split.test_days),
        parameters=parameters,
        training=_decode(inputs.out / "train.json", TrainingResults, "train"),
        release=_decode(inputs.out / "privacy.json", ReleaseResults, "privacy"),
        explanations=_decode(inputs.out / "explain.json", dict[str, Any], "explain"),
        folder=inputs.out,
    )


def _decode(path: Path, kind: Any, step: str) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise TerminalError(f"reading {path} failed: {error}", f"run the step {step} first") from error


def _private(release: ReleaseResults) -> ModelResult | None:
    if release.refused or release.scores is None:
        return None
    scores = release.scores if "scores" in release.scores else {"scores": release.scores}
    intervals = {name: msgspec.to_builtins(interval) for name, interval in release.intervals.items()}
    return msgspec.convert({"intervals": intervals, **scores, "kind": PRIVATE, "private": True}, ModelResult)
