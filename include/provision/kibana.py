"""`python -m include.provision.kibana`: wait for Kibana and import the dashboards. Idempotent."""

import logging
import os
import sys
from collections.abc import Mapping

import httpx
from tenacity import RetryCallState, wait_fixed

from include.clients.errors import with_retries
from include.contracts.errors import SettingsError, ShowroomError
from include.contracts.setting import Secret
from include.contracts.settings import Settings
from include.dashboards.kibana import Imported, import_objects

DEADLINE_S = 300.0
RETRY_INTERVAL_S = 2.0
SUPERUSER = "elastic"

_log = logging.getLogger("showroom.publish")


def import_dashboards(
    settings: Settings,
    password: Secret | None = None,
    deadline_s: float = DEADLINE_S,
    transport: httpx.BaseTransport | None = None,
) -> Imported:
    """Import the dashboards as soon as Kibana is ready.

    Raises:
        SettingsError: Kibana's URL is not set.
        TransientError: Kibana is unavailable past the deadline.
        TerminalError: Kibana rejects the import.
    """
    login = (SUPERUSER, password) if password else None
    result = with_retries(
        lambda: import_objects(settings, login, transport),
        wait=wait_fixed(RETRY_INTERVAL_S),
        deadline_s=deadline_s,
        before_sleep=_on_progress,
    )
    if result is None:
        raise SettingsError("SHOWROOM_KIBANA_URL is not set", "set it to Kibana's address")
    return result


def _on_progress(state: RetryCallState) -> None:
    _log.info("waiting: %s", state.outcome.exception() if state.outcome else "")


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Import into the Kibana that the environment names; return the exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        result = import_dashboards(Settings.from_env(environment), Secret(environment.get("ELASTIC_PASSWORD", "")))
    except ShowroomError as error:
        sys.stderr.write(f"publish: {error}\n")
        return 2 if isinstance(error, SettingsError) else 1
    _log.info("imported all %d objects into Kibana", result.objects)
    return 0


if __name__ == "__main__":
    sys.exit(main())
