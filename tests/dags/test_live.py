"""The DAGs on a live Airflow with all real servers, in the order of a platform's start."""

from __future__ import annotations

import gzip
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from airflow.sdk.exceptions import AirflowFailException
from pymongo.database import Database

from include.archive import queries as archive
from include.archive.store import connect as connect_mongo
from include.archive.store import database
from include.clients.airflow import AirflowApi
from include.clients.elasticsearch import connect
from include.clients.flink import FlinkRest
from include.contracts.collections import LEDGERS, RECONCILIATIONS
from include.contracts.errors import TerminalError
from include.contracts.index_documents import PIPELINE, PipelineEvent
from include.contracts.settings import Settings
from include.ingest.ground_truth import GroundTruth
from include.serving import queries as serving
from include.supervise.kafka_counts import HourlyCounts
from include.supervise.reconcile import HOUR
from include.supervise.stream_job import cancel, get_job_status, restore_points, running_job
from local.servers.airflow import environment_of
from local.stack import Stack
from showroom.operators import (
    CancelStreamOperator,
    ResumeStreamOperator,
    StopStreamOperator,
    SubmitStreamOperator,
)
from showroom.settings import job_program, state_folder
from showroom.tasks.stage_counts import Counted, count_day, count_hour
from showroom.tasks.stores import Stores
from tests.polling import eventually

SESSIONS = 2_000
OTTO = (
    '{"session":1,"events":[{"aid":5,"ts":1661724000278,"type":"clicks"},'
    '{"aid":6,"ts":1661724060278,"type":"carts"}]}\n'
)


@pytest.fixture
def mongo(settings: Settings, platform: Stack) -> Iterator[Database[dict[str, Any]]]:
    with connect_mongo(settings.mongodb) as client:
        yield database(client, settings.mongodb)


def indexed(settings: Settings) -> int:
    with connect(settings.elasticsearch) as client:
        return serving.count(client, "session_summary")


def healthy_job(settings: Settings) -> str | None:
    """Wait until the whole job runs and a checkpoint is complete; return its id."""
    with FlinkRest(settings.flink) as flink:
        seen = get_job_status(flink)
    if seen is None or seen.state != "RUNNING" or seen.idle_tasks or not seen.checkpoints:
        return None
    return seen.job_id


def measured(what: str, seconds: float) -> None:
    """Print to the test report."""
    sys.stdout.write(f"{what}: {seconds:.1f} s\n")


def run(api: AirflowApi, dag_id: str, conf: dict[str, Any] | None = None, deadline_s: float = 180.0) -> tuple[str, str]:
    run_id = api.trigger(dag_id, conf)
    return run_id, api.wait(dag_id, run_id, deadline_s)


def at_work(api: AirflowApi, dag_id: str) -> list[str]:
    """Return the tasks of the newest runs that run or will run soon."""
    states = [
        state for result in api.runs(dag_id)[:3] for state in api.task_states(dag_id, result["dag_run_id"]).values()
    ]
    return [state for state in states if state in ("running", "queued")]


def test_dags_and_plugin_are_imported(api: AirflowApi) -> None:
    assert api.import_errors() == []


@pytest.mark.parametrize("path", ["/api/v2/dags", "/showroom/live", "/showroom/stream", "/showroom/"])
def test_pages_without_login_are_rejected(api: AirflowApi, settings: Settings, path: str) -> None:
    response = httpx.get(f"{settings.airflow.url}{path}", headers={"Accept": "application/json"}, timeout=60)

    assert response.status_code in (401, 302, 307), response.text[:200]


def test_login_with_incorrect_password_is_rejected(api: AirflowApi, settings: Settings) -> None:
    response = httpx.post(f"{settings.airflow.url}/auth/token", json={"username": "admin", "password": "admin"})

    assert response.status_code == 401


def test_supervisor_without_a_job_starts_the_stream(api: AirflowApi, settings: Settings) -> None:
    began = time.monotonic()

    assert eventually(lambda: healthy_job(settings), within_s=200, every_s=0.5)
    measured("stream runs after Airflow is ready", time.monotonic() - began)


