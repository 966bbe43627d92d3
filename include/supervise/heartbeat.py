"""The heartbeat to an external dead man's switch, which alerts when no supervision cycle ends."""

import logging
import threading
import time

import httpx

from include.contracts.settings import Settings
from include.supervise.state_file import StateFile

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 10.0
"""Limit of the whole request."""


def send_heartbeat(settings: Settings) -> bool:
    """Send a GET to SHOWROOM_SUPERVISE_HEARTBEAT_URL at the end of a cycle. Never raises; a failure is logged.

    Returns:
        Whether the service accepted it; False if none is set.
    """
    address = settings.supervise.heartbeat_url.reveal()
    if not address:
        return False
    # In a thread, because a service that sends its headers byte by byte exceeds every time limit of the client.
    outcome: list[str] = []
    thread = threading.Thread(target=lambda: outcome.append(_request(address)), name="heartbeat", daemon=True)
    thread.start()
    thread.join(REQUEST_TIMEOUT_S)
    failure = outcome[0] if outcome else f"no response within {REQUEST_TIMEOUT_S:g} s"
    if failure:
        log.warning("send heartbeat failed: %s; see SHOWROOM_SUPERVISE_HEARTBEAT_URL", failure)
        return False
    with StateFile(settings).edit() as state:
        state.heartbeat_at = time.time()
    return True


def _request(address: str) -> str:
    """Send one GET; returns why it failed, "" if it did not."""
    # httpx logs addresses, and this one is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        # The body is not read, because it may be endless.
        with httpx.Client(timeout=TIMEOUT_S) as http, http.stream("GET", address) as response:
            return "" if response.is_success else f"the service returned {response.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return type(error).__name__
