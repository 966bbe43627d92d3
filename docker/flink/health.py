"""Health of a Flink container: `health.py jobmanager` or `health.py taskmanager`; ends 0 when well."""

import json
import socket
import sys
from typing import Any
from urllib.request import urlopen

JOBMANAGER = "http://flink-jobmanager:8081"
TIMEOUT_S = 4.0


def _get(path: str) -> dict[str, Any]:
    with urlopen(f"{JOBMANAGER}{path}", timeout=TIMEOUT_S) as response:
        content: dict[str, Any] = json.load(response)
        return content


def main(process: str) -> str | None:
    """None when well, else what is wrong. A TaskManager is well when the JobManager knows its address."""
    if process == "jobmanager":
        _get("/overview")
        return None
    own = socket.gethostbyname(socket.gethostname())
    existing = [manager["path"] for manager in _get("/taskmanagers")["taskmanagers"]]
    return None if any(f"@{own}:" in path for path in existing) else f"{own} is not registered, only {existing}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
