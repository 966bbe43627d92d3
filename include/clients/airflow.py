"""Airflow's REST API."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
from tenacity import wait_exponential_jitter

from include.clients.errors import unavailable, with_retries
from include.contracts.errors import NotReadyError, TerminalError, TransientError

TIMEOUT_S = 15.0
POLL_S = 0.5
ENDED = ("success", "failed")
UNAUTHORIZED = 401
NOT_FOUND = 404
IDEMPOTENT = ("GET", "PATCH")
DATABASE_ATTEMPTS = 5


class Login(NamedTuple):
    """A user of Airflow."""

    user: str
    password: str


class DatabaseBusyError(TransientError):
    """Airflow's database rejected a statement: SQLite does so after a concurrent write of another transaction."""


class AirflowApi:
    """A logged-in connection. TransientError: Airflow is unavailable; TerminalError: it rejected the request."""

    def __init__(self, url: str, login: Login) -> None:
        self._login = login
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def token(self) -> str:
        """Return a new token for the stack's user."""
        response = self._send(
            "POST", "/auth/token", json={"username": self._login.user, "password": self._login.password}
        )
        return str(_checked(response, "log in")["access_token"])

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a manual run with these params; return its id. A run of a paused DAG waits until it is unpaused."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self._request_json("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def end(self, dag_id: str, run_id: str) -> None:
        """Set a run to failed; Airflow ends its running tasks."""
        self._request_json("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"})

    def state(self, dag_id: str, run_id: str) -> str:
        """Return queued, running, success or failed."""
        return str(self._request_json("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait(self, dag_id: str, run_id: str, deadline_s: float = 120.0) -> str:
        """Wait until a run has ended; return its state. Raises NotReadyError after the deadline."""
        until = time.monotonic() + deadline_s
        while (state := self.state(dag_id, run_id)) not in ENDED:
            if time.monotonic() > until:
                raise NotReadyError(f"{dag_id} {run_id} is still {state}", "see its tasks in Airflow")
            time.sleep(POLL_S)
        return state

    def wait_for_dags(self, dag_ids: set[str], deadline_s: float = 60.0) -> None:
        """Wait until Airflow has parsed these DAGs. Raises NotReadyError, or TerminalError for a broken DAG."""
        until = time.monotonic() + deadline_s
        while missing := dag_ids - self.dags().keys():
            if broken := broken_dag(self.import_errors(), missing):
                raise TerminalError(f"import of a DAG failed: {broken}", "see the import errors in Airflow")
            if time.monotonic() > until:
                raise NotReadyError(f"Airflow has not parsed {', '.join(sorted(missing))}", "see its import errors")
            time.sleep(POLL_S)

    def dags(self) -> dict[str, bool]:
        """Return DAG -> whether it is paused."""
        return {dag["dag_id"]: dag["is_paused"] for dag in self._request_json("GET", "/api/v2/dags?limit=100")["dags"]}

    def pause(self, dag_id: str) -> None:
        """Pause a DAG: no new scheduled runs."""
        self._request_json("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": True})

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG."""
        self._request_json("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def import_errors(self) -> list[str]:
        """Return the import errors of DAGs and plugins, one line each."""
        dags = self._request_json("GET", "/api/v2/importErrors")["import_errors"]
        plugins = self._request_json("GET", "/api/v2/plugins/importErrors")["import_errors"]
        return [
            *(f"{result['filename']}: {result['stack_trace']}" for result in dags),
            *(f"{result['source']}: {result['error']}" for result in plugins),
        ]

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the newest runs of a DAG, newest first."""
        path = f"/api/v2/dags/{dag_id}/dagRuns?limit=50&order_by=-run_after"
        return list(self._request_json("GET", path)["dag_runs"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of one run."""
        return list(
            self._request_json("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        )

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return task -> state of one run."""
        return {task["task_id"]: str(task["state"]) for task in self.tasks(dag_id, run_id)}

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return the result of a task; None without one."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        response = self._request("GET", path, {})
        return None if response.status_code == NOT_FOUND else _checked(response, path)["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """Return the log of a task, one line each, errors with their causes."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        lines: list[str] = []
        for entry in self._request_json("GET", path)["content"]:
            causes = [f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or ()]
            lines += [str(entry.get("event", "")), *causes]
        return "\n".join(lines)

    def failure(self, dag_id: str, run_id: str) -> str:
        """Return the failed tasks of a run, each with the last line of its log."""
        states = self.task_states(dag_id, run_id)
        failed = [task for task, state in states.items() if state == "failed"]
        return "; ".join(f"{task}: {self.last_error_line(dag_id, run_id, task)}" for task in failed) or "no task failed"

    def last_error_line(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return the last line of a task's newest log that concerns the task itself."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        attempt = int(self._request_json("GET", path)["try_number"])
        lines = [line.strip() for line in self.log(dag_id, run_id, task_id, max(1, attempt)).splitlines()]
        telling = [line for line in lines if line and not line.startswith(("::", "ALERT "))]
        return telling[-1] if telling else "see its log"

    def _request_json(self, method: str, path: str, **options: Any) -> Any:
        return with_retries(
            lambda: _checked(self._request(method, path, options), f"{method} {path}"),
            wait=wait_exponential_jitter(multiplier=0.1, max=2.0),
            attempts=DATABASE_ATTEMPTS if method in IDEMPOTENT else 1,
            retry_on=DatabaseBusyError,
        )

    def _request(self, method: str, path: str, options: Mapping[str, Any]) -> httpx.Response:
        response = self._send(method, path, **options)
        if response.status_code == UNAUTHORIZED:
            # The first request, or a token that has expired.
            self._http.headers["Authorization"] = f"Bearer {self.token()}"
            response = self._send(method, path, **options)
        return response

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise unavailable(f"{method} {path}", f"Airflow at {self._http.base_url}", error) from error


def broken_dag(import_errors: Iterable[str], dag_ids: Iterable[str]) -> str | None:
    """Return the last line of the import error of one of these DAGs; Airflow retries an import that timed out."""
    for error in import_errors:
        path, _, trace = error.partition(":")
        if any(Path(path).stem == dag_id for dag_id in dag_ids) and "timeout" not in trace.lower():
            return f"{path}: {trace.strip().splitlines()[-1] if trace.strip() else 'no reason given'}"
    return None


def _checked(response: httpx.Response, doing: str) -> Any:
    if response.status_code in (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE):
        raise TransientError(f"{doing}: Airflow answered {response.status_code}", "try again in some seconds")
    if response.status_code == httpx.codes.INTERNAL_SERVER_ERROR and "Database error" in response.text:
        raise DatabaseBusyError(f"{doing}: Airflow's database rejected a statement", "try again in some seconds")
    if response.is_error:
        raise TerminalError(
            f"{doing}: Airflow answered {response.status_code} {response.text[:200]}", "see airflow-api's log"
        )
    return response.json() if response.content else None
