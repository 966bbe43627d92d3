"""Plan of the nightly batch, and its operator with fake steps."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from airflow.sdk import timezone
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from include.contracts.errors import SettingsError
from include.contracts.settings import BatchSettings, Settings
from include.ingest.plan import Plan
from include.ingest.purchase_model import NON_BUYER, describe
from showroom.batch import BatchStepOperator, build_command, build_environment, challenger_run, raise_for_exit_code
from showroom.tasks.batch import IntervalLedger, ReplayLedger, combined_oracle_auc, folder_name, prune, window_of
from tests.polling import eventually

RUN_AT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
START, END = datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)
SCHEDULED: dict[str, Any] = {"start": None, "end": None}

STEP = """
import json, os, sys, time
from pathlib import Path
step, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2]))
print("reading", file=sys.stderr, flush=True)
if step == "sleeps":
    Path(options["--out"], "pid").write_text(str(os.getpid()))
    time.sleep(60)
if step in ("1", "2", "75"):
    print("batch: MongoDB is unavailable: check that it runs", file=sys.stderr)
    raise SystemExit(int(step))
summary = {"step": step, "window": options["--window"], "noise": os.environ["SHOWROOM_BATCH_NOISE_KEY"]}
Path(options["--out"], f"{step}.json").write_text(json.dumps(summary))
print(json.dumps(summary))
"""


@pytest.mark.parametrize(
    ("instant", "params", "expected"),
    [
        (RUN_AT, SCHEDULED, (START, END)),
        (RUN_AT.replace(hour=0), SCHEDULED, (START, END)),
        (timezone.coerce_datetime(RUN_AT), SCHEDULED, (START, END)),
        (RUN_AT, {"start": "2026-11-01T00:00:00", "end": None}, (datetime(2026, 11, 1, tzinfo=UTC), END)),
        (RUN_AT, {"start": None, "end": "2026-11-20T06:30:00+02:00"}, (
            datetime(2026, 11, 6, 4, 30, tzinfo=UTC), datetime(2026, 11, 20, 4, 30, tzinfo=UTC))),
    ],
)  # fmt: skip
def test_window_ends_at_the_last_midnight_or_the_given_end(
    instant: datetime, params: dict[str, Any], expected: tuple[datetime, datetime]
) -> None:
    assert window_of(Settings().batch, instant, params) == expected


def test_window_with_end_before_start_raises() -> None:
    with pytest.raises(SettingsError, match="empty"):
        window_of(Settings().batch, RUN_AT, {"start": END.isoformat(), "end": START.isoformat()})


def test_window_length_is_a_setting() -> None:
    start, end = window_of(Settings(batch=BatchSettings(window_days=30)).batch, RUN_AT, SCHEDULED)
    assert (end - start, end) == (timedelta(days=30), END)


@pytest.mark.parametrize("run_id", ["scheduled__2026-11-24T02:00:00+00:00", "../../etc", "a/b", "x" * 300, "."])
def test_folder_name_stays_below_the_runs_folder(run_id: str) -> None:
    name = folder_name(run_id)
    assert Path("/runs", name).resolve().parent == Path("/runs")
    assert len(name) <= 120


def test_prune_keeps_the_newest_runs_and_the_current_one(tmp_path: Path) -> None:
    for age, name in enumerate(("current", "newest", "older", "oldest")):
        (tmp_path / name / "models").mkdir(parents=True)
        os.utime(tmp_path / name, (1_000 - age, 1_000 - age))
    os.utime(tmp_path / "current", (1, 1))

    assert prune(tmp_path, tmp_path / "current", keep=2) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"current", "newest"}
    assert prune(tmp_path, tmp_path / "current", keep=2) == 0
    assert prune(tmp_path, tmp_path / "current", keep=1) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"current"}


def interval_ledger(start: datetime, days: int, buckets: dict[int, tuple[int, int]]) -> IntervalLedger:
    plan = Plan.of(Settings(), seed=1, start=start, end=start + timedelta(days=days), sessions=10)
    return IntervalLedger([plan], describe(buckets))


def test_combined_oracle_auc_uses_the_intervals_in_the_window() -> None:
    inside = interval_ledger(START, 1, {-10: (10, 1), 10: (10, 5), NON_BUYER: (20, 0)})
    second = interval_ledger(START + timedelta(days=5), 1, {10: (10, 9)})
    before, after = interval_ledger(START - timedelta(days=1), 1, {0: (9, 1)}), interval_ledger(END, 1, {0: (9, 1)})

    both = describe({-10: (10, 1), 10: (20, 14), NON_BUYER: (20, 0)}).roc_auc_admitted
    assert combined_oracle_auc([before, inside, second, after], START, END) == both
    assert combined_oracle_auc([before, after], START, END) is None
    assert combined_oracle_auc([], START, END) is None


@pytest.mark.parametrize(
    ("first", "last", "within"),
    [
        (START - timedelta(days=9), START - timedelta(seconds=1), False),
        (START - timedelta(days=9), START, True),
        (END - timedelta(seconds=1), END + timedelta(days=9), True),
        (END, END + timedelta(days=9), False),
        (START - timedelta(days=1), END + timedelta(days=1), True),
        (None, None, False),
    ],
)
def test_replay_ledger_counts_inside_the_window(first: datetime | None, last: datetime | None, within: bool) -> None:
    assert ReplayLedger(first, last).within(START, END) is within


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An operator whose environment contains a fake batch program; a call runs a step by name."""
    (tmp_path / "include" / "batch").mkdir(parents=True)
    (tmp_path / "include" / "batch" / "__main__.py").write_text(STEP)
    out = tmp_path / "run"
    out.mkdir()
    values = Settings(batch=BatchSettings(python=sys.executable, runs_dir=str(tmp_path))).to_env()
    for name, value in {**values, "SHOWROOM_BATCH_NOISE_KEY": "n", "PYTHONPATH": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    plan = {"window": "2026-11-10/2026-11-24", "out": str(out), "oracle_auc": 0.9}
    pushed: dict[str, Any] = {}
    task = SimpleNamespace(xcom_pull=lambda task_ids: plan, xcom_push=lambda key, value: pushed.update({key: value}))

    def build(name: str) -> tuple[BatchStepOperator, Any]:
        return BatchStepOperator(task_id="step", step=name, plan_task_id="plan"), {"ti": task}

    return build


def test_operator_logs_lines_and_returns_the_summary(step: Any, capsys: pytest.CaptureFixture[str]) -> None:
    operator, context = step("features")
    assert operator.execute(context) == {"step": "features", "window": "2026-11-10/2026-11-24", "noise": "n"}
    assert "reading" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "error"), [("75", AirflowException), ("1", AirflowFailException), ("2", AirflowFailException)]
)
def test_operator_retries_only_ex_tempfail(step: Any, code: str, error: type[Exception]) -> None:
    operator, context = step(code)
    with pytest.raises(error, match="MongoDB is unavailable: check that it runs") as raised:
        operator.execute(context)
    assert isinstance(raised.value, AirflowFailException) == (error is AirflowFailException)