def test_synthetic_load_is_produced_indexed_and_archived(
    api: AirflowApi, settings: Settings, mongo: Database[dict[str, Any]]
) -> None:
    api.unpause("ingest_synthetic")
    run_id, state = run(api, "ingest_synthetic", {"sessions": SESSIONS, "days": 2, "seed": 7})
    assert state == "success", api.log("ingest_synthetic", run_id, "synthesize")
    message = api.result("ingest_synthetic", run_id, "synthesize")
    retained = mongo[LEDGERS].find_one({"_id": message["tag"]})
    assert retained is not None
    valid = msgspec.json.decode(retained["ledger"], type=GroundTruth).expected.verdicts["valid"]
    assert message["verdicts"]["valid"] == valid

    api.pause("ingest_synthetic")
    assert eventually(lambda: indexed(settings) >= valid, within_s=90, every_s=0.5)
    run_id, state = run(api, "archive_sessions")
    assert state == "success", api.log("archive_sessions", run_id, "load")
    # A scheduled run may have sent its own ten minutes in the meantime.
    assert archive.count(mongo) == indexed(settings)


def test_externally_cancelled_job_is_resumed(api: AirflowApi, settings: Settings) -> None:
    with FlinkRest(settings.flink) as flink:
        gone = cancel(flink)
    began = time.monotonic()

    again = eventually(lambda: healthy_job(settings), within_s=150, every_s=0.25)

    measured("cancelled job is healthy again", time.monotonic() - began)
    assert again != gone


def test_replay_sends_a_log_and_rejects_other_files(api: AirflowApi, settings: Settings, tmp_path: Path) -> None:
    good, broken = tmp_path / "otto.jsonl.gz", tmp_path / "broken.jsonl.gz"
    good.write_bytes(gzip.compress(OTTO.encode()))
    broken.write_bytes(gzip.compress(OTTO.encode() * 50)[:-20])
    run_id, state = run(api, "ingest_replay", {"path": str(good)})
    assert state == "success", api.log("ingest_replay", run_id, "replay")
    assert api.result("ingest_replay", run_id, "replay")["format"] == "otto"

    for bad in (tmp_path / "missing.csv", broken):
        run_id, state = run(api, "ingest_replay", {"path": str(bad)})
        assert state == "failed"
        # Immediately, without a retry, and with a remedy.
        assert bad.name in api.log("ingest_replay", run_id, "replay", attempt=1)


@pytest.mark.parametrize(
    ("dag_id", "conf"),
    [
        ("ingest_replay", {}),
        ("ingest_replay", {"path": "a.csv", "format": "parquet"}),
        ("ingest_replay", {"path": "a.csv", "rate": -1}),
        ("ingest_synthetic", {"sessions": -1}),
        ("ingest_synthetic", {"days": 0}),
        ("serving_retention", {"dry_run": "perhaps"}),
    ],
)
def test_params_out_of_range_are_refused_at_the_form(api: AirflowApi, dag_id: str, conf: dict[str, Any]) -> None:
    with pytest.raises(TerminalError, match=r"40[0-9]|422"):
        api.trigger(dag_id, conf)


def test_retention_lists_old_indices_then_deletes_them(api: AirflowApi, settings: Settings) -> None:
    with connect(settings.elasticsearch) as client:
        client.indices.create(index="session_summary-2019.02")
    run_id, state = run(api, "serving_retention", {"dry_run": True})
    assert state == "success", api.log("serving_retention", run_id, "drop")
    named = api.result("serving_retention", run_id, "drop")
    assert "session_summary-2019.02" in named
    assert not [name for name in named if name.endswith(f"{datetime.now(UTC):%Y.%m}")]
    with connect(settings.elasticsearch) as client:
        assert client.indices.exists(index="session_summary-2019.02")

    run(api, "serving_retention")
    with connect(settings.elasticsearch) as client:
        assert not client.indices.exists(index="session_summary-2019.02")


def test_reconcile_of_all_sessions_is_balanced(
    api: AirflowApi, settings: Settings, mongo: Database[dict[str, Any]]
) -> None:
    run_id, _ = run(api, "archive_sessions")
    assert "kafka." not in api.log("archive_sessions", run_id, "load"), "a task's log repeats its client's"
    run_id, state = run(api, "reconcile")

    assert state == "success", api.log("reconcile", run_id, "count")
    assert {match["state"] for match in api.result("reconcile", run_id, "count")["hours"]} <= {"balanced", "pending"}
    for match in api.result("reconcile", run_id, "count")["hours"]:
        assert mongo[RECONCILIATIONS].find_one({"_id": match["hour"]}) is not None
    hour = datetime.now(UTC) - HOUR
    with connect(settings.elasticsearch) as client:
        stores = Stores(settings, client, mongo, datetime.now(UTC))
        counted = eventually(lambda: balanced(settings, stores, hour), within_s=60, every_s=1.0)
        assert counted is not None
        assert [line.what for line in counted.result.lines if not line.expected] == []
        lost = client.search(index="product_sentiment", size=1)["hits"]["hits"][0]
        client.delete(index=lost["_index"], id=lost["_id"], refresh=True)
        missing = count_hour(settings, stores, hour, counted.evidence)
        assert missing.examples == {"product_sentiment": [lost["_source"]["session_id"]]}
        client.index(index=lost["_index"], id=lost["_id"], document=lost["_source"], refresh=True)


