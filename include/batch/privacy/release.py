"""Step privacy: the private network, charged to the budget before it is trained, and an attack on every model."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from include.batch.context import Context
from include.batch.evaluate import split
from include.batch.evaluate.bootstrap import intervals
from include.batch.evaluate.controls import Canary, shuffled
from include.batch.evaluate.metrics import score, threshold_at_rate
from include.batch.evaluate.split import Split
from include.batch.features import columns, table
from include.batch.models import artifact
from include.batch.models.dense import DenseNetwork
from include.batch.models.model import Model
from include.batch.models.train import MODELS, PREDICTIONS
from include.batch.parameters import Models, Private
from include.batch.privacy import accountant, ledger, recompute
from include.batch.privacy.attack import Attack, Target, attack, most, target
from include.batch.privacy.entries import Entries, opened
from include.batch.privacy.ledger import BudgetSpent, Receipt
from include.batch.privacy.mechanism import Mechanism, Request, calibrate
from include.batch.privacy.noise import Noise
from include.batch.privacy.train import train
from include.batch.privacy.users import Users, users
from include.batch.samples import Floats, Samples
from include.contracts.errors import TerminalError

KIND = "private_network"
RECIPE = 1
"""To be raised with any change of the training: two outcomes with the same noise would undo it."""

NOT_COVERED = (
    "Epsilon is that of the private network's weights. Figures, attacks and the non-private models of the same run are "
    "not covered by it, nor is the number of users, which is taken for public."
)


@dataclass(frozen=True)
class Plan:
    """All that a release is a function of, beside the noise's key."""

    data: Users
    mechanism: Mechanism
    wanted: Private
    window: str
    seed: int

    @property
    def key(self) -> str:
        """SHA-256 that names the release; anything that would change a weight changes it, and with it the noise."""
        told = {
            "recipe": RECIPE,
            "data": self.data.digest,
            "mechanism": self.mechanism,
            "wanted": self.wanted,
            "window": self.window,
            "seed": self.seed,
            "versions": {name: version(name) for name in ("numpy", "scipy", "tensorflow", "tf-keras")},
        }
        return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()


def run(context: Context) -> Mapping[str, object]:
    """Release the private network unless `context.only` leaves it out, attack all models of the run; the summary.

    Reads features.parquet, split.npz and models/; writes models/private_network and its predictions. Where the budget
    is spent the summary says so (`refused`) and what was there stays. Raises SettingsError without a noise key,
    TransientError where MongoDB is away, TerminalError where an earlier step has not run.
    """
    found = table.read(context.out)
    samples, rows = columns.samples(found), split.load(context.out).temporal
    summary: dict[str, object] = {}
    if not context.only or KIND in context.only:
        with opened(context.settings) as entries:
            summary = dict(release(context, samples, rows, entries))
    kinds = [path.name for path in sorted((context.out / MODELS).glob("*/")) if path.name != KIND]
    if summary.get("model") == KIND:
        kinds.append(KIND)
    victim = target(samples, rows.train, found.started_us)
    attacks = {kind: _attacked(context, kind, victim) for kind in kinds}
    return {**summary, **_told(attacks, summary), "not_covered": NOT_COVERED}


def release(context: Context, samples: Samples, rows: Split, entries: Entries) -> Mapping[str, object]:
    """Charge, train, judge and keep the private network; its part of the summary, or why it was refused."""
    wanted = context.parameters.private
    plan = planned(samples.take(rows.train), wanted, str(context.window), context.parameters.seed)
    # Before anything is charged: without a key nothing can be released. Charged under the noise's name, not the plan's
    # key: the same plan with another noise is a second release.
    noise = Noise.of(context.settings, plan.key)
    again = checked(plan.mechanism)
    shown: dict[str, object] = {"mechanism": msgspec.to_builtins(plan.mechanism), "budget": wanted.budget}
    try:
        receipt = ledger.charge(
            entries, noise.name, plan.mechanism, str(context.window), wanted.budget, datetime.now(UTC)
        )
    except BudgetSpent as error:
        context.say(str(error))
        return {**shown, "refused": str(error)}
    context.say(_charged(receipt))
    began = time.perf_counter()
    model = train(plan.data, plan.mechanism, wanted, noise, plan.seed)
    seconds = time.perf_counter() - began
    context.say(f"trained on {len(plan.data)} users in {seconds:.1f} s")
    fit = _judged(context, plan, model, samples, rows)
    return {
        **shown,
        **msgspec.to_builtins(receipt),
        "recomputed": again,
        "model": KIND,
        "digest": _keep(context.out, model, samples, rows),
        "scores": {**fit, "seconds": round(seconds, 3)},
    }


