"""PyFlink in this process, with the Kafka connector on its class path as in the cluster."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What PyFlink appends to its own jars; it sets FLINK_LIB_DIR itself, whatever it was before.
MORE_JARS = "HADOOP_CLASSPATH"


@pytest.fixture(scope="session", autouse=True)
def _connector() -> None:
    """Must be set before the first table environment starts Flink, which then serves the whole run."""
    connectors = list((ROOT / ".showroom/java/flink").glob("flink-sql-connector-kafka*.jar"))
    assert len(connectors) == 1, "the Kafka connector is not fetched: run ./showroom test"
    os.environ[MORE_JARS] = str(connectors[0])
