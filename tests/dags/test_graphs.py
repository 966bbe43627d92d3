"""DAG ids and graphs; parsing is fast and has no side effects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import timezone
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction

from include.ingest.readers import READERS
from include.ingest.replay import AUTO
from local.project import ROOT
from tests.dags.conftest import DAGS

SNAPSHOT = Path(__file__).parent / "graphs.txt"
PARSE_S = 0.5


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(dag_folder=str(ROOT / "dags"))


def described(dag: Any) -> str:
    """Format one DAG: schedule and limits, then every task with its downstream tasks."""
    paused = ", paused at first" if dag.is_paused_upon_creation else ""
    when = f"{type(dag.timetable).__name__} {getattr(dag.timetable, 'expression', '')}".strip()
    lines = [f"{dag.dag_id}: {when}, {dag.max_active_runs} at once{paused}, tags {sorted(dag.tags)}"]
    for task in sorted(dag.tasks, key=lambda task: task.task_id):
        after = f" -> {', '.join(sorted(task.downstream_task_ids))}" if task.downstream_task_ids else ""
        outlets = f", writes {', '.join(asset.uri for asset in task.outlets)}" if task.outlets else ""
        lines.append(
            f"  {task.task_id} ({task.task_type}, pool {task.pool}, {task.retries} retries,"
            f" {task.trigger_rule.value}{outlets}){after}"
        )
    if dag.params:
        lines.append(f"  by hand: {', '.join(sorted(dag.params))}")
    return "\n".join(lines)


def test_dags_are_complete_and_import_without_errors(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == DAGS


def test_graphs_are_those_of_the_snapshot(bag: DagBag) -> None:
    text = "\n\n".join(described(bag.dags[name]) for name in sorted(bag.dags)) + "\n"

    assert text == SNAPSHOT.read_text()


@pytest.mark.parametrize("clock", ["00:00:00", "01:59:59", "02:00:01", "02:24:00", "04:23:59", "12:00:00"])
def test_batch_nightly_on_new_installation_waits_for_0200(
    bag: DagBag, clock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.coerce_datetime(datetime.fromisoformat(f"2026-03-01T{clock}+00:00"))
    monkeypatch.setattr("airflow.timetables.trigger.utcnow", lambda: now)
    dag = bag.dags["batch_nightly"]
    first = coerce_to_core_timetable(dag.timetable).next_dagrun_info(
        last_automated_data_interval=None,
        restriction=TimeRestriction(timezone.coerce_datetime(dag.start_date), None, dag.catchup),
    )

    assert first is not None
    assert first.run_after > now


def test_dag_text_describes_purpose_and_failures(bag: DagBag) -> None:
    for dag in bag.dags.values():
        assert dag.doc_md is not None
        for word in ("**When:**", "**Run again:**"):
            assert word in dag.doc_md, (dag.dag_id, word)
        assert dag.dag_id == Path(dag.fileloc).stem


def test_parsing_opens_no_socket_loads_no_client_and_is_quick() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
    command = [sys.executable, "-P", str(ROOT / "tests" / "dags" / "parse.py"), str(ROOT / "dags")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout[done.stdout.index("{") :])
    assert set(result) == {f"{name}.py" for name in DAGS}
    assert {name: about["clients"] for name, about in result.items() if about["clients"]} == {}
    assert {name: about["seconds"] for name, about in result.items() if about["seconds"] > PARSE_S} == {}


@pytest.mark.parametrize(
    ("dag_id", "params"),
    [
        ("ingest_synthetic", {"sessions": -1}),
        ("ingest_synthetic", {"sessions": 10_000_001}),
        ("ingest_synthetic", {"days": 0}),
        ("ingest_synthetic", {"days": 301}),
        ("ingest_synthetic", {"seed": "one"}),
        ("ingest_replay", {"path": ""}),
        ("ingest_replay", {"path": "a.csv", "format": "xml"}),
        ("ingest_replay", {"path": "a.csv", "rate": 0}),
        ("ingest_replay", {"path": "a.csv", "limit": 0}),
        ("serving_retention", {"dry_run": "perhaps"}),
        ("reconcile", {"hour": "yesterday"}),
        ("batch_nightly", {"start": "yesterday"}),
        ("batch_nightly", {"end": 5}),
    ],
)
def test_params_out_of_range_are_refused(bag: DagBag, dag_id: str, params: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        for name, value in params.items():
            bag.dags[dag_id].params.get_param(name).resolve(value)


def test_replay_form_offers_all_formats(bag: DagBag) -> None:
    offered = bag.dags["ingest_replay"].params.get_param("format").schema["enum"]

    assert set(offered) == {AUTO, *READERS}
