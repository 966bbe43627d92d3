"""The upkeep of the indices."""

import logging
from typing import Any

from include.serving.client import connect
from include.serving.retention import drop_old, ensure_aliases
from include.serving.templates import ensure_templates
from showroom.environment import settings
from showroom.verdicts import verdicts

_log = logging.getLogger(__name__)


def ensure_indices() -> list[str]:
    """Templates and aliases as this version wants them; the indices that had no alias."""
    with verdicts():
        current = settings()
        with connect(current) as client:
            ensure_templates(client, current)
            return ensure_aliases(client)


def drop_old_indices(now: Any, dry_run: bool) -> list[str]:
    """Delete the monthly indices older than SHOWROOM_INDEX_MONTHS; with `dry_run` only name them."""
    with verdicts():
        current = settings()
        with connect(current) as client:
            old = drop_old(client, current.index_months, now, dry_run=dry_run)
        _log.info("%s: %s", "would delete" if dry_run else "deleted", ", ".join(old) or "nothing")
        return old
