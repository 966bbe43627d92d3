"""An answer that is held for a few seconds: ten viewers cost the servers as much as one."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

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
