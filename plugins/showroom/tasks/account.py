"""One hour, or one day, counted at every stage. Positions of the readers are read before the stores are counted."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from include.contracts.settings import Settings
from include.contracts.topics import KPI, KPI_GROUP, KPI_ROWS_GROUP, STREAM_GROUP, VALID
from include.supervise.kafka_counts import Hours, committed, end_offsets
from include.supervise.missing_sessions import Counting, Missing, find_missing
from include.supervise.reconcile import (
    ADMITTED,
    BY_SESSION,
    HOUR,
    IN_MONGODB,
    KPI_INDEX,
    Evidence,
    Line,
    Reconciliation,
    gate_line,
    store_line,
    undecided_line,
)
from showroom.tasks.stores import Stores


class Counted(NamedTuple):
    """The equation, what Kafka holds (None while the gate is not done), the bare counts, and missing session ids."""

    result: Reconciliation
    evidence: Evidence | None
    counts: dict[str, int]
    examples: dict[str, list[str]]


def count_hour(settings: Settings, stores: Stores, hour: datetime, evidence: Evidence | None) -> Counted:
    """Count an hour. Raises TransientError while a server is unavailable.

    Args:
        settings: where Kafka is.
        stores: the stores behind the gate.
        hour: its start, UTC.
        evidence: what an earlier run has read of it; raw records are then not needed again.
    """
    with Hours(settings, hour, hour + HOUR) as hours:
        if evidence is None:
            undecided = hours.undecided()
            if undecided:
                return Counted(Reconciliation(hour, (undecided_line(hours.raw(), undecided),)), None, {}, {})
            evidence = hours.evidence()
        passed = {"stream": committed(settings, STREAM_GROUP, VALID), "archive": stores.archived()}
        reachable = evidence.reachable(end_offsets(settings, VALID))
        counts = stores.counts(hour)
        lines = [gate_line(evidence), *_store_lines(reachable, counts, passed, stores.oldest_month)]
        lines, examples = _look_up(hours, stores, lines, evidence.valid)
    return Counted(Reconciliation(hour, tuple(lines)), evidence, counts, examples)


def _store_lines(
    evidence: Evidence, counts: Mapping[str, int], passed: Mapping[str, Mapping[int, int]], oldest: str
) -> list[Line]:
    lines = [
        store_line(
            "stream",
            index,
            evidence.expected(index, oldest),
            counts[index],
            evidence.in_flight(index, passed["stream"]),
        )
        for index in BY_SESSION
    ]
    if IN_MONGODB in counts:
        in_flight = evidence.in_flight(IN_MONGODB, passed["archive"])
        lines.append(store_line("archive", IN_MONGODB, evidence.valid, counts[IN_MONGODB], in_flight))
    return lines


def _look_up(hours: Hours, stores: Stores, lines: list[Line], admitted: int) -> tuple[list[Line], dict[str, list[str]]]:
    """Where documents are missing and nothing is in flight, ask for each session: a count alone accuses nobody.

    Unless `sessions.valid` no longer holds all `admitted` sessions: what cannot be asked for stays missing.
    """
    short = [line.what for line in lines if line.what != ADMITTED and line.difference < 0 and not line.in_flight]
    # With more missing than in flight too: a later session of the same id may have replaced them.
    short += [line.what for line in lines if line.what != ADMITTED and line.in_flight and line.is_short]
    if not short:
        return lines, {}
    lookups = {what: stores.lookup(what) for what in short}
    sessions = Counting(hours.sessions())
    found = find_missing(sessions, lookups, hours.dead(), stores.oldest_month)
    is_complete = sessions.count >= admitted
    judged = [_judge(line, found[line.what], is_complete) if line.what in found else line for line in lines]
    return judged, {what: missing.examples for what, missing in found.items() if missing.examples}


def _judge(line: Line, missing: Missing, is_complete: bool) -> Line:
    if is_complete:
        return replace(line, found=line.expected - missing.documents, dead=missing.dead)
    return replace(line, dead=min(missing.dead, -line.difference))


class Minutes(NamedTuple):
    """The minutes of a day, and the ends of `kpi.minute` that its rows lie below, once they are known."""

    result: Reconciliation
    bounds: dict[str, int] | None


def count_day(
    settings: Settings, stores: Stores, day: datetime, evidence: Evidence, bounds: Mapping[str, int] | None
) -> Minutes:
    """Compare the sessions in `kpi_minute` of one day of arrival. Raises TransientError while a server is unavailable.

    A row holds a minute and a day of arrival, no hour, so a whole day is compared. Two readers must have passed it:
    that of `sessions.valid`, and behind its results that of `kpi.minute`.
    """
    expected = evidence.expected("session_summary", stores.oldest_month)
    if bounds is None:
        waiting = evidence.reachable(end_offsets(settings, VALID)).waiting(committed(settings, KPI_GROUP, VALID))
        if not waiting:
            bounds = {str(partition): end for partition, end in end_offsets(settings, KPI).items() if end}
    if bounds is not None:
        passed, ends = committed(settings, KPI_ROWS_GROUP, KPI), end_offsets(settings, KPI)
        # A topic that was created anew ends below the old bounds.
        reachable = {int(name): min(bound, ends[int(name)]) for name, bound in bounds.items()}
        waiting = sum(max(0, bound - passed.get(partition, 0)) for partition, bound in reachable.items())
    found = stores.kpi_sessions(day)
    line = store_line("stream", KPI_INDEX, expected, found, expected if waiting else 0)
    return Minutes(Reconciliation(day, (line,)), None if bounds is None else dict(bounds))
