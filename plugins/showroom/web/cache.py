"""Cache values for some seconds; concurrent callers share one load."""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

from cachetools import TLRUCache, TTLCache, cached

from include.contracts.errors import TransientError

ERROR_TTL_S = 3.0

_T = TypeVar("_T")


def cached_value(load: Callable[[], _T], ttl_s: float, clock: Callable[[], float] = time.monotonic) -> Callable[[], _T]:
    """Return a function that calls `load` once per `ttl_s`; concurrent callers share one in-flight load.

    Args:
        load: Returns the value. It must return errors as values; an exception is not cached.
        ttl_s: Lifetime of a value in seconds.
        clock: Monotonic clock in seconds.
    """
    cache: TTLCache[Hashable, _T] = TTLCache(maxsize=1, ttl=ttl_s, timer=clock)
    return cached(cache, condition=threading.Condition())(load)


class _Entry(NamedTuple, Generic[_T]):
    """A loaded value or exception, and its lifetime."""

    future: "Future[_T]"
    ttl_s: float


class CoalescingCache(Generic[_T]):
    """Cache of values by key. Concurrent callers of a key share one load, which runs in the cache's own threads.

    Args:
        max_concurrent: Number of loads that run at the same time.
        max_entries: Number of cached values; the least recently used one is evicted. Also the limit of pending loads,
            so that a slow server blocks only the callers that wait for it.
        clock: Monotonic clock in seconds.
        is_cacheable: Whether a value is cached for its whole TTL. Other values are cached for 3 s only.
    """

    def __init__(
        self,
        max_concurrent: int,
        max_entries: int,
        clock: Callable[[], float] = time.monotonic,
        is_cacheable: Callable[[_T], bool] = lambda _: True,
    ) -> None:
        self._is_cacheable = is_cacheable
        self._pool = ThreadPoolExecutor(max_concurrent, thread_name_prefix="panel")
        self._max_pending = max_entries
        self._lock = threading.Lock()
        self._pending: dict[Hashable, Future[_T]] = {}
        self._entries: TLRUCache[Hashable, _Entry[_T]] = TLRUCache(
            max_entries, ttu=lambda _, entry, now: now + entry.ttl_s, timer=clock
        )

    def get(self, key: Hashable, load: Callable[[], _T], ttl_s: float) -> "Future[_T]":
        """Return the value as a future, at most `ttl_s` old. Raises TransientError if too many loads are pending."""
        with self._lock:
            if key in self._pending:
                return self._pending[key]
            entry = self._entries.get(key)
            return self._start(key, load, ttl_s) if entry is None else entry.future

    def _start(self, key: Hashable, load: Callable[[], _T], ttl_s: float) -> "Future[_T]":
        if len(self._pending) >= self._max_pending:
            raise TransientError("too many queries are pending", "try again in a few seconds")
        future: Future[_T] = Future()
        self._pending[key] = future

        def run() -> None:
            # Because a caller can cancel its wait, the load runs to its end for the others.
            try:
                value = load()
            except BaseException as error:
                self._finish(key, future, min(ttl_s, ERROR_TTL_S))
                future.set_exception(error)
            else:
                self._finish(key, future, ttl_s if self._is_cacheable(value) else min(ttl_s, ERROR_TTL_S))
                future.set_result(value)

        future.set_running_or_notify_cancel()
        self._pool.submit(run)
        return future

    def _finish(self, key: Hashable, future: "Future[_T]", ttl_s: float) -> None:
        """Move a load from pending to cached; its lifetime starts now."""
        with self._lock:
            del self._pending[key]
            self._entries[key] = _Entry(future, ttl_s)
