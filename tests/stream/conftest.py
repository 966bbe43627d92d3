"""PyFlink in this process, with the Kafka connector on its class path as in the cluster."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# PyFlink appends this variable to its class path; it overwrites FLINK_LIB_DIR.
EXTRA_CLASS_PATH = "HADOOP_CLASSPATH"


@pytest.fixture(scope="session", autouse=True)
def _connector() -> None:
    """Set the class path before the first table environment starts the JVM of the whole run."""
    connectors = list((ROOT / ".showroom/java/flink").glob("flink-sql-connector-kafka*.jar"))
    assert len(connectors) == 1, "the Kafka connector is missing: run ./showroom test"
    os.environ[EXTRA_CLASS_PATH] = str(connectors[0])
