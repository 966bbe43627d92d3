"""What a bench or a drill reports: figures against targets, with everything needed to judge them."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from local.install import java

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("kafka-python", "confluent-kafka", "redis", "elasticsearch", "msgspec")
"""Clients of the live path's servers."""
POM_VERSIONS = {"kafka": "4.3.1", "elasticsearch": "8.19.16", "flink": "2.3.0"}


def report(
    name: str,
    *,
    figures: Mapping[str, Any],
    targets: Mapping[str, tuple[str, float]],
    seed: int,
    config: Mapping[str, Any],
    packages: Sequence[str] = PACKAGES,
    folder: Path = FOLDER,
) -> str:
    """One JSON line, also kept as `<folder>/<name>.json`.

    `targets`: figure -> ("at least" or "at most", bound); `met` tells whether all of them hold.
    `packages`: those whose versions are told; the live path's servers are told with its clients only.
    """
    result = {
        "name": name,
        "figures": dict(figures),
        "targets": {figure: f"{sense} {bound:g}" for figure, (sense, bound) in targets.items()},
        "met": all(_holds(figures[figure], sense, bound) for figure, (sense, bound) in targets.items()),
        "machine": machine(),
        "versions": versions(packages),
        "seed": seed,
        "config": dict(config),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    return json.dumps(result)


def _holds(figure: float, sense: str, bound: float) -> bool:
    if sense not in ("at least", "at most"):
        raise ValueError(f"a target is at least or at most, not {sense!r}")
    return figure >= bound if sense == "at least" else figure <= bound


def machine() -> dict[str, Any]:
    """The machine, and how busy it was: a shared one makes absolute figures wander."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(terse=True),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of what was measured."""
    if packages != PACKAGES:
        return {"python": platform.python_version(), **{package: metadata.version(package) for package in packages}}
    shown = subprocess.run([java.java(), "-version"], capture_output=True, text=True, check=True).stderr.splitlines()[0]
    clients = {f"{package} (client)": metadata.version(package) for package in PACKAGES}
    return {"python": platform.python_version(), "java": shown, **POM_VERSIONS, **clients}


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
