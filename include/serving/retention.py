"""The upkeep of the indices: their aliases, and the end of the old ones."""

from datetime import UTC, datetime

from elasticsearch import Elasticsearch

from include.clients.elasticsearch import translate_errors
from include.contracts.documents import (
    INDICES,
    MONTHS_A_YEAR,
    TIME_FIELD,
    index_name,
    index_pattern,
    older_index,
)


def ensure_aliases(client: Elasticsearch) -> list[str]:
    """Give every monthly index its alias; those that had none. Raises as `errors` does."""
    repaired: list[str] = []
    for alias in INDICES:
        with translate_errors(f"aliases of {alias}"):
            found = client.indices.get_alias(index=index_pattern(alias)).body
            bare = sorted(name for name, about in found.items() if alias not in about["aliases"])
            for name in bare:
                client.indices.put_alias(index=name, name=alias)
        repaired += bare
    return repaired


def old_indices(names: list[str], alias: str, months: int, now: datetime) -> list[str]:
    """Those of an alias's monthly indices that lie more than `months` before the month of `now`."""
    oldest = index_name(alias, first_kept(months, now))
    # Names of one alias have one length and end with year and month: they sort as time does.
    return sorted(name for name in names if len(name) == len(oldest) and name < oldest and name != older_index(alias))


def first_kept(months: int, now: datetime) -> datetime:
    """The beginning of the oldest month that is kept."""
    first = now.astimezone(UTC).year * MONTHS_A_YEAR + now.astimezone(UTC).month - 1 - months
    return datetime(first // MONTHS_A_YEAR, first % MONTHS_A_YEAR + 1, 1, tzinfo=UTC)


def drop_old(client: Elasticsearch, months: int, now: datetime, *, dry_run: bool = True) -> list[str]:
    """Delete all indices whose events are more than `months` old, or only name them. Raises as `errors` does."""
    dropped: list[str] = []
    for alias in INDICES:
        with translate_errors(f"old indices of {alias}"):
            names = list(client.indices.get_alias(index=index_pattern(alias)).body)
            old = old_indices(names, alias, months, now)
            for name in old if not dry_run else ():
                client.indices.delete(index=name)
            if older_index(alias) in names and _drop_older(client, alias, first_kept(months, now), dry_run=dry_run):
                old.append(older_index(alias))
        dropped += old
    return dropped


def _drop_older(client: Elasticsearch, alias: str, kept_from: datetime, *, dry_run: bool) -> bool:
    """Delete the index of older events once it has none that is to be kept; whether it has none."""
    index = older_index(alias)
    if not dry_run:
        # A run that was killed has left the block behind.
        _unblock(client, index)
    if _kept(client, alias, kept_from):
        return False
    if dry_run:
        return True
    is_deleted = False
    try:
        # Events that arrive from here on wait; they are indexed once the index is gone or the block is lifted.
        client.indices.add_block(index=index, block="write")
        if not _kept(client, alias, kept_from):
            client.indices.delete(index=index)
            is_deleted = True
    finally:
        if not is_deleted:
            _unblock(client, index)
    return is_deleted


def _unblock(client: Elasticsearch, index: str) -> None:
    # A delete whose answer was lost has left no index to unblock.
    client.indices.put_settings(index=index, settings={"index.blocks.write": None}, ignore_unavailable=True)


def _kept(client: Elasticsearch, alias: str, kept_from: datetime) -> int:
    """Number of older events that are to be kept, those written just now included."""
    index = older_index(alias)
    client.indices.refresh(index=index)
    return int(client.count(index=index, query={"range": {TIME_FIELD[alias]: {"gte": kept_from.isoformat()}}})["count"])
