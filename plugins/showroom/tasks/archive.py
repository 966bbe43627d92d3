"""Archive `sessions.valid` in MongoDB, and delete expired sessions there."""

import dataclasses
import logging
from datetime import datetime
from typing import Any

from airflow.providers.mongo.hooks.mongo import MongoHook

from include.archive.consume import load
from include.archive.retention import delete_expired
from include.archive.store import database, ensure_indexes
from include.contracts.collections import LOAD_DEADLINE_S
from showroom.fail_fast import fail_fast_on_terminal
from showroom.settings import load_settings

RETENTION_DEADLINE_S = 1_500.0

_log = logging.getLogger(__name__)


def archive_sessions() -> dict[str, Any]:
    """Archive to the end of the topic or the deadline; return the report. The next run continues there."""
    with fail_fast_on_terminal(), MongoHook() as hook:
        settings = load_settings()
        archive = database(hook.get_conn(), settings.mongodb)
        ensure_indexes(archive)
        report = load(settings, archive, deadline_s=LOAD_DEADLINE_S, on_progress=_log.info)
        _log.info("%s", report)
        return dataclasses.asdict(report)


def drop_old_sessions(now: datetime, dry_run: bool) -> int:
    """Delete archived sessions older than the retention, or only count them with `dry_run`."""
    with fail_fast_on_terminal(), MongoHook() as hook:
        settings = load_settings()
        archive = database(hook.get_conn(), settings.mongodb)
        days = settings.archive.retention_days
        count = delete_expired(
            archive, days, now, dry_run=dry_run, deadline_s=RETENTION_DEADLINE_S, on_progress=_log.info
        )
        _log.info("%s%d sessions older than %d days", "dry run: " if dry_run else "deleted ", count, days)
        return count
