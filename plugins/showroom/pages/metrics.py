"""All metrics that the plugin serves, as Prometheus text; what a server that is away would tell is left out."""

import math
import time
from collections.abc import Mapping
from typing import Any

import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from include.archive import queries as archived
from include.contracts.errors import ShowroomError
from include.contracts.metrics import METRICS
from include.gate.report import read_report
from include.serving import queries as serving
from include.supervise.alerts import ALERTS
from include.supervise.observation import PARTS, ElasticsearchState, KafkaState, Observation, Unavailable
from include.supervise.rule_context import ACTIONS
from include.supervise.stage_status import CurrentStatus, observe_now
from include.supervise.state_file import StateFile
from showroom.pages.sources import Sources

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Value = float | Mapping[str, float]
"""One reading, or one for each value of the metric's label."""


def read_metrics(sources: Sources) -> bytes:
    """Ask all servers and return the text; never raises for a server that is away."""
    now = observe_now(sources.settings, sources.flink_folder)
    values = {**observed(now.observation), **supervised(now, sources, time.time()), **_asked(sources, now.observation)}
    return exposition(values)


def exposition(values: Mapping[str, Value]) -> bytes:
    """Render values by the metric's name as declared in the contracts."""
    registry = CollectorRegistry()
    registry.register(_Families([family for name, value in values.items() for family in _family(name, value)]))
    return generate_latest(registry)


def observed(seen: Observation) -> dict[str, Value]:
    """What one observation holds."""
    values: dict[str, Value] = {
        "supervise.available": {part: float(not isinstance(getattr(seen, part), Unavailable)) for part in PARTS}
    }
    if isinstance(seen.kafka, KafkaState):
        values |= {
            "ingest.produced": seen.kafka.raw_end,
            "gate.lag": seen.kafka.gate_lag,
            "stream.lag": seen.kafka.stream_lag,
            "serving.refused": seen.kafka.dead_end,
        }
    if isinstance(seen.elasticsearch, ElasticsearchState):
        values["serving.rejections"] = seen.elasticsearch.rejections
        if seen.elasticsearch.newest_at is not None:
            values["serving.newest_session_age_s"] = seen.taken_at - seen.elasticsearch.newest_at
    if seen.job is not None:
        values["stream.restarts"] = seen.job.restarts
        if seen.job.checkpoint_age_s is not None:
            values["stream.checkpoint_age_s"] = seen.job.checkpoint_age_s
    if seen.archive_lag is not None:
        values["archive.lag"] = seen.archive_lag
    return values


def supervised(now: CurrentStatus, sources: Sources, at: float) -> dict[str, Value]:
    """What the supervisor decides now and what it remembers."""
    state = StateFile(sources.settings).read()
    values: dict[str, Value] = {
        "supervise.action": {action: float(action == now.decision.action) for action in ACTIONS},
        "supervise.starts": len(now.restarts),
        "supervise.alerts": {alert: float(alert in state.alerts) for alert in [*ALERTS, *state.alerts]},
        "supervise.heartbeat_age_s": math.nan if state.heartbeat_at is None else at - state.heartbeat_at,
    }
    if now.newest is not None:
        values["supervise.decision_age_s"] = at - now.newest.at
    return values


def _asked(sources: Sources, seen: Observation) -> dict[str, Value]:
    """What no observation holds. A server that did not answer just now is not asked again."""
    values: dict[str, Value] = {}
    if not isinstance(seen.gate, Unavailable):
        values |= _gate(sources)
        if seen.gate.redis_memory_ratio is not None:
            values["gate.redis_memory_ratio"] = seen.gate.redis_memory_ratio
    if not isinstance(seen.archive, Unavailable):
        values |= _archive(sources)
    if not isinstance(seen.elasticsearch, Unavailable):
        values |= _serving(sources)
    return values


def _gate(sources: Sources) -> dict[str, Value]:
    try:
        report = read_report(sources.redis, sources.settings)
    except redis.RedisError:
        return {}
    ages = {str(number): math.nan if age is None else age for number, age in report.heartbeat_age_s.items()}
    return {
        "gate.records": {**report.verdicts},
        "gate.heartbeat_age_s": ages,
        "gate.users_unique": report.users_unique,
        "gate.users_known": report.users_known,
    }


def _archive(sources: Sources) -> dict[str, Value]:
    try:
        database = sources.mongo[sources.settings.mongo_database]
        return {
            "archive.sessions": archived.count(database),
            "archive.unreadable": archived.unreadable(database),
            "archive.gaps": archived.expired(database),
        }
    except ShowroomError:
        return {}


def _serving(sources: Sources) -> dict[str, Value]:
    try:
        return {"serving.documents": {**serving.counts(sources.quick_elasticsearch)}}
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
    for label, reading in series:
        family.add_metric([label] if metric.label else [], reading)
    return [family] if family.samples else []
