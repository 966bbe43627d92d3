"""The gate's state in memory, for records within one duplicate window and below all rate limits.

tests/integration/test_gate_promises.py shows that its verdicts equal those of the Redis Function.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from include.gate.state import ALREADY_REJECTED, KNOWN, NEW, Batch, Row

DUPLICATE, EXPIRED, TOO_FAST, DEVICE, REFERRER = "D", "E", "P", "V", "F"


@dataclass
class PartitionState:
    """Claims, users and the last applied offset."""

    applied: int = -1
    claims: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    """Topic id, offset and verdict by session id."""
    users: set[str] = field(default_factory=set)
    topic_id: str = ""


@dataclass
class InMemoryState:
    """Returns the same verdicts as GateState. The partitions' states outlive a gate process, so they are arguments."""

    topic_id: str
    partitions: dict[int, PartitionState]

    def decide(self, batches: Sequence[Batch]) -> list[str]:
        """Return the verdicts of each batch."""
        return [self._decide(batch) for batch in batches]

    def beat(self, partitions: Sequence[int]) -> None:
        """Accept a heartbeat."""

    def close(self) -> None:
        """Do nothing, because the partitions' states must survive."""

    def _decide(self, batch: Batch) -> str:
        state = self.partitions.setdefault(batch.partition, PartitionState())
        if state.topic_id != self.topic_id:
            state.topic_id, state.applied = self.topic_id, -1
        verdicts = "".join(self._verdict(state, row, state.applied) for row in batch.rows)
        state.applied = max([state.applied, *(row[0] for row in batch.rows)])
        return verdicts

    def _verdict(self, state: PartitionState, row: Row, applied: int) -> str:
        if len(row) == 2:
            return ALREADY_REJECTED
        offset, session_id, user = row[:3]
        if session_id in state.claims:
            topic_id, claimed_offset, verdict = state.claims[session_id]
            return verdict if (topic_id, claimed_offset) == (self.topic_id, offset) else DUPLICATE
        too_fast, odd_device, odd_referrer = row[7:10]
        if offset <= applied:
            return TOO_FAST if too_fast else EXPIRED
        verdict = KNOWN if user in state.users else NEW
        if too_fast:
            verdict = TOO_FAST
        elif verdict == NEW and (odd_device or odd_referrer):
            verdict = DEVICE if odd_device else REFERRER
        if verdict == NEW:
            state.users.add(user)
        state.claims[session_id] = self.topic_id, offset, verdict
        return verdict
