"""A sign of life to a service outside (dead man's switch): its silence says that nobody supervises any more."""

import logging
import time

import httpx

from include.contracts.settings import Settings
from include.supervise.state_file import StateFile

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0


def send_heartbeat(settings: Settings) -> bool:
    """Send a GET to SHOWROOM_HEARTBEAT_URL at the end of a cycle. Never raises; a failure is logged.

    Returns:
        Whether the service has accepted it; False where none is set.
    """
    address = settings.heartbeat_url.reveal()
    if not address:
        return False
    # It logs addresses, and this one is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        with httpx.Client(timeout=TIMEOUT_S) as http, http.stream("GET", address) as response:
            # The body is not read: it could take for ever.
            code = response.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        log.warning("send heartbeat failed: %s; see SHOWROOM_HEARTBEAT_URL", type(error).__name__)
        return False
    if not httpx.codes.is_success(code):
        log.warning("send heartbeat failed: the service answered %d; see SHOWROOM_HEARTBEAT_URL", code)
        return False
    with StateFile(settings).edit() as state:
        state.heartbeat_at = time.time()
    return True
