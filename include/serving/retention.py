"""The upkeep of the monthly indices: their aliases, and the end of the old ones."""

from datetime import UTC, datetime

from elasticsearch import Elasticsearch

from include.contracts.documents import INDICES, index_name, index_pattern
from include.serving.client import errors

MONTHS = 12


def ensure_aliases(client: Elasticsearch) -> list[str]:
    """Give every monthly index its alias; those that had none. Raises as `errors` does."""
    repaired: list[str] = []
    for alias in INDICES:
        with errors(f"aliases of {alias}"):
            found = client.indices.get_alias(index=index_pattern(alias)).body
            bare = sorted(name for name, about in found.items() if alias not in about["aliases"])
            for name in bare:
                client.indices.put_alias(index=name, name=alias)
        repaired += bare
    return repaired


def old_indices(names: list[str], alias: str, months: int, now: datetime) -> list[str]:
    """Those of an alias's monthly indices that lie more than `months` before the month of `now`."""
    first = now.astimezone(UTC).year * MONTHS + now.astimezone(UTC).month - 1 - months
    oldest = index_name(alias, datetime(first // MONTHS, first % MONTHS + 1, 1, tzinfo=UTC))
    # Names of one alias have one length and end with year and month: they sort as time does.
    return sorted(name for name in names if len(name) == len(oldest) and name < oldest)


def drop_old(client: Elasticsearch, months: int, now: datetime, *, dry_run: bool = True) -> list[str]:
    """Delete all monthly indices more than `months` old, or only name them. Raises as `errors` does."""
    dropped: list[str] = []
    for alias in INDICES:
        with errors(f"old indices of {alias}"):
            names = list(client.indices.get_alias(index=index_pattern(alias)).body)
            old = old_indices(names, alias, months, now)
            for name in old if not dry_run else ():
                client.indices.delete(index=name)
        dropped += old
    return dropped
