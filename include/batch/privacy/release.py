"""Release the private network: charge the budget, train, evaluate and store."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from include.batch.evaluation.bootstrap import intervals
from include.batch.evaluation.leakage import ShuffledLabelCheck, shuffled_label_check
from include.batch.evaluation.metrics import score, threshold_at_rate
from include.batch.evaluation.splits import Split
from include.batch.inputs import Inputs
from include.batch.models import artifact
from include.batch.models.dense import DenseNetwork
from include.batch.models.model import Model
from include.batch.parameters import ModelParameters, Parameters, PrivateParameters
from include.batch.privacy import accountant, ledger, recompute
from include.batch.privacy.dp_sgd import train
from include.batch.privacy.ledger import BudgetSpentError, Receipt
from include.batch.privacy.ledger_store import Entries
from include.batch.privacy.mechanism import Mechanism, Request, calibrate
from include.batch.privacy.noise import Noise
from include.batch.privacy.users import Users, users
from include.batch.run_folder import MODELS, PREDICTIONS
from include.batch.samples import Floats, Samples
from include.contracts.errors import TerminalError

KIND = "private_network"
RECIPE = 1
"""Increase it with every change of the training: two models trained with the same noise would cancel the noise."""


@dataclass(frozen=True)
class Plan:
    """Everything that determines a release, except the noise key."""

    data: Users
    mechanism: Mechanism
    private: PrivateParameters
    window: str
    seed: int

    @property
    def key(self) -> str:
        """SHA-256 of the plan: any input that changes a weight changes the key, and with it the noise."""
        plan = {
            "recipe": RECIPE,
            "data": self.data.digest,
            "mechanism": self.mechanism,
            "private": self.private,
            "window": self.window,
            "seed": self.seed,
            "versions": {name: version(name) for name in ("numpy", "scipy", "tensorflow", "tf-keras")},
        }
        return hashlib.sha256(msgspec.json.encode(plan, order="deterministic")).hexdigest()


def release(
    inputs: Inputs, parameters: Parameters, samples: Samples, rows: Split, entries: Entries
) -> Mapping[str, object]:
    """Charge, train, evaluate and store the private network.

    Returns:
        The release, or `refused` with the reason if the budget does not allow it.
    """
    private = parameters.private
    plan = build_plan(samples.take(rows.train), private, str(inputs.window), parameters.seed)
    # Check the noise key before the charge, because no release is possible without it. The ledger key is the name of
    # the noise, because the same plan with other noise is a second release.
    noise = Noise.for_release(inputs.settings.batch, plan.key)
    recomputed = verify_epsilon(plan.mechanism)
    summary: dict[str, object] = {"mechanism": msgspec.to_builtins(plan.mechanism), "budget": private.budget}
    try:
        receipt = ledger.charge(
            entries, noise.name, plan.mechanism, str(inputs.window), private.budget, datetime.now(UTC)
        )
    except BudgetSpentError as error:
        inputs.log(str(error))
        return {**summary, "refused": str(error)}
    inputs.log(_charge_message(receipt))
    began = time.perf_counter()
    model = train(plan.data, plan.mechanism, private, noise, plan.seed)
    seconds = time.perf_counter() - began
    inputs.log(f"trained on {len(plan.data)} users in {seconds:.1f} s")
    evaluation = _evaluate(parameters, plan, model, samples, rows)
    return {
        **summary,
        **msgspec.to_builtins(receipt),
        "recomputed": recomputed,
        "model": KIND,
        "digest": _store(inputs.out, model, samples, rows),
        "scores": {**evaluation, "seconds": round(seconds, 3)},
    }


def build_plan(train_samples: Samples, private: PrivateParameters, window: str, seed: int) -> Plan:
    """Build the plan of a release.

    Raises:
        SettingsError: no mechanism achieves epsilon and delta for this number of users.
    """
    data = users(train_samples, private.max_sessions_per_user)
    request = Request(
        epsilon=private.epsilon,
        delta=private.delta,
        users=len(data),
        expected_users=private.users_per_step,
        steps=private.steps,
        clip=private.clip,
    )
    return Plan(data, calibrate(request), private, window, seed)


def verify_epsilon(mechanism: Mechanism) -> float:
    """Recompute epsilon with code that the accountant does not share.

    Raises:
        TerminalError: the two values differ by more than rounding.
    """
    first = accountant.epsilon(mechanism)
    second = recompute.epsilon(mechanism.sigma, mechanism.rate, mechanism.steps, mechanism.delta)
    if not recompute.agrees(first, second):
        raise TerminalError(
            f"epsilon is {first:.4f} by the accountant and {second:.4f} recomputed",
            "do not release; report the mechanism as a bug",
        )
    return second


def _evaluate(parameters: Parameters, plan: Plan, model: Model, samples: Samples, rows: Split) -> dict[str, object]:
    """Evaluate the model as the other kinds, on test users.

    The threshold is the one at which the public base rate of visits is predicted as a purchase. It is not chosen on
    the validation part, because the users of that part are trained on.
    """
    test, validation, settings = samples.take(rows.test), samples.take(rows.validation), parameters.evaluation
    p = model.probabilities(test)
    threshold = threshold_at_rate(p, plan.private.prior)
    bounds = intervals(test.y, p, test.group, settings.draws, settings.confidence, parameters.seed, threshold)
    return {
        "kind": KIND,
        "private": True,
        "scores": msgspec.to_builtins(score(test.y, p, threshold)),
        "intervals": msgspec.to_builtins(bounds),
        "validation": msgspec.to_builtins(score(validation.y, model.probabilities(validation), threshold)),
        "shuffled_label_check": msgspec.to_builtins(_shuffled_label_check(parameters, plan, samples, rows)),
    }


def _shuffled_label_check(parameters: Parameters, plan: Plan, samples: Samples, rows: Split) -> ShuffledLabelCheck:
    """Train the same way on shuffled labels. The weights are discarded, so the noise need not be secret."""

    def fit(train_samples: Samples, validation: Samples, models: ModelParameters, seed: int) -> DenseNetwork:
        data = users(train_samples, plan.private.max_sessions_per_user)
        return train(data, plan.mechanism, plan.private, Noise(b"canary" + seed.to_bytes(8, "big", signed=True)), seed)

    return shuffled_label_check(
        fit,
        samples.take(rows.train),
        samples.take(rows.validation),
        samples.take(rows.test),
        parameters.models,
        parameters.evaluation.draws,
        parameters.seed,
    )


def _store(out: Path, model: Model, samples: Samples, rows: Split) -> str:
    """Write the model and its predictions into the run's folder; return the model's digest."""
    path = out / PREDICTIONS / f"{KIND}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    predictions: dict[str, Floats] = {
        name: model.probabilities(samples.take(part))
        for name, part in (("test", rows.test), ("validation", rows.validation))
    }
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **predictions)
    partial.replace(path)
    return artifact.save(model, out / MODELS / KIND, samples.columns)


def _charge_message(receipt: Receipt) -> str:
    how = "was already charged" if receipt.is_repeat else "charged"
    return (
        f"epsilon {receipt.epsilon:.3f} {how}; {receipt.spent:.3f} of {receipt.budget:g} spent by "
        f"{receipt.releases} releases"
    )
