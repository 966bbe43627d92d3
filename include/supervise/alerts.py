"""The closed set of the supervisor's alerts, by id; each has a heading in the runbook of its stage."""

from collections.abc import Collection
from typing import NamedTuple

from include.contracts.metrics import Stage


class Alert(NamedTuple):
    """An alert as people receive it.

    Attributes:
        summary: Title of its message.
        runbook: Stage whose runbook in docs/runbooks has the heading, and whose status it changes.
        sources: Parts of an observation that must be available to resolve it.
    """

    summary: str
    runbook: Stage
    sources: tuple[str, ...] = ()


ALERTS: dict[str, Alert] = {
    "flink.unreachable": Alert("Flink is unreachable", "stream"),
    "stream.no_taskmanager": Alert("Flink has no TaskManager", "stream", ("flink",)),
    "stream.no_job": Alert("the stream job is not running", "stream", ("flink",)),
    "stream.duplicate_job": Alert("more than one stream job runs", "stream", ("flink",)),
    "stream.not_running": Alert("tasks of the stream job do not run", "stream", ("flink",)),
    "stream.restarting": Alert("the stream job restarts repeatedly", "stream", ("flink",)),
    "stream.checkpoints_stalled": Alert("the stream job completes no checkpoints", "stream", ("flink",)),
    "stream.slow": Alert(
        "the stream job makes progress but completes no checkpoints", "stream", ("flink", "elasticsearch", "kafka")
    ),
    "stream.lagging": Alert("the stream falls behind", "stream", ("kafka",)),
    "stream.clock_skew": Alert("Flink's clock is incorrect", "stream", ("flink",)),
    "stream.restart_limit_reached": Alert("restarts do not repair the stream", "stream", ("flink", "restore")),
    "stream.start_failed": Alert("the stream job cannot be started", "stream", ("flink", "restore")),
    "stream.restore_unknown": Alert("the stream's checkpoints cannot be read", "stream"),
    "kafka.unreachable": Alert("Kafka is unreachable", "ingest"),
    "gate.redis_unreachable": Alert("the gate's Redis is unreachable", "gate"),
    "gate.redis_memory_high": Alert("the gate's Redis is nearly full", "gate", ("gate",)),
    "gate.heartbeat_missing": Alert("a partition has no gate process", "gate", ("gate",)),
    "gate.partition_stopped": Alert("the gate stopped a partition whose offsets are lost", "gate", ("gate",)),
    "gate.lagging": Alert("the gate falls behind", "gate", ("kafka",)),
    "elasticsearch.unreachable": Alert("Elasticsearch is unreachable", "serving"),
    "elasticsearch.write_blocked": Alert("Elasticsearch accepts no documents", "serving", ("elasticsearch",)),
    "serving.dead_letters": Alert("Elasticsearch refused documents", "serving", ("kafka",)),
    "serving.stale_data": Alert(
        "admitted sessions do not become searchable", "serving", ("elasticsearch", "gate", "kafka")
    ),
    "serving.no_templates": Alert("the index templates cannot be created", "serving", ("elasticsearch",)),
    "archive.unreachable": Alert("the archive's MongoDB is unreachable", "archive"),
    "archive.lagging": Alert("the archive falls behind", "archive", ("archive", "kafka")),
    "supervise.clock_skew": Alert("clocks disagree", "supervise", ("elasticsearch", "gate")),
    "supervise.decision_log_unavailable": Alert("the supervisor cannot act without its decision log", "supervise"),
}


def resolvable_alerts(unavailable: Collection[str]) -> list[str]:
    """Return the alerts that an observation without these parts can resolve."""
    return [name for name, alert in ALERTS.items() if not set(alert.sources) & set(unavailable)]


def stage_of(alert_id: str) -> str:
    """Return the stage of an alert; the first word of an id that this version does not have."""
    return ALERTS[alert_id].runbook if alert_id in ALERTS else alert_id.split(".", maxsplit=1)[0]
