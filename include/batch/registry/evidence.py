"""Evidence for or against a challenger, measured on the same temporal holdout as champion and baselines."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from include.batch.evaluation import splits
from include.batch.evaluation.bootstrap import paired_interval
from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.features import columns, table
from include.batch.inputs import Inputs
from include.batch.models.model import BASELINES
from include.batch.registry.load import fetch
from include.batch.registry.promotion import ChampionStatus, Evidence
from include.batch.registry.run_results import RunResults
from include.batch.registry.runs import DIGEST, TRAINED_UNTIL
from include.batch.run_folder import PREDICTIONS
from include.batch.samples import Floats, Samples
from include.contracts.errors import TerminalError


@dataclass(frozen=True)
class Holdout:
    """The temporal holdout of a run: its test rows, and the folder with the predictions on them."""

    test: Samples
    folder: Path

    def load_probabilities(self, kind: str) -> Floats:
        """Return the (n,) probabilities of one kind of this run.

        Raises:
            TerminalError: the predictions are missing or do not fit the test rows.
        """
        path = self.folder / PREDICTIONS / f"{kind}.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                probabilities = cast("Floats", arrays["test"].astype(np.float64))
        except (OSError, ValueError, KeyError) as error:
            raise TerminalError(f"reading {path} failed: {type(error).__name__}", "run the step train again") from error
        if probabilities.shape != self.test.y.shape:
            raise TerminalError(
                f"{path} has {probabilities.shape} predictions for {self.test.y.shape} visits",
                "run the step train again",
            )
        return probabilities


@dataclass(frozen=True)
class Champion:
    """The champion: its status, and its probabilities on the holdout if it is comparable."""

    status: ChampionStatus
    detail: str = ""
    probabilities: Floats | None = None


def temporal_holdout(inputs: Inputs) -> Holdout:
    """Load the temporal holdout of a run.

    Raises:
        TerminalError: the step features has not run.
    """
    samples = columns.samples(table.read(inputs.out))
    return Holdout(samples.take(splits.load(inputs.out).temporal.test), inputs.out)


def collect_evidence(results: RunResults, holdout: Holdout, kind: str, champion: Champion) -> Evidence:
    """Compare the challenger `kind` of this run with the baselines and the champion."""
    challenger = holdout.load_probabilities(kind)
    metric = results.parameters.promotion.metric
    return Evidence(
        challenger=kind,
        metric=metric,
        gains_over_baselines={
            name: _paired_gain(results, holdout, challenger, holdout.load_probabilities(name))
            for name in BASELINES
            if name in results.training.models
        },
        gain_over_champion=None
        if champion.probabilities is None
        else _paired_gain(results, holdout, challenger, champion.probabilities),
        champion_status=champion.status,
        champion_detail=champion.detail,
        calibration_error=results.models[kind].scores["calibration_error"],
        shuffled_label_check=results.shuffled_label_check,
        above_oracle_auc=kind in results.training.above_oracle_auc,
    )


def champion_status(
    client: MlflowClient, champion: ModelVersion | None, challenger: ModelVersion, results: RunResults, holdout: Holdout
) -> Champion:
    """Determine whether the champion can be compared with this run, and score it if so.

    Raises:
        TransientError: MLflow is unavailable.
    """
    if champion is None:
        return Champion("none")
    if champion.tags.get(DIGEST) == challenger.tags.get(DIGEST):
        return Champion("same")
    reason = overlap_reason(champion.tags.get(TRAINED_UNTIL, ""), results.cut)
    if reason:
        return Champion("trained_past", reason)
    try:
        model, manifest = fetch(client, champion)
    except TerminalError as error:
        return Champion("unreadable", error.message)
    if manifest.columns != holdout.test.columns:
        return Champion("other_columns", f"{len(manifest.columns)} instead of {len(holdout.test.columns)}")
    return Champion("comparable", probabilities=model.probabilities(holdout.test))


def overlap_reason(until: str, cut: datetime) -> str:
    """Return why a model trained on visits before `until` cannot be tested from `cut` on; empty if it can."""
    try:
        return f"until {until}, tested from {cut.isoformat()}" if datetime.fromisoformat(until) > cut else ""
    except (ValueError, TypeError):
        return f"its version has no valid tag {TRAINED_UNTIL} ({until or 'no tag'})"


def _paired_gain(results: RunResults, holdout: Holdout, new: Floats, old: Floats) -> ConfidenceInterval:
    parameters = results.parameters
    return paired_interval(
        holdout.test.y,
        new,
        old,
        holdout.test.group,
        parameters.promotion.metric,
        parameters.evaluation.draws,
        parameters.promotion.confidence,
        parameters.seed,
    )