def test_killed_step_is_not_retried() -> None:
    with pytest.raises(AirflowFailException, match="train ended with -9: see its log"):
        raise_for_exit_code("train", -9, "")


def test_killing_the_task_kills_its_subprocess(step: Any, tmp_path: Path) -> None:
    command = build_command(
        Settings(batch=BatchSettings(python=sys.executable, runs_dir=str(tmp_path))),
        "sleeps",
        {"window": "a/b", "out": str(tmp_path / "run")},
    )
    program = f"import subprocess; subprocess.run({command!r})"
    with psutil.Popen([sys.executable, "-c", program], cwd=tmp_path) as parent:
        written = tmp_path / "run" / "pid"
        eventually(lambda: written.exists() and written.read_text(), 20)
        child = psutil.Process(int(written.read_text()))
        parent.kill()
    began = time.monotonic()
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() - began < 10, "the step outlived its task"
        time.sleep(0.05)


def test_step_environment_excludes_airflow_variables() -> None:
    base = {
        "AIRFLOW__CORE__FERNET_KEY": "secret",
        "AIRFLOW_CONN_MONGO_DEFAULT": "mongo://",
        "_AIRFLOW__AS_LIBRARY": "1",
        "PATH": "/bin",
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "MLFLOW_TRACKING_PASSWORD": "p",
    }
    result = build_environment(Settings(batch=BatchSettings(runs_dir="/state", window_days=9)), base)
    assert not [name for name in result if "AIRFLOW" in name and not name.startswith("SHOWROOM_")]
    assert result["MLFLOW_TRACKING_PASSWORD"] == "p"
    assert result["PATH"] == "/bin"
    assert result["SHOWROOM_BATCH_WINDOW_DAYS"] == "9"
    # The address in Airflow's network, not in a browser's.
    assert Settings.from_env(result).mlflow.url == "http://mlflow:5000"
    assert result["NUMBA_CACHE_DIR"].startswith("/state/")


def test_missing_batch_environment_raises() -> None:
    with pytest.raises(SettingsError, match="SHOWROOM_BATCH_PYTHON"):
        build_command(Settings(), "features", {"window": "a/b", "out": "/tmp"})


@pytest.mark.parametrize(
    ("summary", "run"),
    [
        ({}, None),
        ({"address": "http://m/#/experiments/1", "decisions": {}}, None),
        ({"address": "http://m/#/experiments/1", "decisions": {"purchase": {"challenger": None}}}, None),
        ({"address": "http://m/#/experiments/1", "decisions": {"purchase": {"challenger": {"run": "ab"}}}}, "1/ab"),
    ],
)
def test_link_points_to_the_run_of_the_challenger(summary: dict[str, Any], run: str | None) -> None:
    assert challenger_run(summary) == run
