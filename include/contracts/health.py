"""Health of each server: the one definition for compose, the local stack's readiness and supervision.

A check returns None for a healthy server, otherwise what is missing. Its argument is the server's response; the caller
decides how and how often to probe. Containers of official images have a shell and the server's own tools only. Their
commands are therefore here too, and docker-compose.yaml repeats them.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

ELASTICSEARCH_PATH = "/_cluster/health"
ELASTICSEARCH_STATUS = "yellow"
"""The lowest status with every primary shard."""
FLINK_PATH = "/overview"
AIRFLOW_PATH = "/api/v2/monitor/health"
MLFLOW_PATH = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
"""A request that requires the login and the database."""
REDIS_MODULE = "bf"

COMPOSE_COMMANDS: dict[str, str] = {
    # Each tool starts a separate JVM, hence the small heap.
    "kafka": "KAFKA_HEAP_OPTS=-Xmx128m /opt/kafka/bin/kafka-broker-api-versions.sh --bootstrap-server localhost:9092"
    " > /dev/null",
    "redis": f"redis-cli ping | grep -q PONG && redis-cli module list | grep -qx {REDIS_MODULE}",
    "elasticsearch": 'curl -fsS -o /dev/null -u "elastic:$$ELASTIC_PASSWORD"'
    f' "http://localhost:9200{ELASTICSEARCH_PATH}?wait_for_status={ELASTICSEARCH_STATUS}&timeout=3s"',
    # By name and not by localhost, where a server without login listens while the volume is initialized.
    "mongo": 'mongosh --quiet --norc "mongodb://showroom:$$MONGO_INITDB_ROOT_PASSWORD@mongo:27017/admin"'
    ' --eval "quit(db.runCommand({ping: 1}).ok ? 0 : 1)"',
    "kibana": """curl -fsS http://localhost:5601/api/status | grep -q '"level":"available"'""",
    # By address, because while the volume is initialized the server listens on its socket only.
    "postgres": "pg_isready --quiet --host 127.0.0.1 --username airflow --dbname airflow",
}
"""Service -> the shell command of its health check, with Compose's `$$` for `$`."""


def check_kafka(brokers: Collection[object]) -> str | None:
    """Check that a broker responds to a metadata request; `brokers` are those of the cluster's description."""
    return None if brokers else "no broker has registered"


def check_redis(modules: Collection[str]) -> str | None:
    """Check that RedisBloom is loaded, by the names of the `modules`."""
    return None if REDIS_MODULE in modules else "RedisBloom is not loaded"


def check_elasticsearch(status: str) -> str | None:
    """Check that every primary shard is available, by the `status` of the cluster's health."""
    return None if status in (ELASTICSEARCH_STATUS, "green") else f"the cluster's health is {status}"


def check_mongodb(response: Mapping[str, Any]) -> str | None:
    """Check the response to a ping."""
    return None if response.get("ok") else f"a ping was answered {response}"


def check_flink(slots: int) -> str | None:
    """Check that the JobManager responds and that a TaskManager with a slot has registered."""
    return None if slots >= 1 else "no TaskManager has registered"


def check_airflow(health: Mapping[str, Mapping[str, Any]], component: str) -> str | None:
    """Check Airflow's own health of a component: metadatabase, scheduler, triggerer or dag_processor."""
    status = health.get(component, {}).get("status")
    return None if status == "healthy" else f"the {component.replace('_', ' ')} is {status or 'not started'}"


def silent_partitions(ages_s: Mapping[int, float | None], max_age_s: float) -> list[int]:
    """Return the partitions without a gate process.

    Args:
        ages_s: Partition -> age of the gate's heartbeat in s; None where there is none.
        max_age_s: Maximum age of a heartbeat.
    """
    return sorted(partition for partition, age in ages_s.items() if age is None or age > max_age_s)


def check_gate(ages_s: Mapping[int, float | None], max_age_s: float) -> str | None:
    """Check that every partition has a gate process; arguments as in `silent_partitions`."""
    silent = silent_partitions(ages_s, max_age_s)
    return f"no gate process reads partition {', '.join(map(str, silent))}" if silent else None


def heartbeat_ages(beats: Sequence[Any], now_s: float) -> dict[int, float | None]:
    """Return the age in s of the heartbeat of each partition, from its Redis values in ms."""
    return {partition: None if beat is None else now_s - int(beat) / 1_000 for partition, beat in enumerate(beats)}
