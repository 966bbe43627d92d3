"""One MLflow run per model. A rerun with equal content reuses the run; a rerun with other content replaces it.

A new run is complete before the old one is deleted, and a run whose version has an alias is never deleted.
"""

import hashlib
import math
import platform
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import msgspec
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from msgspec import Struct

import include
from include.batch.features import columns
from include.batch.registry import model_card
from include.batch.registry.load import FOLDER
from include.batch.registry.run_results import PRIVATE, ModelResult, RunResults
from include.clients.mlflow import translate_errors

SCORER = Path(__file__).with_name("scorer.py")
KEY, KIND, CONTENT = "showroom.run", "showroom.kind", "showroom.content"
TRAINED_UNTIL, DIGEST = "showroom.trained_until", "showroom.model"
COMMIT = "mlflow.source.git.commit"
CARD = "card.md"
SHARED_SECTIONS = ("features", "split", "evaluation", "promotion")
REQUIREMENTS = ("mlflow", "numpy", "scikit-learn", "xgboost-cpu", "skops", "msgspec", "pandas", "pyarrow")
GIT_TIMEOUT_S = 10


class RunRecord(Struct, frozen=True, kw_only=True):
    """The content of one MLflow run; equal content means an equal run."""

    kind: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]
    card: str

    @property
    def content(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def build_run_record(results: RunResults, kind: str, digest: str) -> RunRecord:
    """Build the content of the run of one kind; `digest` is its model's."""
    fit = results.models[kind]
    return RunRecord(
        kind=kind,
        params=dict(_params(results, kind)),
        tags=dict(_tags(results, fit, digest)),
        metrics=dict(_metrics(results, fit)),
        card=model_card.card(results, kind),
    )


def log_run(client: MlflowClient, experiment: str, results: RunResults, record: RunRecord) -> Run:
    """Return the finished run with this content, or log one; `cleanup` deletes unfinished runs of the same kind."""
    for run in search_runs(client, experiment, results.key, record.kind):
        if run.info.status == "FINISHED" and run.data.tags.get(CONTENT) == record.content:
            return run
    with translate_errors(f"log {record.kind}"):
        run = client.create_run(
            experiment,
            run_name=f"{record.kind} {results.window.end:%Y-%m-%d}",
            tags={**record.tags, CONTENT: record.content},
        )
        run_id, now = run.info.run_id, int(time.time() * 1e3)
        client.log_batch(
            run_id,
            params=[Param(name, value) for name, value in record.params.items()],
            metrics=[Metric(name, value, now, 0) for name, value in record.metrics.items()],
            tags=[RunTag("mlflow.note.content", record.card)],
        )
        client.log_text(run_id, record.card, CARD)
        _artifacts(client, run_id, results, record.kind)
        client.set_terminated(run_id, "FINISHED")
        return client.get_run(run_id)


def search_runs(client: MlflowClient, experiment: str, key: str, kind: str) -> list[Run]:
    """Return the undeleted runs of one kind in one run of the batch, newest first."""
    with translate_errors(f"look up the runs of {kind}"):
        query = f"tags.`{KEY}` = '{key}' and tags.`{KIND}` = '{kind}'"
        return list(client.search_runs([experiment], query, order_by=["attributes.start_time DESC"]))


def cleanup(
    client: MlflowClient, experiment: str, results: RunResults, retained: Mapping[str, str], protected: frozenset[str]
) -> int:
    """Delete superseded runs of this window and return their number.

    `retained` maps kind to the run to retain; `protected` runs are retained as well.
    """
    deleted = 0
    with translate_errors("delete replaced runs"):
        query = f"tags.`{KEY}` = '{results.key}'"
        for run in client.search_runs([experiment], query):
            if run.info.run_id not in protected and retained.get(run.data.tags.get(KIND, "")) != run.info.run_id:
                client.delete_run(run.info.run_id)
                deleted += 1
    return deleted


def _artifacts(client: MlflowClient, run: str, results: RunResults, kind: str) -> None:
    plots = results.folder / "plots"
    for path in sorted(plots.glob("*.png")):
        if f"-{kind}-" in path.name or not any(f"-{other}-" in path.name for other in results.models):
            client.log_artifact(run, str(path), "plots")
    table = results.folder / "importance.csv"
    if table.is_file():
        client.log_artifact(run, str(table))
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory) / FOLDER
        _save_pyfunc(results.model(kind), package)
        client.log_artifacts(run, str(package), FOLDER)


