"""`sessions.valid` into MongoDB."""

import dataclasses
import logging
from typing import Any

from airflow.providers.mongo.hooks.mongo import MongoHook

from include.archive.load import load
from include.archive.store import database, ensure_indexes
from showroom.environment import settings
from showroom.verdicts import verdicts

MAX_SESSIONS = 500_000
DEADLINE_S = 240.0

_log = logging.getLogger(__name__)


def archive_sessions() -> dict[str, Any]:
    """Archive what is there, within bounds; the report. The next run goes on where this one stood."""
    with verdicts(), MongoHook() as hook:
        current = settings()
        archive = database(hook.get_conn(), current)
        ensure_indexes(archive)
        report = load(current, archive, max_sessions=MAX_SESSIONS, deadline_s=DEADLINE_S, say=_log.info)
        _log.info("%s", report)
        return dataclasses.asdict(report)
