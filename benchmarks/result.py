"""Results of benches and drills: figures, targets, machine, versions and configuration."""

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
"""Client packages of the live path's servers."""
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
    """Write a result to `<folder>/<name>.json` and return it as one JSON line.

    Args:
        name: Name of the bench or drill.
        figures: Measured values. Those with a target are numbers.
        targets: Bound of a figure: "at least" or "at most", and the value. `met` is true if all targets are met.
        seed: Seed of the load.
        config: Configuration of the run.
        packages: Packages whose versions are recorded. The default also records the versions of the servers.
        folder: Folder of the results.

    Raises:
        KeyError: A target has no figure.
        ValueError: A target is neither "at least" nor "at most".
    """
    result = {
        "name": name,
        "figures": dict(figures),
        "targets": {figure: f"{sense} {bound:g}" for figure, (sense, bound) in targets.items()},
        "met": all(_is_met(figures[figure], sense, bound) for figure, (sense, bound) in targets.items()),
        "machine": machine(),
        "versions": versions(packages),
        "seed": seed,
        "config": dict(config),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    return json.dumps(result)


def _is_met(figure: float, sense: str, bound: float) -> bool:
    if sense not in ("at least", "at most"):
        raise ValueError(f"check of a target failed: {sense!r} is neither 'at least' nor 'at most'")
    return figure >= bound if sense == "at least" else figure <= bound


def machine() -> dict[str, Any]:
    """Return the machine and its load average, because other processes change absolute figures."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(terse=True),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of packages; for the default packages also of Java and the servers."""
    if packages != PACKAGES:
        return {"python": platform.python_version(), **{package: metadata.version(package) for package in packages}}
    completed = subprocess.run([java.java(), "-version"], capture_output=True, text=True, check=True)
    java_version = completed.stderr.splitlines()[0]
    clients = {f"{package} (client)": metadata.version(package) for package in PACKAGES}
    return {"python": platform.python_version(), "java": java_version, **POM_VERSIONS, **clients}


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
