"""What the planner makes of the job: each side effect once, the tables as the contracts say."""

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
    explained: str = statement_set(table_environment, SETTINGS).explain()
    return explained.split("== Optimized Execution Plan ==")[1]


@pytest.mark.parametrize("function", [INDEX_SESSIONS, INDEX_KPI])
def test_documents_are_sent_exactly_once_for_each_record(plan: str, function: str) -> None:
    assert len(re.findall(rf"\b{function}\(", plan)) == 1
    call = next(line for line in plan.splitlines() if f"{function}(" in line)
    # Nothing between source and function may filter, or a record would be skipped.
    assert re.search(r"PythonCalc\(select=\[", call)
    assert "where" not in call


def test_each_topic_is_read_once_for_each_pipeline(plan: str) -> None:
    assert [plan.count(f" {name}, ") + plan.count(f" {name}]") for name in ("valid_records", "kpi_records")] == [1, 1]
    assert plan.count("valid_sessions]") == 1


def test_minutes_are_an_updating_aggregate_without_watermarks(plan: str) -> None:
    assert "GroupAggregate(groupBy=[id]" in plan
    assert "Watermark" not in plan
    # The group's key is the table's key: nothing has to be held back to put changes in order.
    assert "upsertMaterialize" not in plan


def test_the_settings_reach_the_job() -> None:
    options = configuration(SETTINGS)
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


def test_an_option_is_the_jobs_or_the_clusters() -> None:
    cluster = set(re.findall(r"^([\w.-]+):", CLUSTER.read_text(), re.MULTILINE))
    assert "execution.checkpointing.dir" in cluster
    assert not cluster & set(configuration(SETTINGS))


def test_tables_read_and_write_the_contracts_topics() -> None:
    text = "\n".join(tables(SETTINGS))
    assert [text.count(f"'topic' = '{topic}'") for topic in (VALID, KPI, DEAD)] == [2, 2, 1]
    # One group a source: two readers of a topic would overwrite each other's place in it.
    groups = re.findall(r"'properties.group.id' = '([^']+)'", text)
    assert len(groups) == len(set(groups)) == 3
    assert text.count("'properties.isolation.level' = 'read_committed'") == 3
    assert len(inserts(SETTINGS)) == 3


def test_a_quote_in_a_setting_stays_inside_its_text() -> None:
    text = tables(SETTINGS.replace(kafka={"bootstrap_servers": "a'b:1"}))[0]
    assert "'properties.bootstrap.servers' = 'a''b:1'" in text
