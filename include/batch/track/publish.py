"""Step promote: runs and models into MLflow, and the decision who is champion.

Every line may be the last: a rerun finds what is there and goes on. The decision is stored before the alias champion
moves and confirmed after it, and the alias moves last, at once; whatever fails before leaves the champion as it was.
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

from include.batch.context import Context
from include.batch.models import artifact
from include.batch.track import evidence, night, records, runs, tracking, versions
from include.batch.track.decide import Decision, Evidence, decide
from include.batch.track.evidence import Later
from include.batch.track.load import CHAMPION, version
from include.batch.track.night import Night
from include.clients import mlflow
from include.clients.mongodb import Document

DECISION, REASONS, CONFIRMED = "showroom.decision", "showroom.reasons", "showroom.confirmed"


@dataclass(frozen=True)
class Desk:
    """Where this step reads and writes."""

    client: MlflowClient
    experiment: str
    records: Collection[Document]
    night: Night
    later: Later


def run(context: Context) -> Mapping[str, object]:
    """Log every fit, register the challengers, decide, and move the champion where the decision says so.

    Raises TerminalError where the steps before have not run, TransientError where MLflow or MongoDB is away.
    """
    found = night.read(context)
    client = mlflow.connect(context.settings.mlflow_url)
    with records.opened(context.settings) as collection:
        desk = Desk(client, tracking.experiment(client), collection, found, evidence.later(context))
        logged = {kind: _log(desk, kind) for kind in found.fits}
        context.say(f"{len(logged)} runs in MLflow")
        told = {}
        for name, kind, missing in _challengers(found):
            told[name] = _settle(desk, name, logged.get(kind), missing)
            context.say(f"{name}: {told[name]['outcome']}: {'; '.join(told[name]['reasons'])}")
        kept = {kind: logged_run.info.run_id for kind, logged_run in logged.items()}
        runs.sweep(client, desk.experiment, found, kept, versions.needed_runs(client))
    return _summary(context, desk, logged, told)


def _challengers(found: Night) -> list[tuple[str, str, str]]:
    """Registered name, kind of its challenger, and why there is none where there is none."""
    best = found.best()
    private = night.PRIVATE if night.PRIVATE in found.fits else ""
    return [
        (versions.MODEL, best, "" if best else "only baselines were trained"),
        (versions.PRIVATE_MODEL, private, found.released.refused or "no private network was released"),
    ]


def _log(desk: Desk, kind: str) -> Run:
    digest = artifact.manifest(desk.night.model(kind)).digest
    return runs.log(desk.client, desk.experiment, desk.night, runs.entry(desk.night, kind, digest))


def _settle(desk: Desk, name: str, logged: Run | None, missing: str) -> dict[str, Any]:
    """Register the challenger of one name, decide about it, and put the decision into force."""
    before = version(desk.client, name, CHAMPION)
    if logged is None:
        lacking = Evidence(challenger="", metric=desk.night.parameters.promotion.metric, missing=missing)
        return _enforce(desk, name, lacking, None, before)
    kind = logged.data.tags[runs.KIND]
    passed_on = {tag: value for tag, value in logged.data.tags.items() if tag.startswith("showroom.")}
    challenger = versions.challenge(desk.client, name, logged, logged.data.tags["mlflow.note.content"], passed_on)
    stand = evidence.stand(desk.client, before, challenger, desk.night, desk.later)
    told = _enforce(desk, name, evidence.gather(desk.night, desk.later, kind, stand), challenger, before)
    versions.sweep(desk.client, name, desk.night.key, challenger)
    return told


def _enforce(
    desk: Desk, name: str, found: Evidence, challenger: ModelVersion | None, before: ModelVersion | None
) -> dict[str, Any]:
    """Store the decision, move the alias, confirm; one that an earlier try has put into force is only confirmed."""
    key = desk.night.key
    earlier = records.stored(desk.records, name, key)
    if earlier is not None and in_force(earlier, _number(challenger), _number(before)):
        decision = Decision("promoted", tuple(earlier["reasons"]))
    else:
        decision = decide(found, max_calibration_error=desk.night.parameters.promotion.max_calibration_error)
        document = _document(desk.night, decision, found, challenger, before)
        records.store(desk.records, name, key, document, datetime.now(UTC))
    if challenger is not None:
        reasons = "; ".join(decision.reasons)
        versions.tell(desk.client, challenger, {DECISION: decision.outcome, REASONS: reasons, CONFIRMED: "false"})
        if decision.promotes:
            versions.promote(desk.client, challenger)
        versions.tell(desk.client, challenger, {CONFIRMED: "true"})
    records.confirm(desk.records, name, key)
    champion = challenger if decision.promotes else before
    return {
        "outcome": decision.outcome,
        "reasons": list(decision.reasons),
        "challenger": _named(challenger),
        "champion": _named(champion),
        "before": _named(before),
    }


def in_force(earlier: Mapping[str, Any], challenger: str, champion: str) -> bool:
    """Whether an earlier try of this run has already made this very challenger champion."""
    return bool(earlier["decision"] == "promoted" and earlier["challenger"] == challenger == champion != "")


def _document(
    found: Night, decision: Decision, known: Evidence, challenger: ModelVersion | None, before: ModelVersion | None
) -> dict[str, Any]:
    return {
        "decision": decision.outcome,
        "reasons": list(decision.reasons),
        "challenger": _number(challenger),
        "before": _number(before),
        "figures": msgspec.to_builtins(known),
        "window": str(found.window),
        "data": found.trained.data,
    }


def _number(found: ModelVersion | None) -> str:
    return "" if found is None else str(found.version)


def _named(found: ModelVersion | None) -> dict[str, str] | None:
    if found is None:
        return None
    return {"version": str(found.version), "kind": found.tags.get(runs.KIND, "?"), "run": str(found.run_id)}


def _summary(
    context: Context, desk: Desk, logged: Mapping[str, Run], told: Mapping[str, Mapping[str, Any]]
) -> dict[str, object]:
    address = f"{context.settings.mlflow_url.rstrip('/')}/#/experiments/{desk.experiment}"
    fits, released = desk.night.fits, desk.night.released
    return {
        "run": desk.night.key,
        "models": [
            {
                "kind": kind,
                "private": fits[kind].private,
                "scores": fits[kind].scores,
                "intervals": msgspec.to_builtins(fits[kind].intervals),
                "address": f"{address}/runs/{logged_run.info.run_id}",
            }
            for kind, logged_run in logged.items()
        ],
        "decisions": dict(told),
        "epsilon": {"night": released.epsilon, "spent": released.spent, "budget": released.budget},
        "address": address,
    }