def planned(trained: Samples, wanted: Private, window: str, seed: int) -> Plan:
    """The release of these visits. Raises SettingsError where epsilon and delta cannot be kept for so many users."""
    data = users(trained, wanted.sessions)
    request = Request(
        epsilon=wanted.epsilon,
        delta=wanted.delta,
        users=len(data),
        expected=wanted.users,
        steps=wanted.steps,
        clip=wanted.clip,
    )
    return Plan(data, calibrate(request), wanted, window, seed)


def checked(mechanism: Mechanism) -> float:
    """Epsilon by another way than the accountant's. Raises TerminalError where the two do not agree."""
    first = accountant.epsilon(mechanism)
    second = recompute.epsilon(mechanism.sigma, mechanism.rate, mechanism.steps, mechanism.delta)
    if not recompute.agrees(first, second):
        raise TerminalError(
            f"epsilon is {first:.4f} by the accountant and {second:.4f} by a second way", "release nothing; report this"
        )
    return second


def _judged(context: Context, plan: Plan, model: Model, samples: Samples, rows: Split) -> dict[str, object]:
    """Figures as those of the other kinds, on users who were never trained on.

    The threshold is where the public share of visits is called a purchase: scores of the inner part, which is of
    trained-on users, have no say in it.
    """
    test, inner, wanted = samples.take(rows.test), samples.take(rows.inner), context.parameters.evaluate
    p = model.probabilities(test)
    threshold = threshold_at_rate(p, plan.wanted.prior)
    bounds = intervals(test.y, p, test.group, wanted.draws, wanted.confidence, context.parameters.seed, threshold)
    return {
        "kind": KIND,
        "private": True,
        "scores": msgspec.to_builtins(score(test.y, p, threshold)),
        "intervals": msgspec.to_builtins(bounds),
        "inner": msgspec.to_builtins(score(inner.y, model.probabilities(inner), threshold)),
        "canary": msgspec.to_builtins(_canary(context, plan, samples, rows)),
    }


def _canary(context: Context, plan: Plan, samples: Samples, rows: Split) -> Canary:
    """The same training on outcomes dealt at random. Its weights are thrown away, so its noise need not be secret."""

    def fit(trained: Samples, inner: Samples, models: Models, seed: int) -> DenseNetwork:
        data = users(trained, plan.wanted.sessions)
        return train(data, plan.mechanism, plan.wanted, Noise(b"canary" + seed.to_bytes(8, "big", signed=True)), seed)

    trained, inner, test = (samples.take(part) for part in (rows.train, rows.inner, rows.test))
    parameters = context.parameters
    return shuffled(fit, trained, inner, test, parameters.models, parameters.evaluate.draws, parameters.seed)


def _keep(out: Path, model: Model, samples: Samples, rows: Split) -> str:
    """The model and its predictions into the run's folder; the model's digest."""
    path = out / PREDICTIONS / f"{KIND}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    found: dict[str, Floats] = {
        name: model.probabilities(samples.take(part)) for name, part in (("test", rows.test), ("inner", rows.inner))
    }
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **found)
    partial.replace(path)
    return artifact.save(model, out / MODELS / KIND, samples.columns)


def _attacked(context: Context, kind: str, victim: Target) -> Attack:
    model = artifact.load(context.out / MODELS / kind)
    found = attack(victim, model.probabilities(victim.samples), context.parameters.evaluate.confidence)
    context.say(f"membership attack on {_called(kind)}: AUC {found.auc.value:.3f}")
    return found


def _told(attacks: Mapping[str, Attack], summary: Mapping[str, object]) -> dict[str, object]:
    told = {kind: {"private": kind == KIND, **msgspec.to_builtins(found)} for kind, found in attacks.items()}
    spent, mechanism = summary.get("epsilon"), summary.get("mechanism")
    if KIND in told and isinstance(spent, float) and isinstance(mechanism, Mapping):
        told[KIND]["advantage_at_most"] = most(spent, float(mechanism["delta"]))
    rows = [
        {
            "model": _called(kind),
            "membership AUC": f"{found.auc.value:.3f} [{found.auc.low:.3f}, {found.auc.high:.3f}]",
            "advantage": f"{found.advantage.value:.3f} [{found.advantage.low:.3f}, {found.advantage.high:.3f}]",
        }
        for kind, found in attacks.items()
    ]
    return {"attack": told, "table": rows}


def _called(kind: str) -> str:
    return kind if kind == KIND else f"{kind} (not private)"


def _charged(receipt: Receipt) -> str:
    how = "was charged before" if receipt.again else "charged"
    return (
        f"epsilon {receipt.epsilon:.3f} {how}; {receipt.spent:.3f} of {receipt.budget:g} spent by "
        f"{receipt.releases} releases"
    )
