"""The operator for the steps of the nightly batch."""

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
from showroom.settings import batch_folder, batch_python, load_settings

POOL = "batch"
TRY_AGAIN = 75
"""Exit code of a step that may do better later; every other one fails for good."""
TRACKING = "MLFLOW_TRACKING_URI"


class BatchStepOperator(BaseOperator):
    """One step of a nightly run, as a process of the batch's own environment.

    Its lines go into the task's log, its summary is the result. `planned_by` is the task whose result is the plan:
    `window`, `out` and `ceiling`. The step ends with the task, however that ends.
    """

    operator_extra_links = (MlflowRunLink(),)

    def __init__(self, *, step: str, planned_by: str, pool: str = POOL, **kwargs: Any) -> None:
        super().__init__(pool=pool, **kwargs)
        self.step = step
        self.planned_by = planned_by
        self._process = SubprocessHook()

    def execute(self, context: Context) -> dict[str, Any]:
        """Run it; the summary."""
        plan = context["ti"].xcom_pull(task_ids=self.planned_by)
        with fail_fast_on_terminal():
            current = load_settings()
            command = command_of(current, self.step, plan)
            environment = environment_of(current, os.environ)
        # Beside the code lies what must not be imported in its place.
        done = self._process.run_command(command, env=environment, cwd=plan["out"])
        require(self.step, done.exit_code, done.output)
        summary: dict[str, Any] = json.loads((Path(plan["out"]) / f"{self.step}.json").read_text())
        if run := tracked(summary):
            context["ti"].xcom_push(key=RUN_KEY, value=run)
        return summary

    def on_kill(self) -> None:
        """End the step with the task that is stopped."""
        if self._process.sub_process is not None:
            self._process.send_sigterm()  # type: ignore[no-untyped-call]


def command_of(current: Settings, step: str, plan: Mapping[str, Any]) -> list[str]:
    """The command of a step; SettingsError where the settings do not name the environment."""
    # The stream goes first where both want the processor; a task that is killed takes its step along.
    before = [*_found("nice", "-n", "10"), *_found("setpriv", "--pdeathsig", "KILL")]
    options = ["--window", plan["window"], "--out", plan["out"]]
    if plan.get("ceiling") is not None:
        options += ["--ceiling", f"{plan['ceiling']:.6f}"]
    return [*before, str(batch_python(current)), "-P", "-m", "include.batch", step, *options]


def environment_of(current: Settings, around: Mapping[str, str]) -> dict[str, str]:
    """What a step knows: this process's environment, MLflow's address as reached from here, folders for caches."""
    caches = batch_folder(current) / "cache"
    reached = current.replace(mlflow_url=around.get(TRACKING) or current.mlflow_url)
    return {
        **{name: value for name, value in around.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))},
        **reached.to_env(),
        "NUMBA_CACHE_DIR": str(caches / "numba"),
        "MPLCONFIGDIR": str(caches / "matplotlib"),
    }


def require(step: str, code: int, said: str) -> None:
    """Raise what a step's end means: AirflowException to try again, AirflowFailException to give up."""
    if code == 0:
        return
    reason = said.removeprefix("batch: ") or "see its log"
    if code == TRY_AGAIN:
        raise AirflowException(f"{step}: {reason}")
    raise AirflowFailException(f"{step} ended with {code}: {reason}")


def tracked(summary: Mapping[str, Any]) -> str | None:
    """`experiment/run` of the best model that a summary tells as challenger; None where it tells of none."""
    experiment = str(summary.get("address", "")).partition("/#/experiments/")[2]
    decisions = summary.get("decisions") or {}
    runs = [decision["challenger"]["run"] for decision in decisions.values() if decision.get("challenger")]
    return f"{experiment}/{runs[0]}" if experiment and runs else None


def _found(*command: str) -> tuple[str, ...]:
    return command if shutil.which(command[0]) else ()
