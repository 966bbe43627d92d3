"""The upkeep of the indices, and of the dashboards in Kibana."""

import logging
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include.clients.elasticsearch import connect
from include.contracts.errors import TransientError
from include.serving.kibana import import_objects
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


def publish_dashboards() -> int:
    """Bring the dashboards into Kibana; how many objects it took. Skips where no Kibana is set or it does not answer.

    The next day's run does what this one could not: the objects change with a version of the project only.
    """
    with verdicts():
        try:
            done = import_objects(settings())
        except TransientError as error:
            raise AirflowSkipException(str(error)) from error
    if done is None:
        raise AirflowSkipException("SHOWROOM_KIBANA_URL is not set")
    return done.objects
