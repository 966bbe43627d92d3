"""Flink's responses as the stream job's commands parse them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.clients.flink import FlinkRest
from include.contracts.errors import NotReadyError, TerminalError, TransientError
from include.contracts.settings import Settings
from include.contracts.stream import JOB_NAME
from include.supervise.flink_progress import records_out
from include.supervise.stream_job import (
    JobProgram,
    RestorePoint,
    cancel,
    get_job_status,
    running_job,
    stop_with_savepoint,
    submit,
    wait_running,
)

Answers = dict[str, Any]


def flink(answers: Answers, requests: list[httpx.Request] | None = None) -> FlinkRest:
    """A cluster that responds to `METHOD /path` with JSON, a status, or an error."""

    def answer(request: httpx.Request) -> httpx.Response:
        if requests is not None:
            requests.append(request)
        result = answers.get(f"{request.method} {request.url.path}", 404)
        if callable(result):
            result = result()
        if isinstance(result, Exception):
            raise result
        if isinstance(result, int):
            return httpx.Response(result, json={"errors": ["no such thing"]})
        return httpx.Response(200, json=result)

    return FlinkRest(Settings().flink, httpx.MockTransport(answer))


def job(state: str, name: str = JOB_NAME, jid: str = "j1", start: int = 1) -> dict[str, Any]:
    return {"jid": jid, "name": name, "state": state, "start-time": start, "end-time": -1, "duration": 5}


def overview(*jobs: dict[str, Any]) -> Answers:
    return {"GET /jobs/overview": {"jobs": list(jobs)}}


def details(state: str, **tasks: int) -> Answers:
    vertex = {"id": "v", "name": "Source", "parallelism": 1, "status": "RUNNING", "tasks": tasks}
    return {"GET /jobs/j1": job(state) | {"now": 61_000, "vertices": [vertex]}}


def checkpoints(completed: int) -> Answers:
    latest = {"id": 3, "external_path": "file:/c", "trigger_timestamp": 1_000, "latest_ack_timestamp": 1_000}
    counts = {"restored": 0, "total": 9, "in_progress": 0, "completed": completed, "failed": 1}
    return {
        "GET /jobs/j1/checkpoints": {"counts": counts, "latest": {"completed": latest if completed else None}},
        "GET /jobs/j1/exceptions": {
            "exceptionHistory": {
                "entries": [{"stacktrace": "Outer: it failed\n\tat x\nCaused by: java.Boom: why\n\t... 1 more"}]
            }
        },
        "GET /jobs/j1/metrics": [{"id": "numRestarts", "value": "2"}],
    }


@pytest.mark.parametrize("state", ["CREATED", "RUNNING", "RESTARTING", "FAILING", "CANCELLING", "SUSPENDED"])
def test_submit_while_a_job_exists_raises(state: str) -> None:
    with pytest.raises(TerminalError, match="already exists"):
        submit(flink(overview(job(state))), JobProgram(Path("x.jar"), "/p", "/p/flink/job.py"))


def test_running_job_ignores_ended_jobs_and_other_names() -> None:
    jobs = [job("FINISHED"), job("CANCELED"), job("FAILED"), job("RUNNING", name="other")]
    assert running_job(flink(overview(*jobs))) is None


def test_submit_sends_script_path_and_restore_point(tmp_path: Path) -> None:
    jar = tmp_path / "f.jar"
    jar.write_bytes(b"jar")
    requests: list[httpx.Request] = []
    responses = overview() | {
        "GET /jars": {"address": "a", "files": []},
        "POST /jars/upload": {"filename": "/tmp/upload/abc_f.jar", "status": "success"},
        "POST /jars/abc_f.jar/run": {"jobid": "j9"},
    }
    program = JobProgram(jar, "/project", "/project/flink/job.py")
    assert submit(flink(responses, requests), program, RestorePoint(tmp_path, 0.0)) == "j9"
    assert json.loads(requests[-1].content) == {
        "entryClass": "org.apache.flink.client.python.PythonDriver",
        "programArgsList": ["-py", "/project/flink/job.py", "-pypath", "/project"],
        "savepointPath": tmp_path.as_uri(),
        "allowNonRestoredState": False,
    }


def test_submit_of_a_job_that_fails_to_start_raises_its_cause(tmp_path: Path) -> None:
    (tmp_path / "x.jar").write_bytes(b"")
    jobs = iter([[], [job("FAILED", jid="j1")]])
    responses: Answers = checkpoints(0) | {
        "GET /jobs/overview": lambda: {"jobs": next(jobs)},
        "GET /jars": {"files": [{"id": "jar", "name": "e3b0c44298fc-x.jar", "uploaded": 1}]},
        "POST /jars/jar/run": 400,
    }
    with pytest.raises(TerminalError, match=r"could not start: java\.Boom: why"):
        submit(flink(responses), JobProgram(tmp_path / "x.jar", "/p", "/p/flink/job.py"))


class Ids:
    """Ids in order: the first one until it is spent."""

    def __init__(self, *ids: str) -> None:
        self.left = list(ids)

    def extend(self) -> None:
        """The lock is never lost."""

    def job_id(self) -> str:
        return self.left[0]

    def spend(self, job_id: str) -> None:
        assert job_id in self.left
        self.left.remove(job_id)


def ready(known: list[dict[str, Any]], run: Any) -> Answers:
    jars = {"files": [{"id": "jar", "name": "e3b0c44298fc-x.jar", "uploaded": 1}]}
    return overview(*known) | {"GET /jars": jars, "POST /jars/jar/run": run}


@pytest.fixture
def program(tmp_path: Path) -> JobProgram:
    (tmp_path / "x.jar").write_bytes(b"")
    return JobProgram(tmp_path / "x.jar", "/p", "/p/flink/job.py")


def test_submit_with_ids_names_the_job_and_spends_its_id(program: JobProgram) -> None:
    requests: list[httpx.Request] = []
    ids = Ids("a", "b")
    assert submit(flink(ready([], {"jobid": "a"}), requests), program, ids=ids) == "a"
    assert json.loads(requests[-1].content)["jobId"] == "a"
    assert ids.left == ["b"]


def test_submit_with_id_of_ended_job_uses_the_next_id(program: JobProgram) -> None:
    requests: list[httpx.Request] = []
    submit(flink(ready([job("CANCELED", jid="a")], {"jobid": "b"}), requests), program, ids=Ids("a", "b", "c"))
    assert json.loads(requests[-1].content)["jobId"] == "b"


def test_submit_with_a_lost_response_retains_the_id(program: JobProgram) -> None:
    ids = Ids("a", "b")
    with pytest.raises(TransientError):
        submit(flink(ready([], httpx.ReadTimeout("slow"))), program, ids=ids)
    assert ids.left == ["a", "b"]


def test_submit_concurrent_with_another_raises(program: JobProgram) -> None:
    jobs = iter([[], [job("RUNNING", jid="a")]])
    responses = ready([], 400) | {"GET /jobs/overview": lambda: {"jobs": next(jobs)}}
    with pytest.raises(TerminalError, match="already exists"):
        submit(flink(responses), program, ids=Ids("a", "b"))


def test_ensure_jar_that_exists_is_not_uploaded(tmp_path: Path) -> None:
    (tmp_path / "f.jar").write_bytes(b"")
    name = "e3b0c44298fc-f.jar"  # SHA-256 of no bytes
    files = [{"id": "old", "name": name, "uploaded": 1}, {"id": "new", "name": name, "uploaded": 2}]
    assert flink({"GET /jars": {"files": files}}).ensure_jar(tmp_path / "f.jar") == "new"


def test_ensure_jar_with_new_content_is_uploaded(tmp_path: Path) -> None:
    (tmp_path / "f.jar").write_bytes(b"newer")
    responses = {
        "GET /jars": {"files": [{"id": "old", "name": "e3b0c44298fc-f.jar", "uploaded": 1}]},
        "POST /jars/upload": {"filename": "/tmp/upload/new_f.jar", "status": "success"},
    }
    assert flink(responses).ensure_jar(tmp_path / "f.jar") == "new_f.jar"


@pytest.mark.parametrize(
    ("responses", "error", "said"),
    [
        ({"GET /jobs/overview": httpx.ConnectError("refused")}, TransientError, "is unavailable"),
        ({"GET /jobs/overview": 503}, TransientError, "not ready"),
        ({"GET /jobs/overview": 400}, TerminalError, "no such thing"),
    ],
)
def test_errors_are_transient_or_terminal(responses: Answers, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        flink(responses).jobs()


def healthy(answers: Answers) -> Callable[[], None]:
    return lambda: wait_running(flink(answers), "j1", deadline_s=0.01)


def test_wait_running_requires_all_tasks_and_a_checkpoint() -> None:
    healthy(details("RUNNING", RUNNING=2) | checkpoints(1))()
    # A dead TaskManager: the job's state is still RUNNING.
    with pytest.raises(NotReadyError, match=r"SCHEDULED.*java\.Boom: why"):
        healthy(details("RUNNING", RUNNING=1, SCHEDULED=1) | checkpoints(1))()
    with pytest.raises(NotReadyError, match="0 checkpoints"):
        healthy(details("RUNNING", RUNNING=2) | checkpoints(0))()
    with pytest.raises(TerminalError, match="FAILED"):
        healthy(details("FAILED") | checkpoints(0))()


def test_get_job_status_returns_plain_data() -> None:
    seen = get_job_status(flink(overview(job("RUNNING")) | details("RUNNING", RUNNING=1, SCHEDULED=2) | checkpoints(4)))
    assert seen is not None
    assert (seen.state, seen.idle_tasks, seen.checkpoints, seen.restarts) == ("RUNNING", {"SCHEDULED": 2}, 4, 2)
    assert (seen.checkpoint_age_s, seen.failures) == (60.0, ["java.Boom: why"])


def test_stop_with_a_failed_savepoint_raises_its_cause() -> None:
    failure = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"stack-trace": "Disk full\n\tat y"}}}
    responses = overview(job("RUNNING")) | {
        "POST /jobs/j1/stop": {"request-id": "r"},
        "GET /jobs/j1/savepoints/r": failure,
    }
    with pytest.raises(TerminalError, match="Disk full"):
        stop_with_savepoint(flink(responses), deadline_s=0.01)


def test_stop_without_a_job_raises() -> None:
    with pytest.raises(TerminalError, match="no job"):
        stop_with_savepoint(flink(overview()))


def test_records_out_is_the_sum_over_chained_operators_of_all_vertices() -> None:
    metrics = "GET /jobs/j1/vertices/v/subtasks/metrics"
    requests: list[httpx.Request] = []
    responses: Answers = {
        **details("RUNNING", RUNNING=1),
        metrics: [{"id": "x.numRecordsOut", "sum": 7.0}, {"id": "y"}],
    }
    with flink(responses, requests) as rest:
        assert records_out(rest, rest.job("j1")) == 7
    assert [request.url.query for request in requests[1:]] == [b"", b"get=x.numRecordsOut&agg=sum"]


def test_records_out_of_a_job_without_counters_is_0() -> None:
    with flink({**details("RUNNING"), "GET /jobs/j1/vertices/v/subtasks/metrics": []}) as rest:
        assert records_out(rest, rest.job("j1")) == 0


def test_cancel_with_a_duplicate_job_ends_with_the_cancelled_one() -> None:
    states = iter(["RUNNING", "CANCELLING", "CANCELED"])
    answers: Answers = {
        "GET /jobs/overview": lambda: {"jobs": [job(next(states), jid="j1"), job("RUNNING", jid="j2")]},
        "PATCH /jobs/j1": {},
    }
    assert cancel(flink(answers), deadline_s=5.0) == "j1"
