"""A gate process counts its transactions and serves the counts on its own port."""

import socket
from urllib.request import urlopen

import pytest

from include.contracts.metrics import METRICS
from include.contracts.ports import Ports
from include.contracts.settings import LocalSettings, Settings
from include.gate.metrics import GateMetrics, MeteredSink, serve_metrics


class Sink:
    """Commits, or fails."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def commit(self, outputs: object, offsets: object, group: object) -> None:
        if self.error is not None:
            raise self.error


def value(metrics: GateMetrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(name)


def test_metered_sink_counts_what_is_committed_and_what_fails() -> None:
    metrics, sink = GateMetrics(), Sink()
    metered = MeteredSink(sink, metrics)
    metered.commit(["a", "b"], {}, None)
    sink.error = OSError("lost")
    with pytest.raises(OSError, match="lost"):
        metered.commit(["c"], {}, None)
    assert value(metrics, "showroom_gate_committed_total") == 2
    assert value(metrics, "showroom_gate_commit_failures_total") == 1
    assert value(metrics, "showroom_gate_commit_s_count") == 1


def test_served_metrics_are_those_declared_and_a_taken_port_stops_no_gate(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Settings(local=LocalSettings(port_offset=max(0, port - Ports().gate_metrics)))
    serve_metrics(settings, 0)
    with urlopen(f"http://127.0.0.1:{settings.local.ports.gate_metrics}/metrics", timeout=10) as response:
        text = response.read().decode()
    for metric in METRICS:
        assert (f" {metric.prometheus}" in text) == (metric.exporter == "gate"), metric
    serve_metrics(settings, 0)
    assert "the gate continues without metrics" in caplog.text
