"""The stream job: index sessions.valid into four indices, write rejected documents to documents.dead.

Runs as a file inside the cluster (`PythonDriver -py flink/job.py`). The project's folder must be on the Python path,
the settings in the environment.
"""

import os
from collections.abc import Mapping

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import DataTypes, EnvironmentSettings, StatementSet, StreamTableEnvironment
from pyflink.table.udf import udf

from flink.functions import IndexKpi, IndexSessions
from flink.statements import INDEX_KPI, INDEX_SESSIONS, inserts, tables
from include.contracts.settings import Settings, StreamSettings
from include.contracts.stream import JOB_NAME

STATE_TTL_DAYS = 31
MAX_FAILED_CHECKPOINTS = "1000000"


def configuration(settings: StreamSettings) -> dict[str, str]:
    """Return the Flink configuration of the job."""
    return {
        "pipeline.name": JOB_NAME,
        "parallelism.default": str(settings.parallelism),
        "table.local-time-zone": "UTC",
        "table.exec.state.ttl": f"{STATE_TTL_DAYS} d",
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": "1 s",
        "table.exec.mini-batch.size": "20000",
        "state.backend.type": "rocksdb",
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.interval": f"{settings.checkpoint_interval_s} s",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.timeout": "10 min",
        # While Elasticsearch is unavailable, no barrier passes the sink; the job must wait, not fail.
        "execution.checkpointing.tolerable-failed-checkpoints": MAX_FAILED_CHECKPOINTS,
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "30 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "2 min",
        "python.fn-execution.arrow.batch.size": str(settings.bulk_max_documents),
        "python.fn-execution.bundle.size": str(settings.bulk_max_documents),
        "python.fn-execution.bundle.time": str(settings.bulk_flush_ms),
    }


def environment(settings: Settings, extra: Mapping[str, str] | None = None) -> StreamTableEnvironment:
    """Return a table environment with the job's configuration (and `extra`), tables and functions."""
    options = Configuration()
    for key, value in (configuration(settings.stream) | dict(extra or {})).items():
        options.set_string(key, value)
    table_environment = StreamTableEnvironment.create(
        StreamExecutionEnvironment.get_execution_environment(options),
        EnvironmentSettings.new_instance().with_configuration(options).build(),
    )
    dead_letters = DataTypes.ARRAY(DataTypes.STRING())
    for name, function in ((INDEX_SESSIONS, IndexSessions(settings)), (INDEX_KPI, IndexKpi(settings))):
        table_environment.create_temporary_function(
            name, udf(function, result_type=dead_letters, deterministic=False, func_type="pandas")
        )
    for statement in tables(settings.kafka):
        table_environment.execute_sql(statement)
    return table_environment


def statement_set(table_environment: StreamTableEnvironment, settings: StreamSettings) -> StatementSet:
    """Return the statements of all pipelines, to run as one job."""
    statements = table_environment.create_statement_set()
    for statement in inserts(settings):
        statements.add_insert_sql(statement)
    return statements


def main() -> None:
    """Submit the job. Runs inside the cluster."""
    settings = Settings.from_env(os.environ)
    statement_set(environment(settings), settings.stream).execute()


if __name__ == "__main__":
    main()
