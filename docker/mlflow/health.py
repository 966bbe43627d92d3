"""Health of the MLflow container: it answers its own user, out of its database; ends 0 when well."""

import os
from base64 import b64encode
from collections.abc import Mapping
from urllib.request import Request, urlopen

API = "http://127.0.0.1:5000"
PATH = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
TIMEOUT_S = 4.0


def main(environment: Mapping[str, str], api: str = API) -> None:
    """Nothing when well; raises what is wrong."""
    login = f"{environment['MLFLOW_AUTH_ADMIN_USERNAME']}:{environment['MLFLOW_AUTH_ADMIN_PASSWORD']}"
    request = Request(f"{api}{PATH}", headers={"Authorization": f"Basic {b64encode(login.encode()).decode()}"})
    with urlopen(request, timeout=TIMEOUT_S):
        return


if __name__ == "__main__":
    main(os.environ)