def _save_pyfunc(model: Path, package: Path) -> None:
    """Save a model's folder as an MLflow model: scoring code, input schema and the folder itself."""
    schema = Schema([ColSpec(DataType.double, name) for name in columns.NAMES])
    with warnings.catch_warnings():
        # No input example, because it would be a row of a real visit.
        warnings.filterwarnings("ignore", message=".*input example was not provided", category=UserWarning)
        mlflow.pyfunc.save_model(
            str(package),
            python_model=str(SCORER),
            artifacts={"model": str(model)},
            signature=ModelSignature(inputs=schema, outputs=Schema([ColSpec(DataType.double)])),
            conda_env=_environment(),
        )


def _environment() -> dict[str, Any]:
    """Return the requirements of the model; explicit, so that MLflow starts no process to infer them."""
    requirements = [f"{name}=={version(name)}" for name in REQUIREMENTS]
    return {"dependencies": [f"python={platform.python_version()}", "pip", {"pip": requirements}]}


def _params(results: RunResults, kind: str) -> Iterator[tuple[str, str]]:
    parameters = msgspec.to_builtins(results.parameters)
    yield "window", str(results.window)
    yield "seed", str(parameters["seed"])
    yield "kind", kind
    for section in SHARED_SECTIONS:
        yield from ((f"{section}.{name}", str(value)) for name, value in parameters[section].items())
    section_of_kind = parameters["private"] if kind == PRIVATE else parameters["models"].get(kind, {})
    yield from ((f"{kind}.{name}", str(value)) for name, value in section_of_kind.items())


def _tags(results: RunResults, fit: ModelResult, digest: str) -> Iterator[tuple[str, str]]:
    yield KEY, results.key
    yield KIND, fit.kind
    yield DIGEST, digest
    yield TRAINED_UNTIL, results.cut.isoformat()
    yield "showroom.window", str(results.window)
    yield "showroom.data", results.training.data
    yield "showroom.privacy", model_card.claim(results, fit)
    if fit.private:
        for name, value in (results.release.mechanism or {}).items():
            yield f"showroom.dp.{name}", str(value)
        yield "showroom.dp.epsilon", str(results.release.epsilon)
    commit = git_commit()
    if commit:
        yield COMMIT, commit


def _metrics(results: RunResults, fit: ModelResult) -> Iterator[tuple[str, float]]:
    yield from _numbers("", fit.scores)
    for name, interval in fit.intervals.items():
        yield from _numbers(f"{name}_", {"low": interval.low, "high": interval.high})
    yield from _numbers("inner_", fit.validation)
    yield from _numbers("random_", fit.random)
    if fit.shuffled_label_check is not None:
        yield from _numbers("canary_roc_auc_", msgspec.to_builtins(fit.shuffled_label_check.roc_auc))
    yield from _numbers("attack_", model_card.attack(results, fit.kind))
    if fit.private:
        release = results.release
        yield from _numbers("", {"epsilon": release.epsilon, "spent": release.spent, "budget": release.budget})


def _numbers(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(f"{prefix}{name}_", value)
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield f"{prefix}{name}", float(value)


def git_commit() -> str:
    """Return the commit of the running code; empty outside a git repository."""
    root = Path(include.__file__).resolve().parent.parent
    try:
        completed = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return completed.stdout.strip()
