"""Step promote: log runs and models to MLflow, and decide whether a challenger becomes champion.

The step is crash-safe: each action is idempotent and a rerun resumes. The decision is stored before the alias champion
moves and confirmed afterwards. Moving the alias is the last action and atomic, so an earlier failure leaves the
champion unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from pymongo.collection import Collection

from include.batch.inputs import Inputs, Outputs
from include.batch.models import artifact
from include.batch.parameters import Parameters
from include.batch.registry import evidence, records, run_results, runs, tracking, versions
from include.batch.registry.evidence import Holdout
from include.batch.registry.load import CHAMPION, version
from include.batch.registry.promotion import Decision, Evidence, decide
from include.batch.registry.run_results import RunResults
from include.clients import mlflow
from include.clients.mongodb import Document

DECISION, REASONS, CONFIRMED = "showroom.decision", "showroom.reasons", "showroom.confirmed"


@dataclass(frozen=True)
class PromotionContext:
    """Stores that this step reads and writes, and the results of the run."""

    client: MlflowClient
    experiment: str
    records: Collection[Document]
    results: RunResults
    holdout: Holdout


def run(inputs: Inputs, parameters: Parameters) -> Outputs:
    """Log every model, register the challengers, decide, and move the alias champion if the decision is to promote.

    Raises:
        TerminalError: an earlier step has not run.
        TransientError: MLflow or MongoDB is unavailable.
    """
    results = run_results.read(inputs, parameters)
    client = mlflow.connect(inputs.settings.mlflow.url)
    with records.open_decisions(inputs.settings.mongodb) as collection:
        holdout = evidence.temporal_holdout(inputs)
        context = PromotionContext(client, tracking.experiment(client), collection, results, holdout)
        logged = {kind: _log_model(context, kind) for kind in results.models}
        inputs.log(f"{len(logged)} runs in MLflow")
        decisions = {}
        for name, kind, missing in _challengers(results):
            decisions[name] = _evaluate_challenger(context, name, logged.get(kind), missing)
            inputs.log(f"{name}: {decisions[name]['outcome']}: {'; '.join(decisions[name]['reasons'])}")
        current = {kind: logged_run.info.run_id for kind, logged_run in logged.items()}
        runs.cleanup(client, context.experiment, results, current, versions.needed_runs(client))
    return _summarize(inputs, context, logged, decisions)


def _challengers(results: RunResults) -> list[tuple[str, str, str]]:
    """Return registered name, kind of the challenger, and the reason if there is no challenger."""
    best = results.best()
    private = run_results.PRIVATE if run_results.PRIVATE in results.models else ""
    return [
        (versions.MODEL, best, "" if best else "only baselines were trained"),
        (versions.PRIVATE_MODEL, private, results.release.refused or "no private network was released"),
    ]


def _log_model(context: PromotionContext, kind: str) -> Run:
    digest = artifact.manifest(context.results.model(kind)).digest
    record = runs.build_run_record(context.results, kind, digest)
    return runs.log_run(context.client, context.experiment, context.results, record)


def _evaluate_challenger(context: PromotionContext, name: str, logged: Run | None, missing: str) -> dict[str, Any]:
    """Register the challenger of one name, decide on it, and apply the decision."""
    before = version(context.client, name, CHAMPION)
    if logged is None:
        metric = context.results.parameters.promotion.metric
        return _apply_decision(context, name, Evidence(challenger="", metric=metric, missing=missing), None, before)
    tags = logged.data.tags
    showroom_tags = {tag: value for tag, value in tags.items() if tag.startswith("showroom.")}
    challenger = versions.register_challenger(context.client, name, logged, tags["mlflow.note.content"], showroom_tags)
    champion = evidence.champion_status(context.client, before, challenger, context.results, context.holdout)
    collected = evidence.collect_evidence(context.results, context.holdout, tags[runs.KIND], champion)
    summary = _apply_decision(context, name, collected, challenger, before)
    versions.cleanup(context.client, name, context.results.key, challenger)
    return summary


def _apply_decision(
    context: PromotionContext,
    name: str,
    collected: Evidence,
    challenger: ModelVersion | None,
    before: ModelVersion | None,
) -> dict[str, Any]:
    """Store the decision, move the alias and confirm.

    A decision that an earlier attempt already applied is only confirmed.
    """
    key = context.results.key
    earlier = records.find_decision(context.records, name, key)
    if earlier is not None and is_already_applied(earlier, _version_number(challenger), _version_number(before)):
        decision = Decision("promoted", tuple(earlier["reasons"]))
    else:
        decision = decide(collected, max_calibration_error=context.results.parameters.promotion.max_calibration_error)
        document = _document(context.results, decision, collected, challenger, before)
        records.store(context.records, name, key, document, datetime.now(UTC))
    if challenger is not None:
        tags = {DECISION: decision.outcome, REASONS: "; ".join(decision.reasons), CONFIRMED: "false"}
        versions.tag_version(context.client, challenger, tags)
        if decision.is_promotion:
            versions.promote(context.client, challenger)
        versions.tag_version(context.client, challenger, {CONFIRMED: "true"})
    records.confirm(context.records, name, key)
    champion = challenger if decision.is_promotion else before
    return {
        "outcome": decision.outcome,
        "reasons": list(decision.reasons),
        "challenger": _version_summary(challenger),
        "champion": _version_summary(champion),
        "before": _version_summary(before),
    }


def is_already_applied(earlier: Mapping[str, Any], challenger: str, champion: str) -> bool:
    """Return whether an earlier attempt of this run has already promoted this challenger."""
    return bool(earlier["decision"] == "promoted" and earlier["challenger"] == challenger == champion != "")


def _document(
    results: RunResults,
    decision: Decision,
    collected: Evidence,
    challenger: ModelVersion | None,
    before: ModelVersion | None,
) -> dict[str, Any]:
    return {
        "decision": decision.outcome,
        "reasons": list(decision.reasons),
        "challenger": _version_number(challenger),
        "before": _version_number(before),
        "figures": msgspec.to_builtins(collected),
        "window": str(results.window),
        "data": results.training.data,
    }


def _version_number(model_version: ModelVersion | None) -> str:
    return "" if model_version is None else str(model_version.version)


def _version_summary(model_version: ModelVersion | None) -> dict[str, str] | None:
    if model_version is None:
        return None
    kind = model_version.tags.get(runs.KIND, "?")
    return {"version": str(model_version.version), "kind": kind, "run": str(model_version.run_id)}


def _summarize(
    inputs: Inputs,
    context: PromotionContext,
    logged: Mapping[str, Run],
    decisions: Mapping[str, Mapping[str, Any]],
) -> dict[str, object]:
    address = f"{inputs.settings.mlflow.url.rstrip('/')}/#/experiments/{context.experiment}"
    models, release = context.results.models, context.results.release
    return {
        "run": context.results.key,
        "models": [
            {
                "kind": kind,
                "private": models[kind].private,
                "scores": models[kind].scores,
                "intervals": msgspec.to_builtins(models[kind].intervals),
                "address": f"{address}/runs/{logged_run.info.run_id}",
            }
            for kind, logged_run in logged.items()
        ],
        "decisions": dict(decisions),
        "epsilon": {"run": release.epsilon, "spent": release.spent, "budget": release.budget},
        "address": address,
    }
