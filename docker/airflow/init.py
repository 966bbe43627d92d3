"""Initialize Airflow before its other containers: passwords, database schema, pools. Idempotent."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

POOLS = Path(__file__).resolve().parents[2] / "plugins" / "showroom" / "pools.json"
COMMANDS = (("db", "migrate"), ("pools", "import", str(POOLS)))
SHORTEST = {
    "AIRFLOW_PASSWORD": 8,
    "AIRFLOW_VIEWER_PASSWORD": 8,
    # MLflow would refuse to start with a shorter one, and only its own log would have the reason.
    "MLFLOW_TRACKING_PASSWORD": 12,
    "AIRFLOW__API_AUTH__JWT_SECRET": 64,
    "AIRFLOW__API__SECRET_KEY": 32,
}
PASSWORDS = {"admin": "AIRFLOW_PASSWORD", "viewer": "AIRFLOW_VIEWER_PASSWORD"}
"""User -> environment variable of the password."""


def write_passwords(environment: Mapping[str, str]) -> None:
    """Write the passwords to the file that Airflow's login reads; only their owner may read it."""
    path = Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    draft = path.with_name(f".{path.name}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(json.dumps({user: environment[name] for user, name in PASSWORDS.items()}) + "\n")
    draft.replace(path)


def main(environment: Mapping[str, str]) -> str | None:
    """Return None if everything is prepared, otherwise the error."""
    for name, length in SHORTEST.items():
        if len(environment.get(name, "")) < length:
            return f"airflow-init: {name} has fewer than {length} characters; see .env.example"
    write_passwords(environment)
    for arguments in COMMANDS:
        done = subprocess.run([sys.executable, "-P", "-m", "airflow", *arguments], env=dict(environment), check=False)
        if done.returncode != 0:
            return f"airflow-init: airflow {' '.join(arguments[:2])} ended with {done.returncode}"
    return None


if __name__ == "__main__":
    sys.exit(main(os.environ))
