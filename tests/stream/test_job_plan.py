"""The plan of the job: each side effect once, tables as in the contracts."""

import re
from pathlib import Path

import pytest
from pyflink.table import StreamTableEnvironment

from flink.job import configuration, environment, statement_set
from flink.statements import INDEX_KPI, INDEX_SESSIONS, inserts, tables
from include.contracts.settings import Settings, StreamSettings
from include.contracts.stream import JOB_NAME
from include.contracts.topics import DEAD, KPI, VALID

CLUSTER = Path(__file__).resolve().parents[2] / "config/flink/config.yaml"
SETTINGS = Settings(
    stream=StreamSettings(parallelism=2, bulk_max_documents=123, bulk_flush_ms=77, checkpoint_interval_s=3)
)


@pytest.fixture(scope="module")
def table_environment() -> StreamTableEnvironment:
    return environment(SETTINGS)


@pytest.fixture(scope="module")
def plan(table_environment: StreamTableEnvironment) -> str:
    explained: str = statement_set(table_environment, SETTINGS.stream).explain()
    return explained.split("== Optimized Execution Plan ==")[1]


@pytest.mark.parametrize("function", [INDEX_SESSIONS, INDEX_KPI])
def test_plan_calls_each_indexing_function_once_per_record(plan: str, function: str) -> None:
    assert len(re.findall(rf"\b{function}\(", plan)) == 1
    call = next(line for line in plan.splitlines() if f"{function}(" in line)
    # Because a filter between source and function would skip records.
    assert re.search(r"PythonCalc\(select=\[", call)
    assert "where" not in call


def test_plan_reads_each_topic_once_per_pipeline(plan: str) -> None:
    assert [plan.count(f" {name}, ") + plan.count(f" {name}]") for name in ("valid_records", "kpi_records")] == [1, 1]
    assert plan.count("valid_sessions]") == 1


def test_plan_aggregates_minutes_without_watermarks(plan: str) -> None:
    assert "GroupAggregate(groupBy=[id]" in plan
    assert "Watermark" not in plan
    # Because the group's key is the table's key, changes need no reordering.
    assert "upsertMaterialize" not in plan


def test_configuration_uses_the_settings() -> None:
    options = configuration(SETTINGS.stream)
    expected = {
        "pipeline.name": JOB_NAME,
        "parallelism.default": "2",
        "execution.checkpointing.interval": "3 s",
        "python.fn-execution.arrow.batch.size": "123",
        "python.fn-execution.bundle.time": "77",
        "table.exec.state.ttl": "31 d",
        "table.local-time-zone": "UTC",
    }
    assert {name: options[name] for name in expected} == expected


def test_option_is_set_by_job_or_cluster_only() -> None:
    cluster = set(re.findall(r"^([\w.-]+):", CLUSTER.read_text(), re.MULTILINE))
    assert "execution.checkpointing.dir" in cluster
    assert not cluster & set(configuration(SETTINGS.stream))


def test_tables_use_the_topics_of_the_contracts() -> None:
    text = "\n".join(tables(SETTINGS.kafka))
    assert [text.count(f"'topic' = '{topic}'") for topic in (VALID, KPI, DEAD)] == [2, 2, 1]
    # Because two readers in one group would overwrite each other's offsets.
    groups = re.findall(r"'properties.group.id' = '([^']+)'", text)
    assert len(groups) == len(set(groups)) == 3
    assert text.count("'properties.isolation.level' = 'read_committed'") == 3
    assert len(inserts(SETTINGS.stream)) == 3


def test_tables_escape_quotes_in_settings() -> None:
    text = tables(SETTINGS.replace(kafka={"bootstrap_servers": "a'b:1"}).kafka)[0]
    assert "'properties.bootstrap.servers' = 'a''b:1'" in text
