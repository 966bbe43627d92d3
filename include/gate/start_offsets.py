"""Determine the start offset of a partition. There is no fallback: a lost position stops the partition."""

from typing import NamedTuple

from include.contracts.offset_gap import OffsetGap

NO_OFFSET = -1


class Committed(NamedTuple):
    """The group's committed offset of a partition. `topic_id` is empty if an older gate committed it."""

    offset: int
    topic_id: str = ""
    leader_epoch: int | None = None


class Log(NamedTuple):
    """Current first offset of a partition, and one past its last offset."""

    start: int
    end: int


class Start(NamedTuple):
    """Read from `offset`. `reason` is a line for the log, empty in the normal case."""

    offset: int
    leader_epoch: int | None = None
    reason: str = ""


class Resume(NamedTuple):
    """Read from `offset` because an operator requested it after `gap`."""

    offset: int
    gap: OffsetGap


def decide_start(
    partition: int, committed: Committed | None, log: Log, topic_id: str, stopped: OffsetGap | None, now: float
) -> Start | Resume | OffsetGap:
    """Return the start offset of a partition, or the gap that stops it.

    Args:
        partition: The partition of `sessions.raw`.
        committed: The group's offset; None before the first commit.
        log: The existing offsets of the partition.
        topic_id: The broker's current id of the topic.
        stopped: The recorded gap of a partition that is stopped.
        now: Unix time in s.
    """
    if stopped is not None and stopped.topic_id == topic_id:
        return Resume(_resume_offset(stopped, log), stopped) if stopped.resume else stopped
    if committed is None:
        return Start(log.start, reason="no committed offset, reading from the beginning")
    if committed.topic_id and committed.topic_id != topic_id:
        return Start(log.start, reason="the topic was recreated, reading from the beginning")
    if committed.offset < log.start:
        return _gap("expired", partition, committed.offset, log.start, topic_id, now)
    if committed.offset > log.end:
        return _gap("truncated", partition, log.end, committed.offset, topic_id, now)
    return Start(committed.offset, committed.leader_epoch)


def gap_at(partition: int, position: int, log: Log, topic_id: str, now: float) -> OffsetGap:
    """Return the gap of a partition whose position the broker rejected during a read."""
    if position < log.start:
        return _gap("expired", partition, position, log.start, topic_id, now)
    return _gap("truncated", partition, min(position, log.end), position, topic_id, now)


def _resume_offset(gap: OffsetGap, log: Log) -> int:
    if gap.resume == "gap":
        return min(max(gap.from_offset, log.start), log.end)
    return log.start if gap.resume == "earliest" else log.end


def _gap(kind: str, partition: int, first: int, last: int, topic_id: str, now: float) -> OffsetGap:
    return OffsetGap(
        partition=partition,
        kind="expired" if kind == "expired" else "truncated",
        from_offset=first,
        to_offset=last,
        detected_at=now,
        topic_id=topic_id,
    )
