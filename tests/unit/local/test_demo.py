"""The demo's steps and its last screen."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from include.clients.airflow import Login
from include.contracts.settings import Settings
from include.serving.queries import Kpi
from local.demo import plan as demo_plan
from local.demo import summary as demo_screen
from local.demo.nightly_run import STEPS, NightlyRunResult
from local.demo.run import DemoConfig, DemoResult
from local.verification.count_check import StageCount
from local.verification.freshness import Freshness

SHOW = DemoConfig(sessions=50_000, days=14, live_s=60, live_per_s=50.0, seed=1)
LINES = [
    StageCount("ingest", "sessions.raw", 1_100, 1_100),
    StageCount("gate", "sessions.valid", 1_000, 1_000),
    StageCount("gate", "rejected: duplicate", 60, 60),
    StageCount("gate", "rejected: empty", 40, 40),
    StageCount("stream", "session_summary", 1_000, 1_000),
    StageCount("archive", "sessions in MongoDB", 1_000, 1_000),
]


@pytest.fixture(autouse=True)
def logins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_screen, "login", lambda _: Login("admin", "secret"))
    monkeypatch.setattr(demo_screen, "viewer_login", lambda _: Login("viewer", "seen"))
    monkeypatch.setattr("local.servers.mlflow.read_keys", lambda _: None)


def outcome(lines: list[StageCount] = LINES) -> DemoResult:
    kpi = Kpi("all", 1_000, 115, 123_456.0, conversion=0.115, mean_duration_s=137.0, late_sessions=0)
    return DemoResult(lines, [kpi], Freshness(sampled=100, lost=0, p50_s=1.1, p95_s=1.9))


def nightly_result(**failed: str) -> NightlyRunResult:
    messages: dict[str, dict[str, Any]] = {step: {} for step in STEPS}
    messages["train"] = {
        "best": "gradient_boost",
        "oracle_auc": 0.84,
        "models": {"gradient_boost": {"intervals": {"roc_auc": {"value": 0.82, "low": 0.8, "high": 0.84}}}},
    }
    messages["privacy"] = {"spent": 1.25, "budget": 8.0}
    messages["similar"] = {"users": 900, "with_neighbours": 800}
    return NightlyRunResult(run_id="r", seconds=90.0, summaries=messages, failed=failed)


def shown(actual: DemoResult, after: NightlyRunResult | None) -> list[str]:
    console = Console(file=io.StringIO(), width=150)
    console.print(demo_screen.render_summary(Settings(), actual, after, 500.0))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_summary_has_counts_and_addresses() -> None:
    lines = shown(outcome(), nightly_result())
    assert len(lines) <= 24
    for expected in (
        "Showroom runs, and the counts of all stages match. It took about 8 min.",
        "sent 1,100 records, including injected faults",
        "admitted 1,000 1,000 searchable, 1,000 archived",
        "rejected 100 duplicate 60, empty 40",
        "revenue 123,456 115 purchases, conversion 11.5%",
        "freshness 1.90 s p95 from produced to searchable, p50 1.10 s",
        "best model 0.820 ROC-AUC of gradient boost on later visits, 0.800 to 0.840; oracle 0.840",
        "epsilon 1.25 spent by all runs, budget 8",
        "similar 800 of 900 users have neighbours",
        f"Airflow {Settings().airflow.url} user admin, password secret",
    ):
        assert expected in lines


def test_summary_with_differences_starts_with_them() -> None:
    lines = shown(outcome([*LINES, StageCount("stream", "kpi_minute: sessions", 1_000, 999)]), None)
    assert lines[1] == "Showroom runs, but the counts of some stages differ, see above."


def test_summary_with_failed_nightly_run_starts_with_it() -> None:
    lines = shown(outcome(), nightly_result(train="no memory"))
    assert lines[1] == "Showroom runs, but the nightly run is not complete, see its errors above."


def test_summary_of_replay_omits_freshness_and_nightly_run() -> None:
    lines = shown(DemoResult(LINES, [], None), None)
    assert "sent 1,100 records of the log" in lines
    assert not any(line.startswith(("freshness", "best model", "revenue")) for line in lines)


def test_plan_has_the_steps_of_the_demo() -> None:
    assert [step.name for step in demo_plan.synthetic(SHOW)] == [
        *("install", "servers", "stream", "history", "index", "live", "archive", "night")
    ]
    short = DemoConfig(sessions=10, days=1, live_s=1, live_per_s=1.0, seed=1)
    assert [step.name for step in demo_plan.synthetic(short)][-1] == "archive"


def test_plan_of_running_platform_has_own_durations() -> None:
    cold, warm = demo_plan.synthetic(SHOW), demo_plan.synthetic(SHOW, running=True)
    assert [step.name for step in cold] == [step.name for step in warm]
    assert [step.key for step in warm[1:3]] == ["servers running", "stream running"]
    assert sum(step.seconds for step in warm[1:3]) < sum(step.seconds for step in cold[1:3])


def test_plan_of_replay_depends_on_the_log_size(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_bytes(b"x" * 1_000_000)
    steps = demo_plan.replayed(log)
    assert [step.name for step in steps] == ["install", "servers", "stream", "replay", "index", "archive"]
    assert steps[3].key == "replay 1000000"
    assert demo_plan.replayed(tmp_path / "none")[3].seconds == 0
