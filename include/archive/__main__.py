"""`python -m include.archive`: one load without a scheduler; `--start-over` forgets the watermarks first.

`--expire` deletes what is older than the retention instead, `--expire --dry-run` only counts it.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from pymongo.database import Database

from include.archive import store, watermark
from include.archive.load import load
from include.archive.retention import delete_expired
from include.clients.mongodb import Document
from include.contracts import topics
from include.contracts.errors import SettingsError, ShowroomError
from include.contracts.settings import Settings

_log = logging.getLogger("showroom.archive")


def main(arguments: Sequence[str] | None = None) -> int:
    """Archive once; the exit code: 2 for wrong settings, 1 for any other error."""
    parser = argparse.ArgumentParser(prog="python -m include.archive", description="Archive sessions.valid once.")
    parser.add_argument("--start-over", action="store_true", help="read the topic from its beginning")
    parser.add_argument(
        "--expire", action="store_true", help="delete sessions older than SHOWROOM_ARCHIVE_RETENTION_DAYS, load nothing"
    )
    parser.add_argument("--dry-run", action="store_true", help="with --expire: only count them")
    options = parser.parse_args(arguments)
    if options.dry_run and not options.expire:
        parser.error("--dry-run belongs to --expire")
    if options.start_over and options.expire:
        parser.error("--start-over and --expire exclude each other")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    logging.getLogger("kafka").setLevel(logging.ERROR)
    try:
        settings = Settings.from_env(os.environ)
        with store.connect(settings) as client:
            database = store.database(client, settings)
            if options.expire:
                _expire(settings, database, dry_run=options.dry_run)
            else:
                _load(settings, database, start_over=options.start_over)
    except ShowroomError as error:
        sys.stderr.write(f"archive: {error}\n")
        return 2 if isinstance(error, SettingsError) else 1
    return 0


def _expire(settings: Settings, database: Database[Document], *, dry_run: bool) -> None:
    days = settings.archive_retention_days
    count = delete_expired(database, days, datetime.now(UTC), dry_run=dry_run, say=_log.info)
    _log.info("%d sessions older than %d days %s", count, days, "would be deleted" if dry_run else "deleted")


def _load(settings: Settings, database: Database[Document], *, start_over: bool) -> None:
    if start_over:
        _log.info("%d watermarks forgotten", watermark.forget(database, topics.VALID))
    store.ensure_indexes(database)
    _log.info("%s", load(settings, database, say=_log.info))


if __name__ == "__main__":
    sys.exit(main())
