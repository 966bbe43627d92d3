"""Health of an Airflow container: `health.py scheduler` asks the API what it knows of that part; ends 0 when well."""

import json
import sys
from typing import Any
from urllib.request import urlopen

API = "http://airflow-api:8080"
TIMEOUT_S = 4.0


def main(part: str, api: str = API) -> str | None:
    """None when well, else what is wrong. `part`: metadatabase, scheduler, dag_processor or triggerer."""
    with urlopen(f"{api}/api/v2/monitor/health", timeout=TIMEOUT_S) as response:
        health: dict[str, dict[str, Any]] = json.load(response)
    status = health.get(part, {}).get("status")
    return None if status == "healthy" else f"the {part.replace('_', ' ')} is {status or 'not started'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
