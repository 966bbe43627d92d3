"""One gate process: opens its parts, runs the loop, and starts over with new clients after any error."""

import logging
import time
from collections import deque

import redis
from confluent_kafka import KafkaException
from redis.exceptions import RedisError

from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings
from include.gate.check import Limits
from include.gate.decide import Judge
from include.gate.gaps import GapStore
from include.gate.kafka_errors import is_fenced
from include.gate.lease import IndexLease
from include.gate.loop import Loop
from include.gate.memory import Memory
from include.gate.metrics import GateMetrics, MeteredSink
from include.gate.oversize import OversizeRecords
from include.gate.pseudonym import pseudonymizer
from include.gate.redis_errors import is_temporary
from include.gate.sink import OversizeError, TransactionSink
from include.gate.source import Reassign, RecordSource
from include.gate.stop import Stop, Stopped
from include.gate.topic import RawTopic

log = logging.getLogger(__name__)

FIRST_WAIT_S, MAX_WAIT_S = 0.5, 5.0
REDIS_TIMEOUT_S = 5.0
RETRIED = (KafkaException, TransientError, OSError)
MAX_FENCES, FENCES_S = 5, 60.0
"""More in that time than a client's late requests explain: two processes that do not share a Redis fence each other."""


class Gate:
    """One gate process. `index` names it among its fellows and must not be shared."""

    def __init__(self, settings: Settings, index: int, stop: Stop, metrics: GateMetrics | None = None) -> None:
        self._settings = settings
        self._metrics = metrics or GateMetrics()
        self._name = f"gate-{index}"
        self._stop = stop
        self._pseudonym = pseudonymizer(settings.require_pseudonym_key())
        self._redis = redis.Redis.from_url(
            settings.redis_url.reveal(), socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S
        )
        self._gaps = GapStore(self._redis)
        self._lease = IndexLease(self._redis, index, stop)
        self._topic = RawTopic(settings.kafka_bootstrap, self._name)
        self._oversize = OversizeRecords()
        self._fenced_at: deque[float] = deque(maxlen=MAX_FENCES)

    def run(self) -> None:
        """Work until asked to stop. Waits and starts over while Kafka or Redis is unavailable.

        Raises TerminalError where another process runs under the same name, redis' own errors where a retry cannot
        help.
        """
        wait_s = FIRST_WAIT_S
        try:
            while not self._stop.asked:
                began = time.monotonic()
                error = self._work_until_error()
                if error is None:
                    continue
                if time.monotonic() - began > MAX_WAIT_S:
                    wait_s = FIRST_WAIT_S
                server = "redis" if isinstance(error, RedisError) else "kafka"
                log.warning("waiting for %s, again in %.1f s: %s: %s", server, wait_s, type(error).__name__, error)
                self._stop.wait(wait_s)
                wait_s = min(wait_s * 2, MAX_WAIT_S)
        except Stopped:
            pass
        self._release()
        log.info("%s stopped", self._name)

    def _work_until_error(self) -> Exception | None:
        """Return the error after which to wait; None where the work can go on at once with new clients."""
        try:
            self._work()
        except OversizeError as error:
            self._oversize.refused(error)
        except Reassign as error:
            log.warning("%s", error)
        except RedisError as error:
            if not is_temporary(error):
                raise
            return error
        except RETRIED as error:
            return error
        return None

    def _work(self) -> None:
        """Open all clients and pump until asked to stop or a client fails."""
        self._lease.acquire()
        topic_id = self._topic.id()
        sink = TransactionSink(self._settings.kafka_bootstrap, self._name, single=self._oversize.single)
        try:
            sink.open()
            self._pump(sink, topic_id)
        except KafkaException as error:
            if is_fenced(error):
                self._require_sole_process()
            raise
        finally:
            if sink.in_doubt:
                log.warning("the last transaction is in doubt, a new producer settles it")
            sink.discard()

    def _pump(self, sink: TransactionSink, topic_id: str) -> None:
        """Read from the offsets that the sink has settled."""
        source = RecordSource(
            self._settings.kafka_bootstrap, self._name, self._settings.gate_batch, topic_id, self._gaps
        )
        try:
            memory = Memory(self._settings, topic_id, self._stop)
            try:
                loop = Loop(
                    source=source,
                    sink=MeteredSink(sink, self._metrics, self._oversize.committed),
                    memory=memory,
                    judge=Judge(Limits.of(self._settings), self._pseudonym, memory.decide, self._oversize.origins),
                    batch=self._settings.gate_batch,
                    stop=self._stop,
                    verify=lambda: self._verify(topic_id),
                    each_second=lambda: self._each_second(source, topic_id),
                )
                log.info("%s ready", self._name)
                loop.run()
            finally:
                memory.close()
        finally:
            source.close()

    def _verify(self, topic_id: str) -> None:
        """Ids of topics never return: with the same id after the poll, the records came from this topic."""
        if self._topic.id() != topic_id:
            raise Reassign("the topic was created anew")

    def _each_second(self, source: RecordSource, topic_id: str) -> None:
        """A consumer whose topic was created anew may receive neither records nor an error."""
        self._lease.renew()
        self._verify(topic_id)
        if source.stopped and any(gap.resume for gap in self._gaps.stopped(source.stopped).values()):
            raise Reassign("an operator requested to resume a partition")
        if self._oversize.is_over():
            raise Reassign("records are sent in full batches again")

    def _require_sole_process(self) -> None:
        """After a fence: with the lease still held, a late request of an own, discarded client caused it.

        Raises TerminalError where another process has the lease, or fences come so often that one must exist.
        """
        self._lease.renew()
        now = time.monotonic()
        self._fenced_at.append(now)
        if len(self._fenced_at) == MAX_FENCES and now - self._fenced_at[0] < FENCES_S:
            raise TerminalError(
                f"{self._name} was fenced off {MAX_FENCES} times within {FENCES_S:g} s",
                "end the process that runs under this index with another Redis",
            )
        log.warning("fenced off while the lease is held: a new producer continues")

    def _release(self) -> None:
        try:
            self._lease.release()
        except (RedisError, OSError) as error:
            log.warning("the lease was not released, it expires: %s", error)
