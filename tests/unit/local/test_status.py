"""Status table and its remarks."""

import io
import os
from itertools import islice

import pytest
from rich.console import Console

from cli.status import _sections, remarks, table
from include.contracts.settings import LocalSettings, Settings
from include.supervise.stage_status import StageRow
from local import processes
from local.stack import ProgramStatus
from local.throughput import StageThroughput, by_process


def program(name: str, state: str = "RUNNING", **more: object) -> ProgramStatus:
    fields: dict[str, object] = {"pid": 7, "uptime_s": 3_661.0, "memory": 350_000_000, "address": "127.0.0.1:1", **more}
    return ProgramStatus(name=name, title=name, state=state, **fields)  # type: ignore[arg-type]


def gate(**more: object) -> StageThroughput:
    fields: dict[str, object] = {"rate": 12.345, "lag": 1_234, "note": "", "state": "ok", **more}
    return StageThroughput(stage="gate", **fields)  # type: ignore[arg-type]


def printed(programs: list[ProgramStatus], flows: dict[str, StageThroughput]) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=150)
    console.print(table(programs, flows))
    assert isinstance(console.file, io.StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_table_row_has_memory_address_and_throughput_of_its_stage() -> None:
    head, kafka, rows, total = printed([program("kafka"), program("gate-0")], {"gate-0": gate()})
    assert head == ["process", "state", "pid", "up", "for", "memory", "address", "stage", "rate", "lag"]
    assert kafka == ["kafka", "running", "7", "1:01:01", "350", "MB", "127.0.0.1:1"]
    assert rows[-3:] == ["gate", "12.3/s", "1,234"]
    assert total == ["700", "MB"]


def test_table_row_of_a_stopped_process_has_no_readings() -> None:
    stopped = program("kafka", "STOPPED", pid=None, uptime_s=None, memory=None)
    assert printed([stopped], {})[1] == ["kafka", "stopped", "127.0.0.1:1"]
    assert list(remarks([stopped], {})) == ["nothing runs: ./showroom up"]


def test_table_row_with_unknown_readings_leaves_them_empty() -> None:
    assert printed([program("gate-0")], {"gate-0": gate(rate=None, lag=None)})[1][-1] == "gate"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("FATAL", "kafka exits repeatedly: ./showroom logs kafka"),
        ("BACKOFF", "kafka exits repeatedly: ./showroom logs kafka"),
        ("ORPHAN", "kafka runs without a supervisor: ./showroom up, or down"),
    ],
)
def test_remarks_of_a_failed_process_are_one_line_with_a_remedy(state: str, message: str) -> None:
    assert list(remarks([program("kafka", state), program("redis")], {})) == [message]


def test_remarks_include_the_note_of_a_stage() -> None:
    flows = {"gate-0": gate(state="failing", note="no gate process; see the log")}
    assert list(remarks([program("gate-0")], flows)) == ["gate failing: no gate process; see the log"]


def test_by_process_assigns_each_stage_to_its_process() -> None:
    rows = [
        StageRow(stage="ingest", state="ok", note="", rate=1.0, lag=None),
        StageRow(stage="stream", state="waiting", note="n", rate=None, lag=3),
        StageRow(stage="archive", state="ok", note="", rate=None, lag=0),
    ]
    result = by_process(rows)
    assert {name: row.stage for name, row in result.items()} == {
        "kafka": "ingest",
        "flink-taskmanager": "stream",
        "mongodb": "archive",
    }
    assert result["flink-taskmanager"].lag == 3


def test_memory_of_a_missing_process_is_none() -> None:
    assert (processes.memory(os.getpid()) or 0) > 1_000_000
    assert processes.memory(2**22 + 1) is None


def test_stage_sections_without_servers_say_unavailable() -> None:
    settings = Settings(local=LocalSettings(port_offset=40_000))
    sections = islice(_sections(settings, has_stages=True), 4)
    console = Console(file=io.StringIO(), width=200)
    lines = []
    for section in sections:
        with console.capture() as capture:
            console.print(section)
        lines.append(capture.get())
    assert [
        stage
        for stage, line in zip(("gate", "archive", "stream", "serving"), lines, strict=True)
        if (stage not in line or "unavailable" not in line)
    ] == []
