"""Detection of partial transactions: an output is visible although its input offset is not committed."""

import threading

from confluent_kafka import Consumer, KafkaException, TopicPartition

from drills.origins import read_backlog_origin
from include.contracts import topics
from include.contracts.settings import KafkaSettings

MAX_MESSAGES = 5_000
POLL_TIMEOUT_S = 0.1
REQUEST_TIMEOUT_S = 10.0


class PartialTransactionMonitor:
    """Monitor that reads sessions.valid in its own thread and compares outputs with committed offsets.

    Outputs and offsets of a batch belong to one transaction, and the broker returns offsets only after it has ended.
    A visible record without its offset is therefore a partial transaction. The end of the `with` block raises the
    error of the thread, if there is one.

    Attributes:
        partial_transactions: Partial transactions, counted once for each newest record of a partition.
        comparisons: Comparisons of a partition. Without any, the monitor proves nothing.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._raw_partitions = [TopicPartition(topics.RAW, number) for number in range(settings.partitions)]
        self._stop_event = threading.Event()
        self._thread = threading.Thread(target=self._run, name="visibility", daemon=True)
        self._newest_offsets: dict[int, int] = {}
        self._error: BaseException | None = None
        self.partial_transactions = 0
        self.comparisons = 0

    def __enter__(self) -> "PartialTransactionMonitor":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop_event.set()
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def _run(self) -> None:
        reader, group = self._consumer("drill"), self._consumer(topics.GATE_GROUP)
        try:
            self._read(reader, group)
        except BaseException as error:
            self._error = error
        finally:
            reader.close()
            group.close()

    def _read(self, reader: Consumer, group: Consumer) -> None:
        reader.assign([TopicPartition(topics.VALID, number, 0) for number in range(self._settings.partitions)])
        while not self._stop_event.is_set():
            messages = [message for message in reader.consume(MAX_MESSAGES, POLL_TIMEOUT_S) if message.error() is None]
            if not messages:
                continue
            for message in messages:
                partition, offset = read_backlog_origin(message, self._settings.partitions)
                self._newest_offsets[partition] = max(offset, self._newest_offsets.get(partition, -1))
            self._compare(group, {message.partition() or 0 for message in messages})

    def _compare(self, group: Consumer, partitions: set[int]) -> None:
        try:
            committed = group.committed(
                [self._raw_partitions[number] for number in partitions], timeout=REQUEST_TIMEOUT_S
            )
        except KafkaException:
            return
        readable_partitions = [topic_partition for topic_partition in committed if not topic_partition.error]
        self.comparisons += len(readable_partitions)
        self.partial_transactions += sum(
            topic_partition.offset <= self._newest_offsets[topic_partition.partition]
            for topic_partition in readable_partitions
        )

    def _consumer(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._settings.bootstrap_servers,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
