"""Step privacy: release the private network within the budget, and attack every model by membership inference."""

from collections.abc import Mapping

import msgspec

from include.batch.evaluation import splits
from include.batch.features import columns, table
from include.batch.inputs import Inputs, Outputs
from include.batch.models import artifact
from include.batch.parameters import Parameters
from include.batch.privacy.ledger_store import open_ledger
from include.batch.privacy.membership_inference import Attack, Target, attack, build_target, max_advantage
from include.batch.privacy.release import KIND, release
from include.batch.run_folder import MODELS

NOT_COVERED = (
    "Epsilon covers the weights of the private network. It does not cover metrics, attacks and the non-private models "
    "of the same run, nor the number of users, which is treated as public."
)


def run(inputs: Inputs, parameters: Parameters) -> Outputs:
    """Release the private network unless `inputs.only` excludes it, then attack all models of the run.

    Reads features.parquet, split.npz and models/; writes models/private_network and its predictions.

    Returns:
        The release, or `refused` with the reason if the budget is spent; and the attack on each model.

    Raises:
        SettingsError: the noise key is missing.
        TransientError: MongoDB is unavailable.
        TerminalError: an earlier step has not run.
    """
    features = table.read(inputs.out)
    samples, rows = columns.samples(features), splits.load(inputs.out).temporal
    summary: dict[str, object] = {}
    if not inputs.only or KIND in inputs.only:
        with open_ledger(inputs.settings.mongodb) as ledger:
            summary = dict(release(inputs, parameters, samples, rows, ledger))
    kinds = [path.name for path in sorted((inputs.out / MODELS).glob("*/")) if path.name != KIND]
    if summary.get("model") == KIND:
        kinds.append(KIND)
    target = build_target(samples, rows.train, features.started_us)
    attacks = {kind: _attack(inputs, kind, target, parameters.evaluation.confidence) for kind in kinds}
    return {**summary, **_summarize(attacks, summary), "not_covered": NOT_COVERED}


def _attack(inputs: Inputs, kind: str, target: Target, confidence: float) -> Attack:
    model = artifact.load(inputs.out / MODELS / kind)
    result = attack(target, model.probabilities(target.samples), confidence)
    inputs.log(f"membership attack on {_display_name(kind)}: AUC {result.auc.value:.3f}")
    return result


def _summarize(attacks: Mapping[str, Attack], release_summary: Mapping[str, object]) -> dict[str, object]:
    summary = {kind: {"private": kind == KIND, **msgspec.to_builtins(result)} for kind, result in attacks.items()}
    epsilon, mechanism = release_summary.get("epsilon"), release_summary.get("mechanism")
    if KIND in summary and isinstance(epsilon, float) and isinstance(mechanism, Mapping):
        summary[KIND]["advantage_at_most"] = max_advantage(epsilon, float(mechanism["delta"]))
    rows = [
        {
            "model": _display_name(kind),
            "membership AUC": f"{result.auc.value:.3f} [{result.auc.low:.3f}, {result.auc.high:.3f}]",
            "advantage": f"{result.advantage.value:.3f} [{result.advantage.low:.3f}, {result.advantage.high:.3f}]",
        }
        for kind, result in attacks.items()
    ]
    return {"attack": summary, "table": rows}


def _display_name(kind: str) -> str:
    return kind if kind == KIND else f"{kind} (not private)"
