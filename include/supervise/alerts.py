"""The closed set of the supervisor's alarms, by identity; each has a heading in the runbooks."""

from collections.abc import Collection

ALARMS: dict[str, str] = {
    "stream.no_cluster": "Flink does not answer",
    "stream.no_taskmanager": "Flink has no TaskManager",
    "stream.no_job": "the stream job is gone",
    "stream.two_jobs": "more than one stream job runs",
    "stream.not_running": "tasks of the stream job do not run",
    "stream.restarting": "the stream job restarts again and again",
    "stream.checkpoints_stalled": "the stream job completes no checkpoints",
    "stream.slow": "the stream job makes progress but completes no checkpoints",
    "stream.lagging": "the stream falls behind",
    "stream.clock": "Flink's clock is wrong",
    "stream.budget_spent": "starting the stream does not help",
    "stream.start_failed": "the stream job cannot be started",
    "stream.restore_unknown": "the stream's checkpoints cannot be read",
    "ingest.no_kafka": "Kafka does not answer",
    "gate.no_memory": "the gate's Redis does not answer",
    "gate.redis_memory_high": "the gate's Redis is nearly full",
    "gate.silent": "a partition has no gate process",
    "gate.partition_stopped": "the gate stopped a partition whose offsets are lost",
    "gate.lagging": "the gate falls behind",
    "serving.away": "Elasticsearch does not answer",
    "serving.refusing": "Elasticsearch takes no documents",
    "serving.refused": "Elasticsearch refused documents",
    "serving.stale": "admitted sessions do not become searchable",
    "serving.no_templates": "the index templates cannot be made",
    "archive.unreachable": "the archive's MongoDB does not answer",
    "archive.lagging": "the archive falls behind",
    "supervise.clock": "clocks disagree",
    "supervise.no_journal": "the supervisor cannot act without its journal",
}

NEEDS: dict[str, tuple[str, ...]] = {
    "stream.no_taskmanager": ("flink",),
    "stream.no_job": ("flink",),
    "stream.two_jobs": ("flink",),
    "stream.not_running": ("flink",),
    "stream.restarting": ("flink",),
    "stream.checkpoints_stalled": ("flink",),
    "stream.slow": ("flink", "elasticsearch", "kafka"),
    "stream.lagging": ("kafka",),
    "stream.clock": ("flink",),
    "stream.budget_spent": ("flink", "restore"),
    "stream.start_failed": ("flink", "restore"),
    "gate.redis_memory_high": ("gate",),
    "gate.silent": ("gate",),
    "gate.partition_stopped": ("gate",),
    "gate.lagging": ("kafka",),
    "serving.refusing": ("elasticsearch",),
    "serving.refused": ("kafka",),
    "serving.stale": ("elasticsearch", "gate", "kafka"),
    "serving.no_templates": ("elasticsearch",),
    "archive.lagging": ("archive", "kafka"),
    "supervise.clock": ("elasticsearch", "gate"),
}
"""Alarm -> parts of an observation without which nobody can tell whether it is over."""


def judged(unknown: Collection[str]) -> list[str]:
    """The alarms of which a look could tell that they are over. `unknown`: the parts it could not read."""
    return [alarm for alarm in ALARMS if not set(NEEDS.get(alarm, ())) & set(unknown)]
