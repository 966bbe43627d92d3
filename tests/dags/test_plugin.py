"""The plugin without servers: what Airflow loads of it, and what its parts say."""

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

from include.contracts.documents import PipelineEvent
from include.contracts.errors import SettingsError, TerminalError, TransientError
from include.contracts.settings import Settings
from include.serving.kibana import Imported
from include.serving.retention import old_indices
from include.supervise.journal import Entry
from include.supervise.observation import Away, Observation
from include.supervise.policy import Action, Decision
from include.supervise.reconcile import Line, Reconciliation
from local.project import ROOT
from showroom import triggers
from showroom.environment import job_program, state_folder
from showroom.plugin import ShowroomPlugin
from showroom.tasks import serving as upkeep
from showroom.tasks.entries import as_plain
from showroom.tasks.ingest import plan_of
from showroom.tasks.pipeline import tell
from showroom.tasks.reconcile import asked_hour, require_balance
from showroom.triggers import StreamHealthTrigger, needs_act, payload
from showroom.verdicts import verdicts

START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
END = START + timedelta(minutes=10)
SCHEDULED = {"sessions": None, "days": None, "seed": None}


def entry(action: Action, alarm: str) -> Entry:
    parts: Any = dict.fromkeys(("flink", "kafka", "gate", "elasticsearch", "restore"), Away("away"))
    seen = Observation(taken_at=1.0, input_flowing=None, **parts)
    return Entry(1.0, seen, Decision(action, alarm, "because", "do it"))


