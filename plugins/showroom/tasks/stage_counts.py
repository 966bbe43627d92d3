"""Counts of one hour, or one day, at every stage. Offsets of the readers are read before the stores are counted."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from include.contracts.settings import KafkaSettings, Settings
from include.contracts.topics import KPI, KPI_GROUP, KPI_ROWS_GROUP, STREAM_GROUP, VALID
from include.supervise.kafka_counts import HourlyCounts, committed, end_offsets
from include.supervise.missing_sessions import CountingIterable, Missing, find_missing
from include.supervise.reconcile import (
    ADMITTED,
    BY_SESSION,
    HOUR,
    IN_MONGODB,
    KPI_INDEX,
    Evidence,
    Reconciliation,
    StageCount,
    gate_line,
    store_line,
    undecided_line,
)
from showroom.tasks.stores import Stores


class Counted(NamedTuple):
    """The equation, Kafka's counts (None until the gate has decided all), the counts of stores, and missing ids."""

    result: Reconciliation
    evidence: Evidence | None
    counts: dict[str, int]
    examples: dict[str, list[str]]


def count_hour(settings: Settings, stores: Stores, hour: datetime, evidence: Evidence | None) -> Counted:
    """Count an hour. Raises TransientError while a server is unavailable.

    Args:
        settings: Address of Kafka.
        stores: The downstream stores.
        hour: Its start, UTC.
        evidence: Counts of an earlier run; raw records are then not required.
    """
    with HourlyCounts(settings, hour, hour + HOUR) as hours:
        if evidence is None:
            undecided = hours.undecided()
            if undecided:
                return Counted(Reconciliation(hour, (undecided_line(hours.raw(), undecided),)), None, {}, {})
            evidence = hours.evidence()
        passed = {"stream": committed(settings.kafka, STREAM_GROUP, VALID), "archive": stores.archived()}
        reachable = evidence.reachable(end_offsets(settings.kafka, VALID))
        counts = stores.counts(hour)
        lines = [gate_line(evidence), *_store_lines(reachable, counts, passed, stores.oldest_month)]
        lines, examples = _find_missing(hours, stores, lines, evidence.valid)
    return Counted(Reconciliation(hour, tuple(lines)), evidence, counts, examples)


def _store_lines(
    evidence: Evidence, counts: Mapping[str, int], passed: Mapping[str, Mapping[int, int]], oldest: str
) -> list[StageCount]:
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


def _find_missing(
    hours: HourlyCounts, stores: Stores, lines: list[StageCount], admitted: int
) -> tuple[list[StageCount], dict[str, list[str]]]:
    """Look up each session where documents are missing and none is in flight, because a count can be misleading.

    Where `sessions.valid` no longer has all `admitted` sessions, documents that cannot be looked up stay missing.
    """
    short = [line.what for line in lines if line.what != ADMITTED and line.difference < 0 and not line.in_flight]
    # With more missing than in flight too: a later session of the same id may have replaced them.
    short += [line.what for line in lines if line.what != ADMITTED and line.in_flight and line.is_short]
    if not short:
        return lines, {}
    lookups = {what: stores.lookup(what) for what in short}
    sessions = CountingIterable(hours.sessions())
    missing = find_missing(sessions, lookups, hours.dead(), stores.oldest_month)
    is_complete = sessions.count >= admitted
    counts = [_correct(line, missing[line.what], is_complete) if line.what in missing else line for line in lines]
    return counts, {what: store.examples for what, store in missing.items() if store.examples}


def _correct(line: StageCount, missing: Missing, is_complete: bool) -> StageCount:
    if is_complete:
        return replace(line, actual=line.expected - missing.documents, dead=missing.dead)
    return replace(line, dead=min(missing.dead, -line.difference))


class Minutes(NamedTuple):
    """The minutes of a day, and the ends of `kpi.minute` after its rows, once they are available."""

    result: Reconciliation
    bounds: dict[str, int] | None


def count_day(
    settings: KafkaSettings, stores: Stores, day: datetime, evidence: Evidence, bounds: Mapping[str, int] | None
) -> Minutes:
    """Compare the sessions in `kpi_minute` of one day of arrival. Raises TransientError while a server is unavailable.

    A row has a minute and a day of arrival, but no hour, so a whole day is compared. Two readers must have passed it:
    that of `sessions.valid`, then that of `kpi.minute`.
    """
    expected = evidence.expected("session_summary", stores.oldest_month)
    if bounds is None:
        waiting = evidence.reachable(end_offsets(settings, VALID)).waiting(committed(settings, KPI_GROUP, VALID))
        if not waiting:
            bounds = {str(partition): end for partition, end in end_offsets(settings, KPI).items() if end}
    if bounds is not None:
        passed, ends = committed(settings, KPI_ROWS_GROUP, KPI), end_offsets(settings, KPI)
        # A recreated topic ends below the old bounds.
        reachable = {int(name): min(bound, ends[int(name)]) for name, bound in bounds.items()}
        waiting = sum(max(0, bound - passed.get(partition, 0)) for partition, bound in reachable.items())
    result = stores.kpi_sessions(day)
    line = store_line("stream", KPI_INDEX, expected, result, expected if waiting else 0)
    return Minutes(Reconciliation(day, (line,)), None if bounds is None else dict(bounds))
