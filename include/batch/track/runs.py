"""One MLflow run for each fit. A rerun that would say the same keeps the run; one that says otherwise replaces it.

A new run is whole before an old one goes, and a run whose version bears an alias never goes.
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
from include.batch.track import card
from include.batch.track.load import FOLDER
from include.batch.track.night import PRIVATE, Fit, Night
from include.clients.mlflow import translate_errors

SCORER = Path(__file__).with_name("scorer.py")
KEY, KIND, CONTENT = "showroom.run", "showroom.kind", "showroom.content"
TRAINED_UNTIL, DIGEST = "showroom.trained_until", "showroom.model"
COMMIT = "mlflow.source.git.commit"
CARD = "card.md"
SHARED_SECTIONS = ("features", "split", "evaluate", "promotion")
REQUIREMENTS = ("mlflow", "numpy", "scikit-learn", "xgboost-cpu", "skops", "msgspec", "pandas", "pyarrow")
GIT_TIMEOUT_S = 10


class Entry(Struct, frozen=True, kw_only=True):
    """What one run says: the same content, the same run."""

    kind: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]
    card: str

    @property
    def content(self) -> str:
        """SHA-256 of all that it says."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def entry(night: Night, kind: str, digest: str) -> Entry:
    """What the run of one kind says; `digest` is its model's."""
    fit = night.fits[kind]
    return Entry(
        kind=kind,
        params=dict(_params(night, kind)),
        tags=dict(_tags(night, fit, digest)),
        metrics=dict(_metrics(night, fit)),
        card=card.card(night, kind),
    )


def log(client: MlflowClient, experiment: str, night: Night, told: Entry) -> Run:
    """The finished run of this entry, new or from before; unfinished ones of the same fit are left to `sweep`."""
    for run in search(client, experiment, night.key, told.kind):
        if run.info.status == "FINISHED" and run.data.tags.get(CONTENT) == told.content:
            return run
    with translate_errors(f"log {told.kind}"):
        run = client.create_run(
            experiment, run_name=f"{told.kind} {night.window.end:%Y-%m-%d}", tags={**told.tags, CONTENT: told.content}
        )
        identity, now = run.info.run_id, int(time.time() * 1e3)
        client.log_batch(
            identity,
            params=[Param(name, value) for name, value in told.params.items()],
            metrics=[Metric(name, value, now, 0) for name, value in told.metrics.items()],
            tags=[RunTag("mlflow.note.content", told.card)],
        )
        client.log_text(identity, told.card, CARD)
        _artifacts(client, identity, night, told.kind)
        client.set_terminated(identity, "FINISHED")
        return client.get_run(identity)


def search(client: MlflowClient, experiment: str, key: str, kind: str) -> list[Run]:
    """All runs of one fit that are not deleted, newest first."""
    with translate_errors(f"look up the runs of {kind}"):
        wanted = f"tags.`{KEY}` = '{key}' and tags.`{KIND}` = '{kind}'"
        return list(client.search_runs([experiment], wanted, order_by=["attributes.start_time DESC"]))


def sweep(client: MlflowClient, experiment: str, night: Night, kept: Mapping[str, str], needed: frozenset[str]) -> int:
    """Delete the runs of this night that others have replaced; how many. `kept`: kind -> run; `needed` stay as well."""
    swept = 0
    with translate_errors("delete replaced runs"):
        wanted = f"tags.`{KEY}` = '{night.key}'"
        for run in client.search_runs([experiment], wanted):
            if run.info.run_id not in needed and kept.get(run.data.tags.get(KIND, "")) != run.info.run_id:
                client.delete_run(run.info.run_id)
                swept += 1
    return swept


def _artifacts(client: MlflowClient, run: str, night: Night, kind: str) -> None:
    plots = night.folder / "plots"
    for path in sorted(plots.glob("*.png")):
        if f"-{kind}-" in path.name or not any(f"-{other}-" in path.name for other in night.fits):
            client.log_artifact(run, str(path), "plots")
    table = night.folder / "importance.csv"
    if table.is_file():
        client.log_artifact(run, str(table))
    with tempfile.TemporaryDirectory() as place:
        packed = Path(place) / FOLDER
        _pack(night.model(kind), packed)
        client.log_artifacts(run, str(packed), FOLDER)


def _pack(model: Path, packed: Path) -> None:
    """A fitted model's folder as an MLflow model: the code that scores, the columns it wants, the folder itself."""
    wanted = Schema([ColSpec(DataType.double, name) for name in columns.NAMES])
    with warnings.catch_warnings():
        # An example of the input would be a row of somebody's visit.
        warnings.filterwarnings("ignore", message=".*input example was not provided", category=UserWarning)
        mlflow.pyfunc.save_model(
            str(packed),
            python_model=str(SCORER),
            artifacts={"model": str(model)},
            signature=ModelSignature(inputs=wanted, outputs=Schema([ColSpec(DataType.double)])),
            conda_env=_environment(),
        )


def _environment() -> dict[str, Any]:
    """What the model needs beside this project; given, so that MLflow does not start a process to find out."""
    needed = [f"{name}=={version(name)}" for name in REQUIREMENTS]
    return {"dependencies": [f"python={platform.python_version()}", "pip", {"pip": needed}]}


def _params(night: Night, kind: str) -> Iterator[tuple[str, str]]:
    told = msgspec.to_builtins(night.parameters)
    yield "window", str(night.window)
    yield "seed", str(told["seed"])
    yield "kind", kind
    for section in SHARED_SECTIONS:
        yield from ((f"{section}.{name}", str(value)) for name, value in told[section].items())
    own = told["private"] if kind == PRIVATE else told["models"].get(kind, {})
    yield from ((f"{kind}.{name}", str(value)) for name, value in own.items())


def _tags(night: Night, fit: Fit, digest: str) -> Iterator[tuple[str, str]]:
    yield KEY, night.key
    yield KIND, fit.kind
    yield DIGEST, digest
    yield TRAINED_UNTIL, night.cut.isoformat()
    yield "showroom.window", str(night.window)
    yield "showroom.data", night.trained.data
    yield "showroom.privacy", card.claim(night, fit)
    if fit.private:
        for name, value in (night.released.mechanism or {}).items():
            yield f"showroom.dp.{name}", str(value)
        yield "showroom.dp.epsilon", str(night.released.epsilon)
    commit = git_commit()
    if commit:
        yield COMMIT, commit


def _metrics(night: Night, fit: Fit) -> Iterator[tuple[str, float]]:
    yield from _numbers("", fit.scores)
    for name, margin in fit.intervals.items():
        yield from _numbers(f"{name}_", {"low": margin.low, "high": margin.high})
    yield from _numbers("inner_", fit.inner)
    yield from _numbers("random_", fit.random)
    if fit.canary is not None:
        yield from _numbers("canary_roc_auc_", msgspec.to_builtins(fit.canary.roc_auc))
    yield from _numbers("attack_", card.attack(night, fit.kind))
    if fit.private:
        released = night.released
        yield from _numbers("", {"epsilon": released.epsilon, "spent": released.spent, "budget": released.budget})


def _numbers(prefix: str, found: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from _numbers(f"{prefix}{name}_", value)
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield f"{prefix}{name}", float(value)


def git_commit() -> str:
    """The commit of the code that runs; empty outside a git repository."""
    root = Path(include.__file__).resolve().parent.parent
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
