"""`python -m include.archive`: one load without a scheduler; `--start-over` forgets the watermarks first."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from include.archive import store, watermark
from include.archive.load import load
from include.contracts import topics
from include.contracts.errors import SettingsError, ShowroomError
from include.contracts.settings import Settings

_log = logging.getLogger("showroom.archive")


def main(arguments: Sequence[str] | None = None) -> int:
    """Archive once; the exit code: 2 for wrong settings, 1 for any other error."""
    parser = argparse.ArgumentParser(prog="python -m include.archive", description="Archive sessions.valid once.")
    parser.add_argument("--start-over", action="store_true", help="read the topic from its beginning")
    asked = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    logging.getLogger("kafka").setLevel(logging.ERROR)
    try:
        settings = Settings.from_env(os.environ)
        with store.connect(settings) as client:
            database = store.database(client, settings)
            if asked.start_over:
                _log.info("%d watermarks forgotten", watermark.forget(database, topics.VALID))
            store.ensure_indexes(database)
            _log.info("%s", load(settings, database, say=_log.info))
    except ShowroomError as error:
        sys.stderr.write(f"archive: {error}\n")
        return 2 if isinstance(error, SettingsError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
