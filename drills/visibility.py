"""Watches what a `read_committed` reader sees while transactions fail: a visible record has its offset committed."""

import threading

from confluent_kafka import Consumer, KafkaException, TopicPartition

from drills.origins import origin_by_id
from include.contracts import topics
from include.contracts.settings import Settings

CHUNK = 5_000
POLL_S = 0.1
REQUEST_S = 10.0


class PartialWatch:
    """Reads sessions.valid as it grows, in a thread of its own.

    The outputs and offsets of a batch are one transaction, and the broker answers for offsets only once their
    transaction has ended. A record that is visible without its offset is therefore half a transaction.
    `partial`: how often that was seen, once for each newest record of a partition. `comparisons`: how often a
    partition was looked at; a watch without any proves nothing. The end of the block raises what ended the thread.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._raw = [TopicPartition(topics.RAW, number) for number in range(settings.kafka.partitions)]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="visibility", daemon=True)
        self._newest: dict[int, int] = {}
        self._error: BaseException | None = None
        self.partial = 0
        self.comparisons = 0

    def __enter__(self) -> "PartialWatch":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def _follow(self) -> None:
        reader, group = self._consumer("drill"), self._consumer(topics.GATE_GROUP)
        try:
            self._read(reader, group)
        except BaseException as error:
            self._error = error
        finally:
            reader.close()
            group.close()

    def _read(self, reader: Consumer, group: Consumer) -> None:
        reader.assign([TopicPartition(topics.VALID, number, 0) for number in range(self._settings.kafka.partitions)])
        while not self._done.is_set():
            messages = [message for message in reader.consume(CHUNK, POLL_S) if message.error() is None]
            if not messages:
                continue
            for message in messages:
                partition, offset = origin_by_id(message, self._settings.kafka.partitions)
                self._newest[partition] = max(offset, self._newest.get(partition, -1))
            self._compare(group, {message.partition() or 0 for message in messages})

    def _compare(self, group: Consumer, partitions: set[int]) -> None:
        try:
            committed = group.committed([self._raw[number] for number in partitions], timeout=REQUEST_S)
        except KafkaException:
            return
        compared = [topic_partition for topic_partition in committed if not topic_partition.error]
        self.comparisons += len(compared)
        self.partial += sum(
            topic_partition.offset <= self._newest[topic_partition.partition] for topic_partition in compared
        )

    def _consumer(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._settings.kafka.bootstrap_servers,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
