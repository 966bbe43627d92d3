"""Nightly steps on synthetic sessions in a separate archive: wall time, CPU time and peak memory per step."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

import psutil
import typer

from benchmarks.result import report
from include.batch.steps import STEPS
from include.contracts.setting import Secret
from include.contracts.settings import BatchSettings, GateSettings, LocalSettings, MongodbSettings, Settings
from local.install.environments import ensure_environment
from local.install.java import ensure_java
from local.layout import Layout
from local.project import ROOT
from local.servers import mongodb

PORT_OFFSET = 3_000
STATE = Path(".showroom/bench-nightly")
KEY = "a key for benches only, never used elsewhere"
END = datetime(2026, 11, 23, tzinfo=UTC)
DAYS = 14
STARTUP_TIMEOUT_S, SAMPLING_INTERVAL_S = 60.0, 0.2
ARCHIVE_STEPS = ("features", "train", "privacy", "explain", "similar")
"""Steps that need no server except the archive."""

PACKAGES = ("numpy", "pyarrow", "pymongo", "scikit-learn", "tensorflow", "xgboost-cpu")
MAX_ORACLE_GAP = 0.03
"""Maximum gap between the ROC-AUC of the oracle and of the best model."""
MAX_WALL_S, MAX_PEAK_MB = 240.0, 3_000.0
"""Limits of all steps of a run together, and of the memory of any step."""
NONDETERMINISTIC_KEYS = ("seconds", "fit_s", "is_repeat")
"""Keys of a summary that differ between runs with equal results."""


@dataclass(frozen=True)
class ResourceUsage:
    """Usage of a process and its children: wall time, CPU time and peak resident memory."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run(
    sessions: Annotated[int, typer.Option(help="Visits in the window of two weeks.")] = 50_000,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic shop.")] = 1,
    step: Annotated[list[str] | None, typer.Option(help=f"Only this step; may be repeated. {', '.join(STEPS)}")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Fit only this kind of model; may be repeated.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the run's folder.")] = False,
    repeat: Annotated[bool, typer.Option(help="Run all steps a second time and compare the summaries.")] = False,
) -> None:
    """Measure the nightly steps; print one JSON line."""
    # A signal must also stop the archive's server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    settings = Settings(
        local=LocalSettings(state_dir=STATE, port_offset=PORT_OFFSET),
        gate=GateSettings(pseudonym_key=Secret(KEY)),
        batch=BatchSettings(noise_key=Secret(KEY)),
        mongodb=MongodbSettings(database="bench"),
    )
    steps = tuple(step or ARCHIVE_STEPS)
    window = f"{(END - timedelta(days=DAYS)).isoformat()}/{END.isoformat()}"
    out = ROOT / STATE / "run"
    with _archive(settings.local) as server:
        ground_truth, filling = _fill(settings, sessions, seed)
        options = ["--window", window, "--out", str(out), "--oracle-auc", repr(ground_truth["roc_auc_admitted"])]
        options += [f"--only={kind}" for kind in only or ()]
        summaries, usage_by_step = _run_steps(steps, options, settings)
        same = (
            {"identical": float(result_of(_run_steps(steps, options, settings)[0]) == result_of(summaries))}
            if repeat
            else {}
        )
        server_mb = server.memory_info().rss / 1e6
        if keep:
            shutil.copytree(out, ROOT / STATE.with_name(f"{STATE.name}-run"), dirs_exist_ok=True)
    figures: dict[str, Any] = {
        **_below_oracle(summaries.get("train"), ground_truth["roc_auc_admitted"]),
        **_private(summaries.get("privacy")),
        **same,
        "steps_s": round(sum(usage.wall_s for usage in usage_by_step.values()), 1),
        "peak_mb": round(max(usage.peak_mb for usage in usage_by_step.values())),
        "sessions": summaries.get("features", {}).get("sessions"),
        "fill_s": round(filling.wall_s, 1),
        "mongodb_rss_mb": round(server_mb),
        "ceiling_roc_auc": ground_truth["roc_auc_admitted"],
        **{f"{name}_s": round(usage.wall_s, 1) for name, usage in usage_by_step.items()},
        **{f"{name}_cpu_s": round(usage.cpu_s, 1) for name, usage in usage_by_step.items()},
        **{f"{name}_peak_mb": round(usage.peak_mb) for name, usage in usage_by_step.items()},
    }
    config = {"sessions": sessions, "days": DAYS, "steps": list(steps), "only": list(only or ())}
    targets = {name: target for name, target in TARGETS.items() if name in figures}
    name = f"nightly-{sessions}"
    typer.echo(report(name, figures=figures, targets=targets, seed=seed, config=config, packages=PACKAGES))


TARGETS = {
    "below_ceiling": ("at most", MAX_ORACLE_GAP),
    "canaries_at_chance": ("at least", 1.0),
    "private_canary_at_chance": ("at least", 1.0),
    "identical": ("at least", 1.0),
    "steps_s": ("at most", MAX_WALL_S),
    "peak_mb": ("at most", MAX_PEAK_MB),
}


