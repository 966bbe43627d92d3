"""One gate process: opens its parts, runs the loop, and restarts with new clients after any error."""

import logging

import redis
from confluent_kafka import KafkaException

from include.clients.redis import is_unavailable
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings
from include.gate.batch_processor import BatchProcessor
from include.gate.fences import MAX_FENCES, WINDOW_S, FenceCounter
from include.gate.kafka_errors import is_fenced
from include.gate.loop import Loop
from include.gate.metrics import GateMetrics, MeteredSink
from include.gate.oversize import Oversize, OversizeSink
from include.gate.parts import GateParts, connect_parts
from include.gate.pseudonym import pseudonymizer
from include.gate.shutdown import ShutdownError, ShutdownSignal
from include.gate.sink import TRANSACTION_TIMEOUT_S, OversizeError, TransactionSink
from include.gate.source import ReassignmentError, RecordSource
from include.gate.validation import Limits

log = logging.getLogger(__name__)

FIRST_WAIT_S, MAX_WAIT_S = 0.5, 5.0


class Gate:
    """One gate process. `index` identifies it and must not be shared."""

    def __init__(
        self,
        settings: Settings,
        index: int,
        stop: ShutdownSignal,
        metrics: GateMetrics | None = None,
        parts: GateParts | None = None,
    ) -> None:
        self._parts = parts or connect_parts(settings, index, stop)
        self._limits = Limits.of(settings.gate)
        self._batch = settings.gate.batch_size
        self._metrics = metrics or GateMetrics()
        self._name = f"gate-{index}"
        self._stop = stop
        self._pseudonym = pseudonymizer(settings.gate.require_pseudonym_key())
        self._oversize = Oversize()
        self._fences = FenceCounter()

    def run(self) -> None:
        """Run until a stop is requested. Waits and restarts while Kafka or Redis is unavailable.

        Raises TerminalError if another process runs under the same name.
        """
        wait_s = FIRST_WAIT_S
        while not self._stop.is_requested:
            began = self._parts.clock()
            try:
                self._work()
            except ShutdownError:
                break
            except OversizeError:
                continue
            except ReassignmentError as error:
                log.warning("%s", error)
            except Exception as error:
                server = unavailable_server(error)
                if server is None:
                    raise
                if self._parts.clock() - began > MAX_WAIT_S:
                    wait_s = FIRST_WAIT_S
                log.warning("waiting for %s, again in %.1f s: %s: %s", server, wait_s, type(error).__name__, error)
                try:
                    self._stop.wait(wait_s)
                except ShutdownError:
                    break
                wait_s = min(wait_s * 2, MAX_WAIT_S)
        self._release()
        log.info("%s stopped", self._name)

    def _work(self) -> None:
        """Open all clients and run the loop until a stop is requested or a client fails."""
        self._parts.lease.acquire()
        self._parts.store_key_check()
        topic_id = self._parts.topic.id()
        self._oversize.begin(topic_id)
        sink = self._parts.open_sink(self._oversize.single)
        try:
            sink.open()
            self._pump(sink, topic_id)
        except KafkaException as error:
            if is_fenced(error, sink.transaction_age_s, TRANSACTION_TIMEOUT_S):
                self._check_fence(error)
            raise
        finally:
            if sink.in_doubt:
                log.warning("the last transaction is in doubt, a new producer settles it")
            sink.discard()

    def _pump(self, sink: TransactionSink, topic_id: str) -> None:
        """Read from the offsets that the sink has settled."""
        source = self._parts.open_source(topic_id)
        try:
            state = self._parts.open_state(topic_id)
            try:
                loop = Loop(
                    source=source,
                    sink=OversizeSink(MeteredSink(sink, self._metrics), self._oversize),
                    state=state,
                    processor=BatchProcessor(self._limits, self._pseudonym, state.decide, self._oversize.origins),
                    batch=self._batch,
                    stop=self._stop,
                    clock=self._parts.clock,
                    verify=lambda: self._verify(topic_id),
                    each_second=lambda: self._each_second(source, topic_id),
                )
                log.info("%s ready", self._name)
                loop.run()
            finally:
                state.close()
        finally:
            source.close()

    def _verify(self, topic_id: str) -> None:
        """Verify the topic by its id: with an equal id after the poll, the records came from this topic."""
        if self._parts.topic.id() != topic_id:
            raise ReassignmentError("the topic was recreated")

    def _each_second(self, source: RecordSource, topic_id: str) -> None:
        """Verify the topic id while idle: a consumer of a recreated topic may receive neither records nor an error."""
        self._parts.lease.renew()
        self._oversize.keep(source.assigned)
        self._verify(topic_id)
        if source.stopped and any(gap.resume for gap in self._parts.gaps.stopped(source.stopped).values()):
            raise ReassignmentError("an operator requested to resume a partition")

    def _check_fence(self, error: KafkaException) -> None:
        """Determine by the lease what fenced this process: its own late request, or another process.

        Raises TerminalError for another process.
        """
        self._parts.lease.renew()
        if self._fences.is_too_often(self._parts.clock()):
            raise TerminalError(
                f"{self._name} was fenced off {MAX_FENCES} times within {WINDOW_S:g} s although it holds its lease",
                "end the process that uses this index with another Redis",
            ) from error
        log.warning("%s was fenced by a late request of its own, a new producer continues: %s", self._name, error)

    def _release(self) -> None:
        try:
            self._parts.lease.release()
        except redis.RedisError as error:
            log.warning("the lease was not released, it expires: %s", error)


def unavailable_server(error: Exception) -> str | None:
    """Return the server that the gate must wait for after this error; None if waiting does not help."""
    if is_unavailable(error):
        return "redis"
    return "kafka" if isinstance(error, KafkaException | TransientError | OSError) else None
