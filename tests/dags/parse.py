"""Import every DAG file without a network; print the result as JSON. Runs as a separate process."""

import json
import runpy
import socket
import sys
import time
from pathlib import Path
from typing import Any

import airflow.sdk

CLIENTS = ("kafka", "redis", "elasticsearch", "pymongo", "httpx", "pandas", "numpy", "sklearn", "pyflink", "tensorflow")


def refuse(*_: object, **__: object) -> Any:
    raise OSError("a DAG file opened a socket while it was parsed")


def main(folder: Path) -> dict[str, Any]:
    """Return file -> CPU seconds and loaded clients, without those that Airflow's SDK loads."""
    airflow.sdk.DAG  # noqa: B018 -- loads what every DAG file loads, before the clock runs
    for name in ("connect", "connect_ex", "bind", "sendto"):
        setattr(socket.socket, name, refuse)
    socket.getaddrinfo = refuse
    results: dict[str, Any] = {}
    for path in sorted(folder.glob("[!_]*.py")):
        before, began = set(sys.modules), time.process_time()
        runpy.run_path(str(path))
        seconds = time.process_time() - began
        loaded = {name.split(".")[0] for name in set(sys.modules) - before}
        results[path.name] = {"seconds": seconds, "clients": sorted(loaded & set(CLIENTS))}
    return results


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
