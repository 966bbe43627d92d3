"""Elasticsearch sink: concurrent bulk requests with retries until each document is stored or rejected."""

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

from flink.bulk import (
    BulkResult,
    FailedRequest,
    Item,
    RejectedItem,
    bulk_body,
    chunks,
    parse_bulk_response,
    parse_failed_response,
    split_in_half,
)
from include.contracts.settings import ElasticsearchSettings, Settings

THREADS = 2
REQUEST_TIMEOUT_S = 60.0
BULK_PATH = "/_bulk?filter_path=items.*.status,items.*.error"
INITIAL_BACKOFF_S = 0.1
MAX_BACKOFF_S = 5.0
LOG_INTERVAL_S = 10.0

_log = logging.getLogger("showroom.stream")


class Backoff:
    """Exponential backoff with jitter; logs a warning at most every LOG_INTERVAL_S.

    Thread-safe. `waits` is the number of waits so far.
    """

    def __init__(self, sleep: Callable[[float], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._logged_at: float | None = None
        self._reasons: dict[int, str] = {}
        self.waits = 0

    @property
    def reason(self) -> str | None:
        """Return the error of a request that is being retried; None if no thread waits."""
        with self._lock:
            return next(iter(self._reasons.values()), None)

    def wait(self, attempt: int, reason: str) -> None:
        """Wait after failed attempt number `attempt`, counted from 0."""
        max_pause_s = min(MAX_BACKOFF_S, INITIAL_BACKOFF_S * 2 ** min(attempt, 16))
        with self._lock:
            self._reasons[threading.get_ident()] = reason
            self.waits += 1
            now = self._clock()
            should_log = self._logged_at is None or now - self._logged_at >= LOG_INTERVAL_S
            if should_log:
                self._logged_at = now
        if should_log:
            _log.warning("waiting for Elasticsearch, attempt %d: %s", attempt + 1, reason)
        self._sleep(random.uniform(max_pause_s / 2, max_pause_s))

    def reset(self) -> None:
        """Clear the reason of this thread after its request succeeded."""
        with self._lock:
            self._reasons.pop(threading.get_ident(), None)


class BulkSink:
    """Stores documents under their ids and returns those that Elasticsearch rejects permanently.

    Retries without limit while Elasticsearch is unavailable, overloaded, rejects the login or blocks writes to an
    index. Only an error of a document itself is permanent. Idempotent, because the caller sets the ids.
    """

    def __init__(self, settings: Settings, *, threads: int = THREADS) -> None:
        self._max_documents = settings.stream.bulk_max_documents
        self._node = Urllib3HttpNode(_node_config(settings.elasticsearch, threads))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="bulk")
        self._stopped = threading.Event()
        self._backoff = Backoff(self._stopped.wait)
        self._in_flight = threading.Semaphore(2 * threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def retry_reason(self) -> str | None:
        """Return the error that documents are being retried for; None if none is."""
        return self._backoff.reason

    @property
    def waits(self) -> int:
        """Return the number of waits so far; it grows while documents are retried."""
        return self._backoff.waits

    def close(self) -> None:
        """Cancel pending requests and close the connections."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._node.close()

    def wait_for_templates(self, aliases: Iterable[str]) -> None:
        """Wait until each alias has its index template; without one, Elasticsearch would guess the mapping.

        Raises:
            InterruptedError: The sink is closed meanwhile.
        """
        for alias in aliases:
            attempt = 0
            while not self._has_template(alias, attempt):
                attempt += 1

    def store(self, items: Iterable[Item]) -> list[RejectedItem]:
        """Send all items and return the rejected ones. Blocks until each item is stored or rejected.

        Reads `items` while earlier requests are in flight; the number of requests in flight is limited.

        Args:
            items: Documents with different ids.

        Raises:
            InterruptedError: The sink is closed meanwhile.
        """
        sent: list[Future[list[RejectedItem]]] = []
        for chunk in chunks(items, self._max_documents):
            self._in_flight.acquire()
            future = self._pool.submit(self._store_chunk, chunk)
            future.add_done_callback(self._release_slot)
            sent.append(future)
        return [rejection for future in sent for rejection in future.result()]

    def _release_slot(self, _: Future[list[RejectedItem]]) -> None:
        self._in_flight.release()

    def _store_chunk(self, chunk: Sequence[Item]) -> list[RejectedItem]:
        rejected: list[RejectedItem] = []
        attempt = 0
        while chunk:
            response = self._send(chunk)
            rejected.extend(response.rejected)
            chunk = response.retryable
            if chunk:
                self._require_open()
                self._backoff.wait(attempt, response.retry_reason or "busy")
                attempt += 1
        self._backoff.reset()
        return rejected

    def _send(self, chunk: Sequence[Item]) -> BulkResult:
        try:
            response = self._node.perform_request("POST", BULK_PATH, body=bulk_body(chunk))
        except TransportError as error:
            return BulkResult(list(chunk), [], f"{type(error).__name__}: {error.message}")
        status, body = response.meta.status, response.body
        if status in (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.BAD_REQUEST):
            return self._bisect(chunk, parse_failed_response(status, body))
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            return BulkResult(list(chunk), [], parse_failed_response(status, body).reason)
        try:
            return parse_bulk_response(chunk, body)
        except ValueError as error:
            return BulkResult(list(chunk), [], str(error))

    def _bisect(self, chunk: Sequence[Item], failure: FailedRequest) -> BulkResult:
        """Bisect a request down to the document that causes the failure.

        A retryable half ends the bisection, because a fault of the cluster should cost few requests per wait. That
        half moves to the end, so that the next attempt stores the other documents.
        """
        if len(chunk) == 1:
            if failure.rejects_document:
                return BulkResult([], [RejectedItem(chunk[0], failure.reason)], None)
            return BulkResult(list(chunk), [], failure.reason)
        left, right = split_in_half(chunk)
        first = self._send(left)
        if first.retryable:
            return BulkResult([*right, *first.retryable], first.rejected, first.retry_reason)
        second = self._send(right)
        return BulkResult(second.retryable, first.rejected + second.rejected, second.retry_reason)

    def _has_template(self, alias: str, attempt: int) -> bool:
        try:
            status = self._node.perform_request("GET", f"/_index_template/{alias}?filter_path=*.name").meta.status
        except TransportError as error:
            self._backoff.wait(attempt, f"{type(error).__name__}: {error.message}")
            self._require_open()
            return False
        if status == HTTPStatus.OK:
            self._backoff.reset()
            return True
        self._backoff.wait(attempt, f"no index template {alias} ({status}); `./showroom stream submit` creates it")
        self._require_open()
        return False

    def _require_open(self) -> None:
        if self._stopped.is_set():
            raise InterruptedError("indexing failed: the sink was closed while it waited for Elasticsearch")


def _node_config(settings: ElasticsearchSettings, connections: int) -> NodeConfig:
    headers = {"content-type": "application/x-ndjson", "accept": "application/json"}
    key = settings.api_key.reveal()
    if key:
        headers["authorization"] = f"ApiKey {key}"
    config: NodeConfig = url_to_node_config(settings.url, use_default_ports_for_scheme=True)
    return config.replace(
        connections_per_node=connections, headers=HttpHeaders(headers), request_timeout=REQUEST_TIMEOUT_S
    )
