"""Serve all metrics of the plugin as Prometheus text; metrics of unavailable servers are omitted."""

import math
import time
from collections.abc import Mapping
from typing import Any

import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from include.archive import queries as archive_queries
from include.contracts.errors import ShowroomError
from include.contracts.metrics import METRICS
from include.gate.stats import read_stats
from include.serving import queries as serving_queries
from include.supervise.alerts import ALERTS
from include.supervise.observation import PARTS, ElasticsearchState, KafkaState, Observation, Unavailable
from include.supervise.rule_context import ACTIONS
from include.supervise.stage_status import CurrentStatus, observe_now
from include.supervise.state_file import StateFile
from showroom.web.data_sources import DataSources

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Value = float | Mapping[str, float]
"""One value, or one for each value of the metric's label."""


def read_metrics(sources: DataSources) -> bytes:
    """Read all servers and return the text; never raises for an unavailable server."""
    now = observe_now(sources.settings, sources.flink_folder)
    values = {
        **observation_metrics(now.observation),
        **supervisor_metrics(now, sources, time.time()),
        **_from_servers(sources, now.observation),
    }
    return exposition(values)


def exposition(values: Mapping[str, Value]) -> bytes:
    """Render values, by metric name, as Prometheus text."""
    registry = CollectorRegistry()
    registry.register(_Families([family for name, value in values.items() for family in _family(name, value)]))
    return generate_latest(registry)


def observation_metrics(observation: Observation) -> dict[str, Value]:
    """Return the metrics of one observation."""
    values: dict[str, Value] = {
        "supervise.available": {part: float(not isinstance(getattr(observation, part), Unavailable)) for part in PARTS}
    }
    if isinstance(observation.kafka, KafkaState):
        values |= {
            "ingest.produced": observation.kafka.raw_end,
            "gate.lag": observation.kafka.gate_lag,
            "stream.lag": observation.kafka.stream_lag,
            "serving.dead_letters": observation.kafka.dead_end,
        }
    if isinstance(observation.elasticsearch, ElasticsearchState):
        values["serving.rejections"] = observation.elasticsearch.rejections
        if observation.elasticsearch.newest_at is not None:
            values["serving.newest_session_age_s"] = observation.taken_at - observation.elasticsearch.newest_at
    if observation.job is not None:
        values["stream.restarts"] = observation.job.restarts
        if observation.job.checkpoint_age_s is not None:
            values["stream.checkpoint_age_s"] = observation.job.checkpoint_age_s
    if observation.archive_lag is not None:
        values["archive.lag"] = observation.archive_lag
    return values


def supervisor_metrics(now: CurrentStatus, sources: DataSources, timestamp: float) -> dict[str, Value]:
    """Return the metrics of the supervisor's current decision and of its state file."""
    state = StateFile(sources.settings).read()
    values: dict[str, Value] = {
        "supervise.action": {action: float(action == now.decision.action) for action in ACTIONS},
        "supervise.starts": len(now.restarts),
        "supervise.alerts": {alert: float(alert in state.alerts) for alert in [*ALERTS, *state.alerts]},
        "supervise.heartbeat_age_s": math.nan if state.heartbeat_at is None else timestamp - state.heartbeat_at,
    }
    if now.newest is not None:
        values["supervise.decision_age_s"] = timestamp - now.newest.at
    return values


def _from_servers(sources: DataSources, observation: Observation) -> dict[str, Value]:
    """Return the metrics that are not in the observation. Servers that were just unavailable are not queried again."""
    values: dict[str, Value] = {}
    if not isinstance(observation.gate, Unavailable):
        values |= _gate(sources)
        if observation.gate.redis_memory_ratio is not None:
            values["gate.redis_memory_ratio"] = observation.gate.redis_memory_ratio
    if not isinstance(observation.archive, Unavailable):
        values |= _archive(sources)
    if not isinstance(observation.elasticsearch, Unavailable):
        values |= _serving(sources)
    return values


def _gate(sources: DataSources) -> dict[str, Value]:
    try:
        report = read_stats(sources.redis, sources.settings)
    except redis.RedisError:
        return {}
    ages = {str(number): math.nan if age is None else age for number, age in report.heartbeat_age_s.items()}
    return {
        "gate.records": {**report.verdicts},
        "gate.heartbeat_age_s": ages,
        "gate.users_unique": report.users_unique,
        "gate.bloom_items": report.bloom_items,
    }


def _archive(sources: DataSources) -> dict[str, Value]:
    try:
        database = sources.mongo[sources.settings.mongodb.database]
        return {
            "archive.sessions": archive_queries.count(database),
            "archive.undecodable": archive_queries.undecodable(database),
            "archive.expired_offsets": archive_queries.expired(database),
        }
    except ShowroomError:
        return {}


def _serving(sources: DataSources) -> dict[str, Value]:
    try:
        return {"serving.documents": {**serving_queries.counts(sources.quick_elasticsearch)}}
    except ShowroomError:
        return {}


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _family(name: str, value: Value) -> list[Metric]:
    metric = next(metric for metric in METRICS if metric.name == name)
    kind: Any = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.prometheus, metric.meaning, labels=[metric.label] if metric.label else [])
    series = value.items() if isinstance(value, Mapping) else [("", value)]
    for label, number in series:
        family.add_metric([label] if metric.label else [], number)
    return [family] if family.samples else []
