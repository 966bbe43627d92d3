"""Answers that are held for a few seconds: ten viewers cost the servers as much as one."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from include.contracts.errors import TransientError

TROUBLE_S = 3.0

_T = TypeVar("_T")


class Held(Generic[_T]):
    """The answer to `ask`, asked anew once it is `keep_s` old; who comes while it is asked waits for that answer.

    `ask` must not raise: a failure is an answer too, and is held like any other.
    """

    def __init__(self, ask: Callable[[], _T], keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._held: tuple[float, _T] | None = None

    def get(self) -> _T:
        """The answer, at most `keep_s` old."""
        with self._lock:
            if self._held is None or self._clock() - self._held[0] >= self._keep_s:
                answer = self._ask()
                self._held = self._clock(), answer
            return self._held[1]


@dataclass
class _Entry(Generic[_T]):
    answer: "Future[_T]"
    answered_at: float | None = None
    good: bool = True


class Shelf(Generic[_T]):
    """Answers to many questions, each asked once for all who want it, `at_once` side by side on threads of its own.

    `good` says which answers are worth holding; another is held for three seconds, for trouble may pass.
    At most `size` answers are held, those wanted last. As many may be waited for: more are refused, so that a
    slow server holds up no one but those who ask it.
    """

    def __init__(
        self,
        at_once: int,
        size: int,
        clock: Callable[[], float] = time.monotonic,
        good: Callable[[_T], bool] = lambda _: True,
    ) -> None:
        self._good = good
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="panel")
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[_T]] = OrderedDict()
        self._waiting = 0

    def get(self, question: Hashable, ask: Callable[[], _T], keep_s: float) -> "Future[_T]":
        """The answer, at most `keep_s` old, or its promise. Raises TransientError where too much is waited for."""
        with self._lock:
            entry = self._entries.get(question)
            if entry is None or self._is_old(entry, keep_s):
                entry = self._start(ask)
                self._entries[question] = entry
            self._entries.move_to_end(question)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)
            return entry.answer

    def _is_old(self, entry: _Entry[_T], keep_s: float) -> bool:
        if entry.answered_at is None:
            return False
        held_s = keep_s if entry.good else min(keep_s, TROUBLE_S)
        return self._clock() - entry.answered_at >= held_s

    def _start(self, ask: Callable[[], _T]) -> _Entry[_T]:
        if self._waiting >= self._size:
            raise TransientError("too many questions are waiting for an answer", "try again in a few seconds")
        self._waiting += 1
        promise: Future[_T] = Future()
        entry = _Entry(promise)

        def run() -> None:
            # Whoever waits may give up; the answer is still for the others.
            try:
                answer = ask()
            except BaseException as error:
                self._ended(entry, good=False)
                promise.set_exception(error)
            else:
                self._ended(entry, good=self._good(answer))
                promise.set_result(answer)

        promise.set_running_or_notify_cancel()
        self._pool.submit(run)
        return entry

    def _ended(self, entry: _Entry[_T], *, good: bool) -> None:
        with self._lock:
            self._waiting -= 1
            entry.good = good
            entry.answered_at = self._clock()
