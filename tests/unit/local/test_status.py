"""The one table of the status, and the remarks below it."""

import io
import os

import pytest
from rich.console import Console

from cli.status import remarks, table
from include.supervise.stage_status import StageRow
from local import processes
from local.stack import ProgramStatus
from local.throughput import Flow, by_process


def program(name: str, state: str = "RUNNING", **more: object) -> ProgramStatus:
    fields: dict[str, object] = {"pid": 7, "uptime_s": 3_661.0, "memory": 350_000_000, "address": "127.0.0.1:1", **more}
    return ProgramStatus(name=name, title=name, state=state, **fields)  # type: ignore[arg-type]


def gate(**more: object) -> Flow:
    fields: dict[str, object] = {"rate": 12.345, "lag": 1_234, "note": "", "state": "ok", **more}
    return Flow(stage="gate", **fields)  # type: ignore[arg-type]


def printed(programs: list[ProgramStatus], flows: dict[str, Flow]) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=150)
    console.print(table(programs, flows))
    assert isinstance(console.file, io.StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_a_process_has_memory_address_and_the_flow_of_its_stage() -> None:
    head, kafka, shown, total = printed([program("kafka"), program("gate-0")], {"gate-0": gate()})
    assert head == ["process", "state", "pid", "up", "for", "memory", "address", "stage", "rate", "lag"]
    assert kafka == ["kafka", "running", "7", "1:01:01", "350", "MB", "127.0.0.1:1"]
    assert shown[-3:] == ["gate", "12.3/s", "1,234"]
    assert total == ["700", "MB"]


def test_what_does_not_run_has_no_figures() -> None:
    stopped = program("kafka", "STOPPED", pid=None, uptime_s=None, memory=None)
    assert printed([stopped], {})[1] == ["kafka", "stopped", "127.0.0.1:1"]
    assert list(remarks([stopped], {})) == ["nothing runs: ./showroom up"]


def test_what_is_unknown_is_left_empty() -> None:
    assert printed([program("gate-0")], {"gate-0": gate(rate=None, lag=None)})[1][-1] == "gate"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("FATAL", "kafka does not stay up: ./showroom logs kafka"),
        ("BACKOFF", "kafka does not stay up: ./showroom logs kafka"),
        ("ORPHAN", "kafka runs without a supervisor: ./showroom up, or down"),
    ],
)
def test_what_is_wrong_is_one_line_with_a_remedy(state: str, message: str) -> None:
    assert list(remarks([program("kafka", state), program("redis")], {})) == [message]


def test_stage_note_is_printed() -> None:
    flows = {"gate-0": gate(state="failing", note="no gate process; see the log")}
    assert list(remarks([program("gate-0")], flows)) == ["gate failing: no gate process; see the log"]


def test_stages_stand_at_the_process_that_does_the_work() -> None:
    rows = [
        StageRow(stage="ingest", state="ok", note="", rate=1.0, lag=None),
        StageRow(stage="stream", state="waiting", note="n", rate=None, lag=3),
        StageRow(stage="archive", state="ok", note="", rate=None, lag=0),
    ]
    result = by_process(rows)
    assert {name: one.stage for name, one in result.items()} == {
        "kafka": "ingest",
        "flink-taskmanager": "stream",
        "mongodb": "archive",
    }
    assert result["flink-taskmanager"].lag == 3


def test_memory_of_a_living_and_of_a_gone_process() -> None:
    assert (processes.memory(os.getpid()) or 0) > 1_000_000
    assert processes.memory(2**22 + 1) is None