def _run_steps(
    steps: Sequence[str], options: Sequence[str], settings: Settings
) -> tuple[dict[str, Any], dict[str, ResourceUsage]]:
    """Run the steps in sequence; return their summaries and their resource usage."""
    summaries: dict[str, Any] = {}
    usage_by_step: dict[str, ResourceUsage] = {}
    for name in steps:
        line, usage_by_step[name] = _run_measured([sys.executable, "-m", "include.batch", name, *options], settings)
        summaries[name] = json.loads(line)
        _log(f"{name}: {usage_by_step[name].wall_s:.1f} s, {usage_by_step[name].peak_mb:.0f} MB")
    return summaries, usage_by_step


def result_of(summary: Any) -> Any:
    """Return a summary without the keys that differ between equal runs."""
    if isinstance(summary, dict):
        return {name: result_of(value) for name, value in summary.items() if name not in NONDETERMINISTIC_KEYS}
    return [result_of(value) for value in summary] if isinstance(summary, list) else summary


def _below_oracle(trained: dict[str, Any] | None, oracle_auc: float) -> dict[str, float]:
    """Return the ROC-AUC on the temporal holdout by kind, and the gap of the selected model to the oracle."""
    if trained is None:
        return {}
    roc_auc = {
        kind: float(evaluation["intervals"]["roc_auc"]["value"]) for kind, evaluation in trained["models"].items()
    }
    figures = {f"{kind}_roc_auc": round(value, 4) for kind, value in roc_auc.items()}
    checks = [model["shuffled_label_check"] for model in trained["models"].values() if model["shuffled_label_check"]]
    return {
        **figures,
        "below_ceiling": round(oracle_auc - roc_auc[trained["best"]], 4),
        "canaries": len(checks),
        "canaries_at_chance": float(bool(checks) and all(check["ok"] for check in checks)),
    }


def _private(released: dict[str, Any] | None) -> dict[str, float]:
    """Return the metrics of the private network, and its epsilon."""
    if released is None or "scores" not in released:
        return {}
    return {
        "private_roc_auc": round(released["scores"]["intervals"]["roc_auc"]["value"], 4),
        "private_epsilon": round(released["epsilon"], 4),
        "private_canary_at_chance": float(released["scores"]["shuffled_label_check"]["ok"]),
    }


@contextlib.contextmanager
def _archive(settings: LocalSettings) -> Iterator[psutil.Process]:
    """Start a new and empty MongoDB stand-in; stop it and delete its data afterwards."""
    ensure_java(_log)
    layout = Layout.of(settings)
    shutil.rmtree(layout.root, ignore_errors=True)
    layout.create()
    program = mongodb.program(settings, layout)
    program.prepare()
    with (layout.log / "mongodb.log").open("wb") as log:
        server = subprocess.Popen(program.command, stdout=log, stderr=log)
    try:
        _wait(program.probe, server)
        yield psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(layout.root, ignore_errors=True)


class _Probe(Protocol):
    def __call__(self) -> str | None: ...


def _wait(probe: _Probe, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTUP_TIMEOUT_S
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            if probe() is None:
                return
        time.sleep(SAMPLING_INTERVAL_S)
    raise typer.Exit(1)


def _fill(settings: Settings, sessions: int, seed: int) -> tuple[dict[str, Any], ResourceUsage]:
    """Fill the archive with two weeks of synthetic visits; return their ground truth."""
    python = ensure_environment("dev", _log)
    _log(f"filling the archive with {sessions:,} visits")
    start = END - timedelta(days=DAYS)
    command = [str(python), "-m", "benchmarks.fill_archive", "--start", f"{start:%Y-%m-%d}", "--end", f"{END:%Y-%m-%d}"]
    line, usage_by_step = _run_measured([*command, "--sessions", str(sessions), "--seed", str(seed)], settings)
    return cast("dict[str, Any]", json.loads(line)), usage_by_step


def _run_measured(command: Sequence[str], settings: Settings) -> tuple[str, ResourceUsage]:
    """Run a command; return the last line of its output. A failed command ends the benchmark."""
    environment = {**os.environ, **settings.to_env(), "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    peak = 0.0
    cpu = 0.0
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            peak, cpu = max(peak, _resident_mb(process.pid)), max(cpu, _cpu_s(process.pid))
        time.sleep(SAMPLING_INTERVAL_S)
    printed, _ = process.communicate()
    if process.returncode:
        _log(f"{' '.join(command[:4])} ended with {process.returncode}")
        raise typer.Exit(process.returncode)
    return printed.strip().splitlines()[-1], ResourceUsage(time.monotonic() - began, cpu, peak)


def _process_tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _resident_mb(pid: int) -> float:
    return sum(process.memory_info().rss for process in _process_tree(pid)) / 1e6


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _log(line: str) -> None:
    """Print progress to standard error, because the last line of standard output is the result."""
    typer.echo(line, err=True)


if __name__ == "__main__":
    typer.run(run)
