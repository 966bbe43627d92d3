"""Operator that runs the steps of the nightly batch."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from include.contracts.settings import Settings
from showroom.fail_fast import fail_fast_on_terminal
from showroom.links import RUN_KEY, MlflowRunLink
from showroom.settings import batch_python, batch_runs_dir, load_settings

POOL = "batch"
EX_TEMPFAIL = 75
"""Exit code of a step whose retry may help (sysexits.h); any other non-zero code fails the task."""
TRACKING = "MLFLOW_TRACKING_URI"


class BatchStepOperator(BaseOperator):
    """Run one step of a nightly run as a subprocess in the batch's environment.

    The subprocess logs into the task's log; its summary is the task's result. Killing the task kills the subprocess.

    Args:
        step: name of the step.
        plan_task_id: task whose result is the plan: `window`, `out` and `oracle_auc`.
        pool: Airflow pool that limits concurrent steps.
    """

    operator_extra_links = (MlflowRunLink(),)

    def __init__(self, *, step: str, plan_task_id: str, pool: str = POOL, **kwargs: Any) -> None:
        super().__init__(pool=pool, **kwargs)
        self.step = step
        self.plan_task_id = plan_task_id
        self._process = SubprocessHook()

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the step and return its summary.

        Raises:
            AirflowException: a retry may help.
            AirflowFailException: a retry cannot help.
        """
        plan = context["ti"].xcom_pull(task_ids=self.plan_task_id)
        with fail_fast_on_terminal():
            settings = load_settings()
            command = build_command(settings, self.step, plan)
            environment = build_environment(settings, os.environ)
        # Run in the run's folder, because modules in the project's folder would shadow installed packages.
        result = self._process.run_command(command, env=environment, cwd=plan["out"])
        raise_for_exit_code(self.step, result.exit_code, result.output)
        summary: dict[str, Any] = json.loads((Path(plan["out"]) / f"{self.step}.json").read_text())
        if run := challenger_run(summary):
            context["ti"].xcom_push(key=RUN_KEY, value=run)
        return summary

    def on_kill(self) -> None:
        """Terminate the subprocess when the task is stopped."""
        if self._process.sub_process is not None:
            self._process.send_sigterm()  # type: ignore[no-untyped-call]


def build_command(settings: Settings, step: str, plan: Mapping[str, Any]) -> list[str]:
    """Build the command of a step.

    Raises:
        SettingsError: the settings do not name the batch's environment.
    """
    # nice: the stream has priority for the CPU. setpriv: killing the task also kills its subprocess.
    prefix = [*_if_installed("nice", "-n", "10"), *_if_installed("setpriv", "--pdeathsig", "KILL")]
    options = ["--window", plan["window"], "--out", plan["out"]]
    if plan.get("oracle_auc") is not None:
        options += ["--oracle-auc", f"{plan['oracle_auc']:.6f}"]
    return [*prefix, str(batch_python(settings)), "-P", "-m", "include.batch", step, *options]


def build_environment(settings: Settings, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a step.

    It contains this process's variables without Airflow's, the settings with the MLflow address that this process uses,
    and the cache folders.
    """
    caches = batch_runs_dir(settings) / "cache"
    effective = settings.replace(mlflow={"url": base.get(TRACKING) or settings.mlflow.url})
    return {
        **{name: value for name, value in base.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))},
        **effective.to_env(),
        "NUMBA_CACHE_DIR": str(caches / "numba"),
        "MPLCONFIGDIR": str(caches / "matplotlib"),
    }


def raise_for_exit_code(step: str, code: int, output: str) -> None:
    """Translate an exit code: AirflowException for a retry, AirflowFailException for a permanent failure."""
    if code == 0:
        return
    reason = output.removeprefix("batch: ") or "see its log"
    if code == EX_TEMPFAIL:
        raise AirflowException(f"{step}: {reason}")
    raise AirflowFailException(f"{step} ended with {code}: {reason}")


def challenger_run(summary: Mapping[str, Any]) -> str | None:
    """Return `experiment/run` of the best challenger in a summary; None without a challenger."""
    experiment = str(summary.get("address", "")).partition("/#/experiments/")[2]
    decisions = summary.get("decisions") or {}
    runs = [decision["challenger"]["run"] for decision in decisions.values() if decision.get("challenger")]
    return f"{experiment}/{runs[0]}" if experiment and runs else None


def _if_installed(*command: str) -> tuple[str, ...]:
    return command if shutil.which(command[0]) else ()
