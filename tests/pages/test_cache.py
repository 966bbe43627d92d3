"""Caches: TTL, coalescing of concurrent loads, eviction and errors."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from include.contracts.errors import TransientError
from showroom.web.cache import CoalescingCache, cached_value

CALLERS = 10


def test_cached_value_concurrent_callers_share_one_load() -> None:
    loads: list[int] = []
    barrier = threading.Barrier(CALLERS)

    def load() -> int:
        loads.append(1)
        return len(loads)

    get = cached_value(load, ttl_s=60.0)

    def call(_: int) -> int:
        barrier.wait(10)
        return get()

    with ThreadPoolExecutor(CALLERS) as pool:
        assert list(pool.map(call, range(CALLERS))) == [1] * CALLERS
    assert len(loads) == 1


def test_cached_value_expires_after_its_ttl() -> None:
    now = [0.0]
    values = iter("abc")
    get = cached_value(lambda: next(values), ttl_s=4.0, clock=lambda: now[0])

    results = []
    for now[0] in (0.0, 3.9, 4.0, 7.9, 8.1):
        results.append(get())
    assert results == ["a", "a", "b", "b", "c"]


def test_coalescing_cache_callers_of_a_key_share_one_load() -> None:
    now, loads, is_released = [0.0], [], threading.Event()
    cache: CoalescingCache[str] = CoalescingCache(max_concurrent=2, max_entries=10, clock=lambda: now[0])

    def get(key: str) -> "Future[str]":
        def load() -> str:
            is_released.wait(10)
            loads.append(key)
            return f"{key} {len(loads)}"

        return cache.get(key, load, ttl_s=4.0)

    futures = [get("a") for _ in range(10)]
    now[0] = 60.0  # a pending load is shared, however long it takes
    futures.append(get("a"))
    is_released.set()
    assert {future.result(10) for future in futures} == {"a 1"}
    now[0] = 63.9
    assert get("a").result(10) == "a 1"
    assert get("b").result(10) == "b 2"
    now[0] = 64.0
    assert get("a").result(10) == "a 3"


def test_coalescing_cache_evicts_the_least_recently_used() -> None:
    loads: list[str] = []
    cache: CoalescingCache[None] = CoalescingCache(max_concurrent=1, max_entries=2)

    for key in "abacab":
        cache.get(key, lambda key=key: loads.append(key), ttl_s=60.0).result(10)  # type: ignore[misc]
    assert loads == ["a", "b", "c", "b"]


def test_coalescing_cache_too_many_pending_loads_raise_transient_error() -> None:
    is_released = threading.Event()
    cache: CoalescingCache[bool] = CoalescingCache(max_concurrent=1, max_entries=3)
    pending = [cache.get(number, lambda: is_released.wait(10), ttl_s=1.0) for number in range(3)]
    with pytest.raises(TransientError, match="too many"):
        cache.get("more", lambda: True, ttl_s=1.0)
    assert cache.get(2, lambda: True, ttl_s=1.0) is pending[2]
    is_released.set()
    assert all(future.result(10) for future in pending)
    assert cache.get("more", lambda: True, ttl_s=1.0).result(10)


def test_coalescing_cache_failed_query_is_retried_after_3s() -> None:
    now, values = [0.0], iter(["failed", "failed", "first", "second"])
    cache: CoalescingCache[str] = CoalescingCache(
        max_concurrent=1, max_entries=3, clock=lambda: now[0], is_cacheable=lambda value: value != "failed"
    )

    results = []
    for now[0] in (0.0, 2.9, 3.0, 6.0, 53.9, 54.0):
        results.append(cache.get("a", lambda: next(values), ttl_s=48.0).result(10))
    assert results == ["failed", "failed", "failed", "first", "first", "second"]


def test_coalescing_cache_exception_is_raised_and_expires() -> None:
    now = [0.0]
    cache: CoalescingCache[float] = CoalescingCache(max_concurrent=1, max_entries=3, clock=lambda: now[0])
    failed: Future[float] = cache.get("a", lambda: 1 / 0, ttl_s=1.0)
    with pytest.raises(ZeroDivisionError):
        failed.result(10)
    now[0] = 1.0
    assert cache.get("a", lambda: 1.0, ttl_s=1.0).result(10) == 1.0
