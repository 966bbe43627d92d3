"""The loop with failing parts: which errors end the batch, and which end the process."""

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from include.gate.batch_processor import BatchProcessor, Output
from include.gate.kafka_errors import is_fenced
from include.gate.loop import Loop
from include.gate.shutdown import FORCED_EXIT, ShutdownSignal
from include.gate.source import Polled
from local.project import ROOT

RECORD = Polled("sessions.raw", 0, 0, 0, b"k", b"v", None)
HANGING = """
import logging, sys, threading
from tests.unit.gate.test_loop import loop_of
logging.basicConfig(level=logging.INFO)
loop_of(lambda *_: threading.Event().wait(), hang_limit_s=0.2).run()
"""
DEAF = """
import logging, os, signal, threading
from include.gate.shutdown import ShutdownSignal
logging.basicConfig(level=logging.INFO)
ShutdownSignal().listen(0.2)
os.kill(os.getpid(), signal.SIGTERM)
threading.Event().wait()
"""


class EndlessSource:
    """Returns the same record repeatedly."""

    assigned: Sequence[int] = [0]

    def poll(self, most: int) -> list[list[Polled]]:
        return [[RECORD]]

    def offsets_behind(self, polled: Sequence[Sequence[Polled]]) -> list[TopicPartition]:
        return []

    def group(self) -> Any:
        return None


class QuietState:
    """Accepts heartbeats."""

    def beat(self, partitions: Sequence[int]) -> None:
        return


class EmptyProcessor:
    """Returns no verdicts."""

    def decide(self, polled: Any) -> list[Output]:
        return []


class SinkOf:
    """Commits by calling a function."""

    def __init__(self, commit: Any) -> None:
        self.commit = commit


def loop_of(commit: Any, hang_limit_s: float = 5.0) -> Loop:
    return Loop(
        source=EndlessSource(),
        sink=SinkOf(commit),
        state=QuietState(),
        processor=cast(BatchProcessor, EmptyProcessor()),
        batch=1,
        stop=ShutdownSignal(),
        clock=time.monotonic,
        hang_limit_s=hang_limit_s,
    )


def run_python(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )


def test_loop_with_hanging_commit_ends_the_process() -> None:
    done = run_python(HANGING)
    assert (done.returncode, "a commit hangs" in done.stderr) == (FORCED_EXIT, True)


def test_stop_with_deaf_main_thread_ends_the_process() -> None:
    done = run_python(DEAF)
    assert (done.returncode, "not drained" in done.stderr) == (FORCED_EXIT, True)


def test_loop_with_failed_commit_raises_and_commits_nothing_more() -> None:
    commits: list[int] = []

    def fail(*_: Any) -> None:
        commits.append(1)
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        loop_of(fail).run()
    assert commits == [1]


@pytest.mark.parametrize(
    ("code", "age_s", "fenced"),
    [
        (KafkaError._FENCED, 1.0, True),
        (KafkaError._FENCED, 31.0, False),
        (KafkaError.FENCED_INSTANCE_ID, 31.0, True),
        (KafkaError._TRANSPORT, 1.0, False),
    ],
)
def test_fenced_by_process_depends_on_transaction_age(code: int, age_s: float, fenced: bool) -> None:
    assert is_fenced(KafkaException(KafkaError(code)), age_s, 30.0) is fenced
