"""What speaks for and against a challenger, measured on the same later visits as the champion and the baselines."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from include.batch.context import Context
from include.batch.evaluate import split
from include.batch.evaluate.bootstrap import paired
from include.batch.features import columns, table
from include.batch.models.model import BASELINES
from include.batch.samples import Floats, Samples
from include.batch.track.decide import Evidence, Margin, Standing
from include.batch.track.load import fetch
from include.batch.track.night import Night
from include.batch.track.runs import DIGEST, TRAINED_UNTIL
from include.contracts.errors import TerminalError


@dataclass(frozen=True)
class Later:
    """The later window: visits that no model of this run was trained on, and where their predictions are."""

    test: Samples
    folder: Path

    def predicted(self, kind: str) -> Floats:
        """(n,) probabilities of one kind of this run. Raises TerminalError where they are missing or of others."""
        path = self.folder / "predictions" / f"{kind}.npz"
        try:
            with np.load(path, allow_pickle=False) as found:
                predicted = cast("Floats", found["test"].astype(np.float64))
        except (OSError, ValueError, KeyError) as error:
            raise TerminalError(
                f"{path} cannot be read ({type(error).__name__})", "run the step train again"
            ) from error
        if predicted.shape != self.test.y.shape:
            raise TerminalError(f"{path} is of {predicted.shape} visits, not {self.test.y.shape}", "run train again")
        return predicted


@dataclass(frozen=True)
class Champion:
    """What is known of the champion: how it stands, and its probabilities on the later window where they compare."""

    standing: Standing
    detail: str = ""
    predicted: Floats | None = None


def later(context: Context) -> Later:
    """The later window of a run. Raises TerminalError where the step features has not run."""
    samples = columns.samples(table.read(context.out))
    return Later(samples.take(split.load(context.out).temporal.test), context.out)


def gather(night: Night, window: Later, kind: str, champion: Champion) -> Evidence:
    """The evidence for the challenger `kind` of this run."""
    challenger = window.predicted(kind)
    metric = night.parameters.promotion.metric
    return Evidence(
        challenger=kind,
        metric=metric,
        over_baselines={
            name: _margin(night, window, challenger, window.predicted(name))
            for name in BASELINES
            if name in night.trained.models
        },
        over_champion=None if champion.predicted is None else _margin(night, window, challenger, champion.predicted),
        standing=champion.standing,
        standing_detail=champion.detail,
        calibration_error=night.fits[kind].scores["calibration_error"],
        canary=night.canary,
        above_ceiling=kind in night.trained.above_ceiling,
    )


def stand(
    client: MlflowClient, champion: ModelVersion | None, challenger: ModelVersion, night: Night, window: Later
) -> Champion:
    """How the champion stands to this run. Raises TransientError where MLflow goes away meanwhile."""
    if champion is None:
        return Champion("none")
    if champion.tags.get(DIGEST) == challenger.tags.get(DIGEST):
        return Champion("same")
    late = trained_past(champion.tags.get(TRAINED_UNTIL, ""), night.cut)
    if late:
        return Champion("trained_past", late)
    try:
        model, manifest = fetch(client, champion)
    except TerminalError as error:
        return Champion("unreadable", error.message)
    if manifest.columns != window.test.columns:
        return Champion("other_columns", f"{len(manifest.columns)} instead of {len(window.test.columns)}")
    return Champion("comparable", predicted=model.probabilities(window.test))


def trained_past(until: str, cut: datetime) -> str:
    """Why a model that was trained on visits before `until` cannot be tested from `cut` on; empty where it can."""
    try:
        return f"until {until}, tested from {cut.isoformat()}" if datetime.fromisoformat(until) > cut else ""
    except (ValueError, TypeError):
        return f"its version does not say until when ({until or 'no tag'})"


def _margin(night: Night, window: Later, new: Floats, old: Floats) -> Margin:
    wanted = night.parameters
    found = paired(
        window.test.y,
        new,
        old,
        window.test.group,
        wanted.promotion.metric,
        wanted.evaluate.draws,
        wanted.promotion.confidence,
        wanted.seed,
    )
    return Margin(found.value, found.low, found.high)