def test_airflow_runs_the_plugins_entry_alone_as_a_module() -> None:
    code = (
        "from airflow.plugins_manager import _get_plugins, get_import_errors\n"
        "found = [plugin.name for plugin in _get_plugins()[0] if str(plugin.source).startswith('$PLUGINS')]\n"
        "import sys\n"
        "strays = {'alerts', 'hooks', 'links', 'sensors', 'triggers', 'operators', 'app', 'views'} & set(sys.modules)\n"
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


def test_the_pages_are_in_the_side_bar() -> None:
    assert [view["name"] for view in ShowroomPlugin.external_views] == ["Live", "Stream"]
    assert [app["url_prefix"] for app in ShowroomPlugin.fastapi_apps] == ["/showroom"]


def test_an_interval_is_the_same_plan_however_often_it_is_asked_for() -> None:
    first = plan_of(Settings(), START, END, SCHEDULED)

    assert plan_of(Settings(), START, END, SCHEDULED) == first
    assert first.sessions == 600
    assert plan_of(Settings(), START, END, {**SCHEDULED, "seed": 5}).tag != first.tag


def test_a_load_by_hand_is_of_the_days_before_its_end() -> None:
    plan = plan_of(Settings(), END, END, {"sessions": 5, "days": 2, "seed": 1})

    assert (plan.start, plan.end, plan.sessions, plan.seed) == (END - timedelta(days=2), END, 5, 1)


def test_asked_hour_is_the_beginning_of_its_hour_in_utc() -> None:
    assert asked_hour(None) is None
    assert asked_hour("2026-02-01T05:00:00Z") == datetime(2026, 2, 1, 5, tzinfo=UTC)
    assert asked_hour("2026-02-01T05:30:00+02:00") == datetime(2026, 2, 1, 3, tzinfo=UTC)


def counted(in_mongodb: int) -> dict[str, Any]:
    line = Line(stage="archive", what="in MongoDB", expected=8, found=in_mongodb)
    return {"hours": [as_plain(Reconciliation(START, (line,)))], "pending": 0, "unverifiable": 0}


def test_a_balanced_hour_passes() -> None:
    require_balance(counted(in_mongodb=8))
    require_balance({"hours": []})


def test_a_difference_fails_for_good_and_names_its_owner() -> None:
    with pytest.raises(AirflowFailException, match=r"first at archive: .*in MongoDB 7 of 8 expected, 1 missing"):
        require_balance(counted(in_mongodb=7))


def test_errors_that_no_retry_helps_fail_at_once() -> None:
    with pytest.raises(AirflowFailException, match="wrong: mend it"), verdicts():
        raise TerminalError("wrong", "mend it")
    with pytest.raises(TransientError), verdicts():
        raise TransientError("away", "wait")


@pytest.mark.parametrize(
    ("action", "alarm", "known", "acts"),
    [
        ("healthy", "none", [], False),
        ("wait", "stream.starting", [], False),
        ("submit", "stream.no_job", [], True),
        ("resume", "stream.no_job", ["stream.no_job"], True),
        ("page", "serving.away", [], True),
        ("page", "serving.away", ["serving.away"], False),
    ],
)
def test_when_the_sensor_hands_over(action: Action, alarm: str, known: list[str], acts: bool) -> None:
    assert needs_act(entry(action, alarm), known) is acts


def test_what_was_seen_survives_airflows_json() -> None:
    told = msgspec.json.decode(msgspec.json.encode(payload([entry("page", "serving.away")])))

    assert msgspec.convert(told["observations"], list[Observation], str_keys=True)[0].taken_at == 1.0


def test_the_trigger_is_made_anew_from_what_it_serializes() -> None:
    path, kwargs = StreamHealthTrigger(5.0, 1.0, ["a"]).serialize()

    assert path == "showroom.triggers.StreamHealthTrigger"
    assert StreamHealthTrigger(**kwargs).serialize() == (path, kwargs)


def test_the_trigger_fires_at_the_first_look_that_needs_a_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([entry("healthy", "none"), entry("resume", "stream.no_job")])
    monkeypatch.setenv("SHOWROOM_FLINK_STATE", "/nowhere")
    monkeypatch.setattr(triggers, "look", lambda *_: next(looks))
    monkeypatch.setattr(triggers, "FIRST_PAUSE_S", 0.0)

    async def first() -> Any:
        async for event in StreamHealthTrigger(until=4_000_000_000.0, every_s=0.01, known=[]).run():
            return event.payload
        return None

    told = asyncio.run(first())
    assert (told["action"], len(told["observations"])) == ("resume", 2)
    assert next(looks, None) is None


def test_a_plan_holds_plain_times_whatever_airflow_hands_over() -> None:
    start, end = timezone.coerce_datetime(START), timezone.coerce_datetime(END)
    plan = plan_of(Settings(), start, end, SCHEDULED)

    assert {type(plan.start), type(plan.end)} == {datetime}
    assert plan == plan_of(Settings(), START, END, SCHEDULED)
    plan.check_clock(END + timedelta(minutes=1))


def test_missing_places_are_named() -> None:
    with pytest.raises(SettingsError, match="SHOWROOM_FLINK_JAR and SHOWROOM_FLINK_PROJECT"):
        job_program(Settings())
    with pytest.raises(SettingsError, match="SHOWROOM_FLINK_STATE"):
        state_folder(Settings())


def test_only_months_beyond_the_kept_ones_are_old() -> None:
    names = ["kpi_minute-2025.01", "kpi_minute-2025.02", "kpi_minute-2025.03", "kpi_minute-2026.03"]

    assert old_indices(names, "kpi_minute", 13, START) == ["kpi_minute-2025.01"]
    assert old_indices(names, "kpi_minute", 1, START) == names[:3]
    assert old_indices(["kpi_minute-2025.12"], "kpi_minute", 3, START) == []


def test_events_that_cannot_be_stored_are_logged_and_stop_nothing(caplog: pytest.LogCaptureFixture) -> None:
    event = PipelineEvent(at=START, kind="lag", stage="gate", name="gate", value=1, total=None, detail=None)
    tell(Settings(elasticsearch_url="http://127.0.0.1:9"), [event])
    assert "1 events of the pipeline are not stored: " in caplog.text
    assert "Elasticsearch is unavailable" in caplog.text


def test_dashboards_are_left_for_another_day_where_kibana_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowSkipException, match="SHOWROOM_KIBANA_URL is not set"):
        upkeep.publish_dashboards()
    monkeypatch.setenv("SHOWROOM_KIBANA_URL", "http://127.0.0.1:9")
    with pytest.raises(AirflowSkipException, match="is unavailable"):
        upkeep.publish_dashboards()


def test_a_kibana_that_takes_too_few_objects_fails_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Settings) -> Imported:
        raise TerminalError("Kibana took 1 of 13 objects", "see its log")

    monkeypatch.setattr(upkeep, "import_objects", refuse)
    with pytest.raises(AirflowFailException, match="1 of 13"):
        upkeep.publish_dashboards()
    monkeypatch.setattr(upkeep, "import_objects", lambda _: Imported(13, True))
    assert upkeep.publish_dashboards() == 13
