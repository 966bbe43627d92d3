"""Stopped partitions in Redis: the gate records a gap, an operator requests the resumption, the gate performs it."""

from collections.abc import Sequence

import msgspec
import redis

from include.contracts import redis_keys
from include.contracts.errors import TerminalError
from include.contracts.offset_gap import OffsetGap, ResumeFrom, decode_gap, encode_gap

MAX_GAPS = 100
TOPIC_FIELD = "topic"


class GapStore:
    """Gaps by partition. Every method raises redis' own errors."""

    def __init__(self, client: "redis.Redis") -> None:
        self._redis = client

    def stopped(self, partitions: Sequence[int]) -> dict[int, OffsetGap]:
        """Return the gaps of those partitions that are stopped."""
        values = [self._redis.get(redis_keys.stopped(partition)) for partition in partitions]
        return {
            partition: decode_gap(value)
            for partition, value in zip(partitions, values, strict=True)
            if isinstance(value, bytes)
        }

    def stop(self, gap: OffsetGap) -> None:
        """Record the gap that stops a partition; an earlier gap of the same topic is retained."""
        existing = self.stopped([gap.partition]).get(gap.partition)
        if existing is None or existing.topic_id != gap.topic_id:
            self._redis.set(redis_keys.stopped(gap.partition), encode_gap(gap))

    def require_stopped(self, partition: int) -> OffsetGap:
        """Return the gap of a stopped partition. Raises TerminalError if it is not stopped."""
        gap = self.stopped([partition]).get(partition)
        if gap is None:
            raise TerminalError(f"resume of partition {partition} failed: it is not stopped", "./showroom status")
        return gap

    def request_resume(self, partition: int, resume: ResumeFrom) -> OffsetGap:
        """Request that the gate resumes a stopped partition.

        Raises TerminalError if it is not stopped, or if another start was requested already.
        """
        gap = self.require_stopped(partition)
        if gap.resume not in ("", resume):
            raise TerminalError(
                f"resume of partition {partition} failed: --from {gap.resume} is requested already",
                "none: the gate continues once it runs, see ./showroom status",
            )
        self._redis.set(redis_keys.stopped(partition), encode_gap(msgspec.structs.replace(gap, resume=resume)))
        return gap

    def resolve(self, gap: OffsetGap, offset: int) -> None:
        """Move the gap into the history after the gate has resumed at the committed `offset`.

        After a truncation the log reuses offsets, so the partition's dedup state gets a new epoch.
        """
        with self._redis.pipeline(transaction=True) as pipe:
            if gap.kind == "truncated":
                pipe.hdel(redis_keys.counts(gap.partition), TOPIC_FIELD)
            pipe.rpush(redis_keys.gaps(gap.partition), encode_gap(msgspec.structs.replace(gap, resumed_offset=offset)))
            pipe.ltrim(redis_keys.gaps(gap.partition), -MAX_GAPS, -1)
            pipe.delete(redis_keys.stopped(gap.partition))
            pipe.execute()
