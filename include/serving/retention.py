"""Maintain the indices: repair aliases and delete old indices."""

from datetime import UTC, datetime

from elasticsearch import Elasticsearch

from include.clients.elasticsearch import translate_errors
from include.contracts.index_documents import (
    INDICES,
    MONTHS_A_YEAR,
    TIME_FIELD,
    index_name,
    index_pattern,
    older_index,
)


def ensure_aliases(client: Elasticsearch) -> list[str]:
    """Add missing aliases of monthly indices and return the repaired indices. Raises as `errors` does."""
    repaired: list[str] = []
    for alias in INDICES:
        with translate_errors(f"aliases of {alias}"):
            indices = client.indices.get_alias(index=index_pattern(alias)).body
            without_alias = sorted(name for name, index in indices.items() if alias not in index["aliases"])
            for name in without_alias:
                client.indices.put_alias(index=name, name=alias)
        repaired += without_alias
    return repaired


def old_indices(names: list[str], alias: str, months: int, now: datetime) -> list[str]:
    """Return the monthly indices of an alias that are more than `months` older than the month of `now`."""
    oldest = index_name(alias, oldest_retained_month(months, now))
    # Names of one alias have one length and end with year and month, so they sort by time.
    return sorted(name for name in names if len(name) == len(oldest) and name < oldest and name != older_index(alias))


def oldest_retained_month(months: int, now: datetime) -> datetime:
    """Return the start of the oldest month that is retained."""
    first = now.astimezone(UTC).year * MONTHS_A_YEAR + now.astimezone(UTC).month - 1 - months
    return datetime(first // MONTHS_A_YEAR, first % MONTHS_A_YEAR + 1, 1, tzinfo=UTC)


def drop_old(client: Elasticsearch, months: int, now: datetime, *, dry_run: bool = True) -> list[str]:
    """Delete indices whose events are more than `months` old, or list them if `dry_run`. Raises as `errors` does."""
    dropped: list[str] = []
    for alias in INDICES:
        with translate_errors(f"old indices of {alias}"):
            names = list(client.indices.get_alias(index=index_pattern(alias)).body)
            old = old_indices(names, alias, months, now)
            for name in old if not dry_run else ():
                client.indices.delete(index=name)
            if older_index(alias) in names and _drop_older(
                client, alias, oldest_retained_month(months, now), dry_run=dry_run
            ):
                old.append(older_index(alias))
        dropped += old
    return dropped


def _drop_older(client: Elasticsearch, alias: str, retained_from: datetime, *, dry_run: bool) -> bool:
    """Delete the index of older events if it has no retained event; return whether it has none."""
    index = older_index(alias)
    if not dry_run:
        # A killed run does not remove its write block.
        _unblock(client, index)
    if _count_retained(client, alias, retained_from):
        return False
    if dry_run:
        return True
    is_deleted = False
    try:
        # Later events are retried; they are indexed once the index is deleted or the block is lifted.
        client.indices.add_block(index=index, block="write")
        if not _count_retained(client, alias, retained_from):
            client.indices.delete(index=index)
            is_deleted = True
    finally:
        if not is_deleted:
            _unblock(client, index)
    return is_deleted


def _unblock(client: Elasticsearch, index: str) -> None:
    # If the response of the delete was lost, there is no index to unblock.
    client.indices.put_settings(index=index, settings={"index.blocks.write": None}, ignore_unavailable=True)


def _count_retained(client: Elasticsearch, alias: str, retained_from: datetime) -> int:
    """Count the older events that are retained, including those written just now."""
    index = older_index(alias)
    client.indices.refresh(index=index)
    return int(
        client.count(index=index, query={"range": {TIME_FIELD[alias]: {"gte": retained_from.isoformat()}}})["count"]
    )
