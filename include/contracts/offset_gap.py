"""A gap in the offsets of `sessions.raw`, because of which the gate stopped a partition."""

from typing import Literal

import msgspec

GapKind = Literal["expired", "truncated"]
ResumeFrom = Literal["", "gap", "earliest", "latest"]


class OffsetGap(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets that the gate expected and that the log no longer contains.

    `expired`: the log starts at `to_offset`, the gate's position is `from_offset`; records between
    were deleted. `truncated`: the log ends at `from_offset` or diverges there, the gate's position is `to_offset`.
    `detected_at` is Unix time in s. `resume` is what an operator requested; empty: the partition stays stopped.
    `resumed_offset`: where the gate continued; -1 while the partition is stopped.
    """

    partition: int
    kind: GapKind
    from_offset: int
    to_offset: int
    detected_at: float
    topic_id: str
    resume: ResumeFrom = ""
    resumed_offset: int = -1

    @property
    def description(self) -> str:
        """One line for logs, alerts and the command line."""
        last = self.to_offset - 1
        offsets = f"offset {self.from_offset}" if last <= self.from_offset else f"offsets {self.from_offset} to {last}"
        if self.kind == "expired":
            return f"partition {self.partition}: {offsets} deleted before the gate read them"
        return f"partition {self.partition}: the log no longer has {offsets}"


def encode_gap(gap: OffsetGap) -> bytes:
    """Return the gap as JSON."""
    return msgspec.json.encode(gap)


def decode_gap(value: bytes) -> OffsetGap:
    """Return the gap of a Redis value. Raises msgspec.DecodeError for other bytes."""
    return msgspec.json.decode(value, type=OffsetGap)
