"""Metrics of one gate process as Prometheus text, on a separate port."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, start_http_server

from include.contracts.metrics import METRICS
from include.contracts.settings import LOOPBACK, Settings

log = logging.getLogger(__name__)

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METRICS = {metric.name: metric for metric in METRICS if metric.exporter == "gate"}


class GateMetrics:
    """The metrics of one process; without `serve_metrics` they are not exported and cost almost nothing."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._committed = Counter(*_described("gate.committed"), registry=self.registry)
        self._failures = Counter(*_described("gate.commit_failures"), registry=self.registry)
        self._commit_s = Histogram(*_described("gate.commit_s"), registry=self.registry, buckets=BUCKETS)

    @contextmanager
    def transaction(self, records: int) -> Iterator[None]:
        """Count the records of the block's transaction once it is committed; an error counts them as failed."""
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self._failures.inc()
            raise
        self._committed.inc(records)
        self._commit_s.observe(time.monotonic() - began)


class _Sink(Protocol):
    def commit(self, outputs: Sequence[Any], offsets: Any, group: Any) -> None: ...


class MeteredSink:
    """A sink that counts the transactions that it forwards."""

    def __init__(self, sink: _Sink, metrics: GateMetrics) -> None:
        self._sink = sink
        self._metrics = metrics

    def commit(self, outputs: Sequence[Any], offsets: Any, group: Any) -> None:
        """Commit one transaction."""
        with self._metrics.transaction(len(outputs)):
            self._sink.commit(outputs, offsets, group)


def serve_metrics(settings: Settings, index: int) -> GateMetrics:
    """Serve the metrics of this process; if its port is not available, log that and continue without metrics."""
    disable_created_metrics()  # type: ignore[no-untyped-call] # the series are not declared
    metrics = GateMetrics()
    port = settings.local.ports.gate_metrics + index
    try:
        start_http_server(port, settings.gate.metrics_host or LOOPBACK, metrics.registry)
    except OSError as error:
        log.warning("serve metrics on port %d failed: %s; the gate continues without metrics", port, error.strerror)
    return metrics


def _described(name: str) -> tuple[str, str]:
    metric = _METRICS[name]
    return metric.prometheus, metric.meaning
