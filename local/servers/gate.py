"""The gate's processes: one consumer group shares the partitions among them."""

import secrets
import sys
import time

from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from include.clients.redis import connect
from include.contracts import redis_keys
from include.contracts.health import check_gate, heartbeat_ages
from include.contracts.setting import Secret
from include.contracts.settings import LOOPBACK, GateSettings, Settings
from local.layout import Layout, write_text
from local.program import Program
from local.project import ROOT

NAME = "gate-"
KEY_FILE = "pseudonym.key"
KEY_BYTES = 32
HEARTBEAT_MAX_AGE_S = 10.0
"""Less than `gate_heartbeat_timeout_s`, because the last heartbeat of an ended process is no proof of a new one."""
PROBE_TIMEOUT_S = 3.0
RETRY = Retry(ExponentialWithJitterBackoff(base=0.01, cap=1.0), 10)


def programs(settings: Settings, layout: Layout) -> tuple[Program, ...]:
    """Define `gate_processes` processes."""
    environment = {
        **settings.replace(
            gate={"pseudonym_key": pseudonym_key(settings.gate, layout)}, batch={"noise_key": Secret("")}
        ).to_env(),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    return tuple(
        Program(
            name=f"{NAME}{number}",
            title=f"gate {number}",
            command=(sys.executable, "-P", "-m", "include.gate", "--index", str(number)),
            priority=600,
            probe=lambda: probe(settings),
            address="",
            environment=environment,
            ports={f"the metrics of gate {number}": settings.local.ports.gate_metrics + number},
        )
        for number in range(settings.gate.processes)
    )


def pseudonym_key(settings: GateSettings, layout: Layout) -> Secret:
    """Return the key of the settings, else the generated key of this stack, else an empty one."""
    path = layout.conf / KEY_FILE
    if settings.pseudonym_key or not path.exists():
        return settings.pseudonym_key
    return Secret(path.read_text().strip())


def ensure_pseudonym_key(settings: GateSettings, layout: Layout) -> None:
    """Generate a key unless the settings or an earlier start of this stack have one."""
    if not pseudonym_key(settings, layout):
        write_text(layout.conf / KEY_FILE, secrets.token_hex(KEY_BYTES) + "\n", mode=0o600)


def probe(settings: Settings) -> str | None:
    """Probe for a recent heartbeat of every partition."""
    url = f"redis://{LOOPBACK}:{settings.local.ports.redis}"
    with connect(url, timeout_s=PROBE_TIMEOUT_S, decode_responses=True, retry=RETRY) as client:
        beats = client.mget([redis_keys.heartbeat(partition) for partition in range(settings.kafka.partitions)])
    return check_gate(heartbeat_ages(beats, time.time()), HEARTBEAT_MAX_AGE_S)
