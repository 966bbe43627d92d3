"""Maintain the indices, and the dashboards in Kibana."""

import logging
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include.clients.elasticsearch import connect
from include.contracts.errors import TransientError
from include.dashboards.kibana import import_objects
from include.serving.retention import drop_old, ensure_aliases
from include.serving.templates import ensure_templates
from showroom.fail_fast import fail_fast_on_terminal
from showroom.settings import load_settings

_log = logging.getLogger(__name__)


def ensure_indices() -> list[str]:
    """Create the templates and aliases of this version; return the indices that had no alias."""
    with fail_fast_on_terminal():
        settings = load_settings()
        with connect(settings.elasticsearch) as client:
            ensure_templates(client, settings.elasticsearch)
            return ensure_aliases(client)


def drop_old_indices(now: Any, dry_run: bool) -> list[str]:
    """Delete the monthly indices older than the retention; with `dry_run` only return them."""
    with fail_fast_on_terminal():
        settings = load_settings()
        with connect(settings.elasticsearch) as client:
            old = drop_old(client, settings.elasticsearch.retention_months, now, dry_run=dry_run)
        _log.info("%s: %s", "would delete" if dry_run else "deleted", ", ".join(old) or "nothing")
        return old


def import_dashboards() -> int:
    """Import the dashboards into Kibana; return the number of objects. Skip without Kibana.

    The next day's run retries, because the objects change only with a version of the project.
    """
    with fail_fast_on_terminal():
        try:
            imported = import_objects(load_settings())
        except TransientError as error:
            raise AirflowSkipException(str(error)) from error
    if imported is None:
        raise AirflowSkipException("SHOWROOM_KIBANA_URL is not set")
    return imported.objects
