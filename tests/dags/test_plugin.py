"""The plugin without servers: registered components and their results."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from airflow.sdk import timezone
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.contracts.errors import SettingsError, TerminalError, TransientError
from include.contracts.index_documents import PipelineEvent
from include.contracts.settings import ElasticsearchSettings, Settings
from include.dashboards.kibana import Imported
from include.serving.retention import old_indices
from include.supervise.decision_log import DecisionRecord
from include.supervise.observation import Observation, Unavailable
from include.supervise.policy import Action, Decision
from include.supervise.reconcile import Reconciliation, StageCount
from local.project import ROOT
from showroom import triggers
from showroom.fail_fast import fail_fast_on_terminal
from showroom.plugin import ShowroomPlugin
from showroom.settings import job_program, state_folder
from showroom.tasks import serving as upkeep
from showroom.tasks.ingest import plan_of
from showroom.tasks.pipeline import index_events
from showroom.tasks.reconcile import parse_hour, require_balance
from showroom.tasks.reconciliation_store import as_plain
from showroom.triggers import StreamHealthTrigger, payload, requires_action

START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
END = START + timedelta(minutes=10)
SCHEDULED = {"sessions": None, "days": None, "seed": None}


def record(action: Action, alert: str) -> DecisionRecord:
    parts: Any = dict.fromkeys(("flink", "kafka", "gate", "elasticsearch", "restore"), Unavailable("away"))
    seen = Observation(taken_at=1.0, input_flowing=None, **parts)
    return DecisionRecord(1.0, seen, Decision(action, alert, "because", "do it"))


def test_plugin_entry_imports_as_a_module() -> None:
    code = (
        "from airflow.plugins_manager import _get_plugins, get_import_errors\n"
        "found = [plugin.name for plugin in _get_plugins()[0] if str(plugin.source).startswith('$PLUGINS')]\n"
        "import sys\n"
        "names = {'alerts', 'hooks', 'links', 'sensors', 'triggers', 'operators', 'app', 'navigation'}\n"
        "strays = names & set(sys.modules)\n"
        "assert found == ['showroom'], found\n"
        "assert not strays, strays\n"
        "assert not get_import_errors(), get_import_errors()\n"
    )
    environment = {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_HOME": str(ROOT / ".showroom" / "tmp" / "airflow"),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr[-2_000:]


def test_pages_are_in_the_side_bar() -> None:
    assert [view["name"] for view in ShowroomPlugin.external_views] == ["Live", "Stream"]
    assert [app["url_prefix"] for app in ShowroomPlugin.fastapi_apps] == ["/showroom"]


def test_plan_of_the_same_interval_is_equal() -> None:
    first = plan_of(Settings(), START, END, SCHEDULED)

    assert plan_of(Settings(), START, END, SCHEDULED) == first
    assert first.sessions == 600
    assert plan_of(Settings(), START, END, {**SCHEDULED, "seed": 5}).tag != first.tag


def test_plan_of_manual_run_covers_the_days_before_its_end() -> None:
    plan = plan_of(Settings(), END, END, {"sessions": 5, "days": 2, "seed": 1})

    assert (plan.start, plan.end, plan.sessions, plan.seed) == (END - timedelta(days=2), END, 5, 1)


def test_parse_hour_returns_the_start_of_the_hour_in_utc() -> None:
    assert parse_hour(None) is None
    assert parse_hour("2026-02-01T05:00:00Z") == datetime(2026, 2, 1, 5, tzinfo=UTC)
    assert parse_hour("2026-02-01T05:30:00+02:00") == datetime(2026, 2, 1, 3, tzinfo=UTC)


def counted(in_mongodb: int) -> dict[str, Any]:
    line = StageCount(stage="archive", what="in MongoDB", expected=8, actual=in_mongodb)
    return {"hours": [as_plain(Reconciliation(START, (line,)))], "pending": 0, "unverifiable": 0}


def test_require_balance_of_a_balanced_hour_passes() -> None:
    require_balance(counted(in_mongodb=8))
    require_balance({"hours": []})


def test_require_balance_of_a_difference_fails_and_names_its_stage() -> None:
    with pytest.raises(AirflowFailException, match=r"first at archive: .*in MongoDB 7 of 8 expected, 1 missing"):
        require_balance(counted(in_mongodb=7))


def test_fail_fast_on_terminal_raises_airflow_fail_exception() -> None:
    with pytest.raises(AirflowFailException, match="wrong: mend it"), fail_fast_on_terminal():
        raise TerminalError("wrong", "mend it")
    with pytest.raises(TransientError), fail_fast_on_terminal():
        raise TransientError("away", "wait")


@pytest.mark.parametrize(
    ("action", "alert", "already_sent", "expected"),
    [
        ("healthy", "none", [], False),
        ("wait", "stream.starting", [], False),
        ("submit", "stream.no_job", [], True),
        ("resume", "stream.no_job", ["stream.no_job"], True),
        ("page", "elasticsearch.unreachable", [], True),
        ("page", "elasticsearch.unreachable", ["elasticsearch.unreachable"], False),
    ],
)
def test_requires_action_for_restarts_and_new_alerts(
    action: Action, alert: str, already_sent: list[str], expected: bool
) -> None:
    assert requires_action(record(action, alert), already_sent) is expected


def test_payload_round_trips_through_json() -> None:
    event = msgspec.json.decode(msgspec.json.encode(payload([record("page", "elasticsearch.unreachable")])))

    assert msgspec.convert(event["observations"], list[Observation], str_keys=True)[0].taken_at == 1.0


def test_trigger_is_restored_from_its_serialization() -> None:
    path, kwargs = StreamHealthTrigger(5.0, 1.0, ["a"]).serialize()

    assert path == "showroom.triggers.StreamHealthTrigger"
    assert StreamHealthTrigger(**kwargs).serialize() == (path, kwargs)


def test_trigger_fires_at_the_first_observation_that_requires_an_action(monkeypatch: pytest.MonkeyPatch) -> None:
    records = iter([record("healthy", "none"), record("resume", "stream.no_job")])
    monkeypatch.setenv("SHOWROOM_FLINK_STATE_DIR", "/nowhere")
    monkeypatch.setattr(triggers, "observe_and_decide", lambda *_: next(records))
    monkeypatch.setattr(triggers, "FIRST_DELAY_S", 0.0)

    async def first() -> Any:
        async for event in StreamHealthTrigger(until=4_000_000_000.0, every_s=0.01, already_sent=[]).run():
            return event.payload
        return None

    event = asyncio.run(first())
    assert (event["action"], len(event["observations"])) == ("resume", 2)
    assert next(records, None) is None


def test_plan_has_plain_datetimes() -> None:
    start, end = timezone.coerce_datetime(START), timezone.coerce_datetime(END)
    plan = plan_of(Settings(), start, end, SCHEDULED)

    assert {type(plan.start), type(plan.end)} == {datetime}
    assert plan == plan_of(Settings(), START, END, SCHEDULED)
    plan.check_clock(END + timedelta(minutes=1))


def test_missing_paths_are_reported() -> None:
    with pytest.raises(SettingsError, match="SHOWROOM_FLINK_JAR and SHOWROOM_FLINK_PROJECT_DIR"):
        job_program(Settings())
    with pytest.raises(SettingsError, match="SHOWROOM_FLINK_STATE_DIR"):
        state_folder(Settings())


def test_retention_selects_months_beyond_the_retained_ones() -> None:
    names = ["kpi_minute-2025.01", "kpi_minute-2025.02", "kpi_minute-2025.03", "kpi_minute-2026.03"]

    assert old_indices(names, "kpi_minute", 13, START) == ["kpi_minute-2025.01"]
    assert old_indices(names, "kpi_minute", 1, START) == names[:3]
    assert old_indices(["kpi_minute-2025.12"], "kpi_minute", 3, START) == []


def test_index_events_without_elasticsearch_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    event = PipelineEvent(at=START, kind="lag", stage="gate", name="gate", value=1, total=None, detail=None)
    index_events(Settings(elasticsearch=ElasticsearchSettings(url="http://127.0.0.1:9")).elasticsearch, [event])
    assert "index 1 events failed: " in caplog.text
    assert "Elasticsearch is unavailable" in caplog.text


def test_dashboards_import_without_kibana_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowSkipException, match="SHOWROOM_KIBANA_URL is not set"):
        upkeep.import_dashboards()
    monkeypatch.setenv("SHOWROOM_KIBANA_URL", "http://127.0.0.1:9")
    with pytest.raises(AirflowSkipException, match="is unavailable"):
        upkeep.import_dashboards()


def test_import_of_too_few_objects_fails_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Settings) -> Imported:
        raise TerminalError("Kibana imported 1 of 13 objects", "see its log")

    monkeypatch.setattr(upkeep, "import_objects", refuse)
    with pytest.raises(AirflowFailException, match="1 of 13"):
        upkeep.import_dashboards()
    monkeypatch.setattr(upkeep, "import_objects", lambda _: Imported(13, True))
    assert upkeep.import_dashboards() == 13
