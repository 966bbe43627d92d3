"""The Elasticsearch sink: bulk requests side by side, repeated until Elasticsearch has answered for each document."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from types import TracebackType
from typing import Self

from elastic_transport import HttpHeaders, NodeConfig, TransportError, Urllib3HttpNode
from elastic_transport.client_utils import url_to_node_config

from flink.bulk import Answer, Failure, Item, RejectedItem, body_of, chunks, read_answer, read_failure, split_in_half
from include.contracts.settings import Settings

THREADS = 2
REQUEST_TIMEOUT_S = 60.0
BULK_PATH = "/_bulk?filter_path=items.*.status,items.*.error"
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
LOG_EVERY_S = 10.0

_log = logging.getLogger("showroom.stream")


class Backoff:
    """How long to wait before trying again, and when to say so: growing, jittered, said every ten seconds.

    Also the state of the wait for metrics: `reason` while a thread waits, and `waits`, their number so far.
    """

    def __init__(self, sleep: Callable[[float], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._said: float | None = None
        self._reasons: dict[int, str] = {}
        self.waits = 0

    @property
    def reason(self) -> str | None:
        """What Elasticsearch answered to a request that is being retried; None when nothing waits."""
        with self._lock:
            return next(iter(self._reasons.values()), None)

    def wait(self, attempt: int, reason: str) -> None:
        """Wait after the failed attempt number `attempt` (from 0)."""
        longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(attempt, 16))
        with self._lock:
            self._reasons[threading.get_ident()] = reason
            self.waits += 1
            now = self._clock()
            on_progress = self._said is None or now - self._said >= LOG_EVERY_S
            if on_progress:
                self._said = now
        if on_progress:
            _log.warning("waiting for Elasticsearch, attempt %d: %s", attempt + 1, reason)
        self._sleep(random.uniform(longest / 2, longest))

    def over(self) -> None:
        """End the wait of this thread: its request was answered."""
        with self._lock:
            self._reasons.pop(threading.get_ident(), None)


class BulkSink:
    """Stores documents under their ids and returns the ones Elasticsearch refuses for good.

    Waits for as long as Elasticsearch is away, busy, refuses the caller, or has an index that takes no documents:
    only an answer about the documents themselves ends a request. Safe to repeat as a whole, for ids are the caller's.
    """

    def __init__(self, settings: Settings, *, threads: int = THREADS) -> None:
        self._documents = settings.stream.bulk_max_documents
        self._node = Urllib3HttpNode(_node_config(settings, threads))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bulk")
        self._stopped = threading.Event()
        self._waiting = Backoff(self._stopped.wait)
        self._in_flight = threading.Semaphore(2 * threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def waiting_for(self) -> str | None:
        """Why documents wait now, as Elasticsearch answered; None when none waits."""
        return self._waiting.reason

    @property
    def waits(self) -> int:
        """Number of waits so far: it rises while documents wait."""
        return self._waiting.waits

    def close(self) -> None:
        """Give up what still waits and close the connections."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._node.close()

    def wait_for_templates(self, aliases: Iterable[str]) -> None:
        """Wait until each alias has its index template: without one, an index would guess its mapping."""
        for alias in aliases:
            attempt = 0
            while not self._has_template(alias, attempt):
                attempt += 1

    def store(self, items: Iterable[Item]) -> list[RejectedItem]:
        """Send all items; returns once each is stored or refused. Items of one id must not repeat.

        Reads `items` while earlier requests are under way, with a bounded number of them in flight.
        """
        sent: list[Future[list[RejectedItem]]] = []
        for chunk in chunks(items, self._documents):
            self._in_flight.acquire()
            future = self._pool.submit(self._store_chunk, chunk)
            future.add_done_callback(self._landed)
            sent.append(future)
        return [refusal for future in sent for refusal in future.result()]

    def _landed(self, _: Future[list[RejectedItem]]) -> None:
        self._in_flight.release()

    def _store_chunk(self, chunk: Sequence[Item]) -> list[RejectedItem]:
        refused: list[RejectedItem] = []
        attempt = 0
        while chunk:
            response = self._send(chunk)
            refused.extend(response.refused)
            chunk = response.again
            if chunk:
                if self._stopped.is_set():
                    raise InterruptedError("the sink was closed while documents waited for Elasticsearch")
                self._waiting.wait(attempt, response.busy or "busy")
                attempt += 1
        self._waiting.over()
        return refused

    def _send(self, chunk: Sequence[Item]) -> Answer:
        try:
            response = self._node.perform_request("POST", BULK_PATH, body=body_of(chunk))
        except TransportError as error:
            return Answer(list(chunk), [], f"{type(error).__name__}: {error.message}")
        status, body = response.meta.status, response.body
        if status in (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.BAD_REQUEST):
            return self._send_smaller(chunk, read_failure(status, body))
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            return Answer(list(chunk), [], read_failure(status, body).reason)
        try:
            return read_answer(chunk, body)
        except ValueError as error:
            return Answer(list(chunk), [], str(error))

    def _send_smaller(self, chunk: Sequence[Item], failure: Failure) -> Answer:
        """Bisect a request down to the document that causes the failure.

        A half that must wait ends the bisection: a state of the cluster costs few requests for each wait. It goes to
        the end, so that the next attempt stores the documents beside it.
        """
        if len(chunk) == 1:
            if failure.refuses_document:
                return Answer([], [RejectedItem(chunk[0], failure.reason)], None)
            return Answer(list(chunk), [], failure.reason)
        left, right = split_in_half(chunk)
        first = self._send(left)
        if first.again:
            return Answer([*right, *first.again], first.refused, first.busy)
        second = self._send(right)
        return Answer(second.again, first.refused + second.refused, second.busy)

    def _has_template(self, alias: str, attempt: int) -> bool:
        try:
            status = self._node.perform_request("GET", f"/_index_template/{alias}?filter_path=*.name").meta.status
        except TransportError as error:
            self._waiting.wait(attempt, f"{type(error).__name__}: {error.message}")
            return self._closed()
        if status == HTTPStatus.OK:
            self._waiting.over()
            return True
        self._waiting.wait(attempt, f"no index template {alias} ({status}); `./showroom stream submit` makes it")
        return self._closed()

    def _closed(self) -> bool:
        if self._stopped.is_set():
            raise InterruptedError("the sink was closed while it waited for Elasticsearch")
        return False


def _node_config(settings: Settings, connections: int) -> NodeConfig:
    headers = {"content-type": "application/x-ndjson", "accept": "application/json"}
    key = settings.elasticsearch.api_key.reveal()
    if key:
        headers["authorization"] = f"ApiKey {key}"
    config: NodeConfig = url_to_node_config(settings.elasticsearch.url, use_default_ports_for_scheme=True)
    return config.replace(
        connections_per_node=connections, headers=HttpHeaders(headers), request_timeout=REQUEST_TIMEOUT_S
    )
