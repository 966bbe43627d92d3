"""The examples of the guide send sessions that a real Kafka stores and the gate admits."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from include.contracts import topics
from include.gate.rejected import partition_of
from include.gate.validation import Candidate, Limits, check
from local.install.node import ensure_node_packages
from local.project import ROOT
from local.stack import Stack

EXAMPLES = ROOT / "examples"


def python_command(_: Path) -> list[str]:
    return [sys.executable, str(EXAMPLES / "send_session.py")]


def node_command(folder: Path) -> list[str]:
    # Node.js searches for packages in the folder of the program.
    program = ensure_node_packages(EXAMPLES) / "send_session.mjs"
    shutil.copy(EXAMPLES / "send_session.mjs", program)
    return ["node", str(program)]


def stored_record(stack: Stack, session_id: str) -> Any:
    """Return the record of `sessions.raw` with a session id."""
    partitions = [TopicPartition(topics.RAW, number) for number in range(stack.settings.kafka.partitions)]
    consumer = KafkaConsumer(bootstrap_servers=stack.settings.kafka.bootstrap_servers, consumer_timeout_ms=10_000)
    try:
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        return next(record for record in consumer if session_id.encode() in record.value)
    finally:
        consumer.close()


def run(command: Sequence[str], stack: Stack) -> str:
    environment = {**os.environ, "KAFKA": stack.settings.kafka.bootstrap_servers}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command_of", [python_command, node_command])
def test_example_sends_a_session_that_the_gate_admits(stack: Stack, tmp_path: Path, command_of: Any) -> None:
    session = json.loads((EXAMPLES / "session.json").read_text())
    session["session_id"] = f"example-{command_of.__name__}"
    path = tmp_path / "session.json"
    path.write_text(json.dumps(session))

    output = run([*command_of(tmp_path), str(path)], stack)

    record = stored_record(stack, session["session_id"])
    assert f"stored in partition {record.partition} at offset {record.offset}\n" in output
    # Both clients must place one user in one partition, or the gate detects no duplicates.
    assert record.partition == partition_of(session["user_id"], stack.settings.kafka.partitions)
    verdict = check(record.value, record.key, record.timestamp, Limits.of(stack.settings.gate))
    assert isinstance(verdict, Candidate), verdict