def test_kpi_minutes_of_today_contain_every_session(settings: Settings, mongo: Database[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    with HourlyCounts(settings, midnight, now) as hours:
        evidence = hours.evidence()
    with connect(settings.elasticsearch) as client:
        stores = Stores(settings, client, mongo, now)
        assert evidence.valid
        assert eventually(
            lambda: count_day(settings.kafka, stores, midnight, evidence, None).result.state == "balanced", within_s=60
        )


def balanced(settings: Settings, stores: Stores, hour: datetime) -> Counted | None:
    """Wait until all stages agree on an hour and nothing of it is in flight; return its counts."""
    counted = count_hour(settings, stores, hour, None)
    return counted if counted.result.state == "balanced" else None


def test_pipeline_events_of_all_stages_are_indexed(
    api: AirflowApi, settings: Settings, mongo: Database[dict[str, Any]]
) -> None:
    def indexed_events() -> list[PipelineEvent]:
        with connect(settings.elasticsearch) as client:
            serving.refresh(client)
            hits = client.search(index=PIPELINE, size=5_000, sort=[{"at": "asc"}])["hits"]["hits"]
        return [msgspec.convert(hit["_source"], PipelineEvent) for hit in hits]

    def named(kind: str) -> set[str]:
        return {event.name for event in indexed_events() if event.kind == kind}

    # The cycle after the restart.
    assert eventually(lambda: {"submit", "resume", "healthy"} <= named("decision"), within_s=300, every_s=1.0)
    raw = [event for event in indexed_events() if event.name == "raw"]
    assert sum(event.value for event in raw) == raw[-1].total
    assert raw[-1].total is not None
    assert raw[-1].total >= SESSIONS
    assert named("rejected") >= {"duplicate", "malformed_json"}
    assert {event.detail for event in indexed_events() if event.kind == "reconciliation"} <= {"balanced", "pending"}
    assert named("reconciliation")
    assert [event.total for event in indexed_events() if event.name == "archived"][-1] == archive.count(mongo)


def test_stream_operators_change_the_job(
    api: AirflowApi, platform: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.pause("supervise_stream")
    # Airflow does not change a paused DAG's runs once none of their tasks is active.
    eventually(lambda: not at_work(api, "supervise_stream"), within_s=120, every_s=0.5)
    for name, value in environment_of(settings, platform.layout).items():
        if name.startswith("SHOWROOM_"):
            monkeypatch.setenv(name, value)
    pushed: dict[str, Any] = {}
    context: Any = {"ti": SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))}

    savepoint = StopStreamOperator(task_id="stop").execute(context)
    assert restore_points(state_folder(settings_of(platform, settings)))[0].path == Path(savepoint)
    resumed = ResumeStreamOperator(task_id="resume").execute(context)
    assert pushed["flink_job_id"] == resumed
    with pytest.raises(AirflowFailException, match="already exists"):
        SubmitStreamOperator(task_id="submit").execute(context)
    assert CancelStreamOperator(task_id="cancel").execute(context) == resumed
    with pytest.raises(AirflowFailException, match="no job"):
        StopStreamOperator(task_id="stop").execute(context)
    submitted = SubmitStreamOperator(task_id="submit").execute(context)
    with FlinkRest(settings.flink) as flink:
        job = running_job(flink)
    assert job is not None
    assert job.jid == submitted
    assert job_program(settings_of(platform, settings)).jar.is_file()


def settings_of(platform: Stack, settings: Settings) -> Settings:
    """Return the settings of tasks."""
    result = environment_of(settings, platform.layout)
    return Settings.from_env({name: value for name, value in result.items() if name.startswith("SHOWROOM_")})
