"""The admitted sessions that a store lacks, one by one; only compared if the counts differ."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from include.supervise.admitted_session import AdmittedSession, SessionKey
from include.supervise.reconcile import IN_MONGODB

BATCH = 1_000
MAX_EXAMPLES = 5

Lookup = Callable[[Collection[SessionKey]], Mapping[SessionKey, int]]
"""Sessions -> number of documents of each in a store."""


@dataclass
class Missing:
    """Documents that a store lacks; `dead`: those of them that are dead letters; `examples`: session ids of others."""

    documents: int = 0
    dead: int = 0
    examples: list[str] = field(default_factory=list)


class CountingIterable:
    """Sessions, read once, and their number."""

    def __init__(self, sessions: Iterable[AdmittedSession]) -> None:
        self._sessions = sessions
        self.count = 0

    def __iter__(self) -> Iterator[AdmittedSession]:
        for session in self._sessions:
            self.count += 1
            yield session


def find_missing(
    sessions: Iterable[AdmittedSession],
    lookups: Mapping[str, Lookup],
    dead: Mapping[str, Mapping[SessionKey, int]],
    oldest_month: str,
) -> dict[str, Missing]:
    """Compare each session with each store, in batches.

    Args:
        sessions: The admitted sessions of an hour.
        lookups: Store -> its lookup.
        dead: Index -> session -> its dead letters.
        oldest_month: Sessions of an earlier month may have left the indices.

    Returns:
        Store -> its missing documents. A document that a later session of the same id replaced is not missing.
    """
    result = {what: Missing() for what in lookups}
    for batch in _batches(sessions):
        for what, lookup in lookups.items():
            expected = {session.key: _rows(session, what, oldest_month) for session in batch}
            requested = [key for key, rows in expected.items() if rows]
            documents = lookup(requested) if requested else {}
            for key in requested:
                _compare(result[what], key, expected[key] - documents.get(key, 0), dead.get(what, {}).get(key, 0))
    return result


def _rows(session: AdmittedSession, what: str, oldest_month: str) -> int:
    if what == IN_MONGODB:
        return 1
    return session.rows.of(what) if session.month >= oldest_month else 0


def _compare(missing: Missing, key: SessionKey, gap: int, dead: int) -> None:
    if gap <= 0:
        return
    missing.documents += gap
    missing.dead += min(gap, dead)
    if gap > dead and len(missing.examples) < MAX_EXAMPLES:
        missing.examples.append(key.session_id)


def _batches(sessions: Iterable[AdmittedSession]) -> Iterator[list[AdmittedSession]]:
    remaining = iter(sessions)
    while batch := list(islice(remaining, BATCH)):
        yield batch
