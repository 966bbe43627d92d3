"""Isolation of records whose outputs exceed the broker's size limit: find them one by one and reject them."""

import logging
from collections.abc import Collection, Sequence
from typing import Any

from confluent_kafka import TopicPartition

from include.contracts.errors import TerminalError
from include.gate.batch_processor import Output
from include.gate.loop import Sink
from include.gate.sink import OversizeError
from include.gate.source import ReassignmentError

log = logging.getLogger(__name__)


class Oversize:
    """Active from a refused batch until its offsets are committed: one record per request, so that errors name it."""

    def __init__(self) -> None:
        self.origins: set[tuple[int, int]] = set()
        """Origins of records to reject."""
        self.single = False
        """Whether to send one record per request."""
        self._until: dict[int, int] = {}
        self._topic_id = ""

    def begin(self, topic_id: str) -> None:
        """Reset if the topic was recreated, because its offsets then belong to other records."""
        if topic_id != self._topic_id:
            self._topic_id = topic_id
            self._reset()

    def keep(self, partitions: Collection[int]) -> None:
        """Drop partitions that another process owns now; an empty assignment is not complete yet."""
        for partition in set(self._until) - set(partitions) if partitions else ():
            self._until.pop(partition, None)

    def note(self, refused: Sequence[Output], offsets: Sequence[TopicPartition]) -> None:
        """Record the end offsets of a refused batch. Raises TerminalError if even rejections are refused."""
        again = [output for output in refused if output.origin in self.origins]
        if again:
            raise TerminalError(
                f"produce to {again[0].topic} failed: the broker refuses even {len(again[0].value)} bytes",
                "raise the topic's max.message.bytes",
            )
        self.single = True
        self.origins.update(output.origin for output in refused)
        for topic_partition in offsets:
            self._until[topic_partition.partition] = max(
                topic_partition.offset, self._until.get(topic_partition.partition, 0)
            )

    def settle(self, offsets: Sequence[TopicPartition]) -> bool:
        """Record committed offsets; return whether every refused batch is committed."""
        if not self.single:
            return False
        for topic_partition in offsets:
            if topic_partition.offset >= self._until.get(topic_partition.partition, topic_partition.offset + 1):
                self._until.pop(topic_partition.partition, None)
        if self._until:
            return False
        self._reset()
        return True

    def _reset(self) -> None:
        self.single = False
        self.origins.clear()
        self._until.clear()


class OversizeSink:
    """A sink that tracks refused batches. Raises ReassignmentError once full batches are possible again."""

    def __init__(self, sink: Sink, oversize: Oversize) -> None:
        self._sink = sink
        self._oversize = oversize

    def commit(self, outputs: Sequence[Output], offsets: list[TopicPartition], group: Any) -> None:
        """Commit one transaction."""
        try:
            self._sink.commit(outputs, offsets, group)
        except OversizeError as error:
            self._oversize.note(error.outputs, offsets)
            log.warning("%s; %d records are rejected as too_long", error, len(error.outputs))
            raise
        if self._oversize.settle(offsets):
            raise ReassignmentError("the oversized records are rejected; full batches are possible again")
