"""An MLflow per test on SQLite, and decisions in memory instead of MongoDB."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from include.batch.registry import records
from include.contracts.setting import Secret
from include.contracts.settings import MlflowSettings, MongodbSettings, Settings


class Records(dict[str, dict[str, Any]]):
    """In-memory stand-in for the collection of decisions."""

    def find_one(self, query: dict[str, str]) -> dict[str, Any] | None:
        collection = self.get(query["_id"])
        return None if collection is None else dict(collection)

    def replace_one(self, query: dict[str, str], document: dict[str, Any], upsert: bool) -> None:
        assert upsert
        self[query["_id"]] = document

    def update_one(self, query: dict[str, str], change: dict[str, dict[str, Any]]) -> None:
        if query["_id"] in self:
            self[query["_id"]].update(change["$set"])


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create an empty MLflow database, once per session."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def settings(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Copy the MLflow database and return settings with its address and an artefact folder of this test."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "mlflow.db"
    shutil.copy(empty_store, own)
    return Settings(
        mlflow=MlflowSettings(url=f"sqlite:///{own}"), mongodb=MongodbSettings(url=Secret("mongodb://127.0.0.1:1"))
    )


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> Records:
    """Replace the collection of decisions by an in-memory one."""
    collection = Records()

    @contextmanager
    def open_decisions(settings: Settings) -> Iterator[Records]:
        yield collection

    monkeypatch.setattr(records, "open_decisions", open_decisions)
    return collection
