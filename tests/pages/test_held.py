"""An answer is asked for once, however many want it."""

import threading
from concurrent.futures import ThreadPoolExecutor

from showroom.pages.held import Held

VIEWERS = 10


def test_ten_viewers_at_once_cost_one_question() -> None:
    asked: list[int] = []
    together = threading.Barrier(VIEWERS)

    def ask() -> int:
        asked.append(1)
        return len(asked)

    held = Held(ask, keep_s=60.0)

    def view(_: int) -> int:
        together.wait(10)
        return held.get()

    with ThreadPoolExecutor(VIEWERS) as pool:
        assert list(pool.map(view, range(VIEWERS))) == [1] * VIEWERS
    assert len(asked) == 1


def test_an_answer_grows_old() -> None:
    now = [0.0]
    answers = iter("abc")
    held = Held(lambda: next(answers), keep_s=4.0, clock=lambda: now[0])

    seen = []
    for now[0] in (0.0, 3.9, 4.0, 7.9, 8.1):
        seen.append(held.get())
    assert seen == ["a", "a", "b", "b", "c"]
