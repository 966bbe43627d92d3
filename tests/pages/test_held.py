"""An answer is asked for once, however many want it."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from include.contracts.errors import TransientError
from showroom.pages.held import Held, Shelf

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


def test_each_question_is_asked_once_for_all_who_want_it() -> None:
    now, asked, go = [0.0], [], threading.Event()
    shelf: Shelf[str] = Shelf(at_once=2, size=10, clock=lambda: now[0])

    def want(question: str) -> "Future[str]":
        def ask() -> str:
            go.wait(10)
            asked.append(question)
            return f"{question} {len(asked)}"

        return shelf.get(question, ask, keep_s=4.0)

    first = [want("a") for _ in range(10)]
    now[0] = 60.0  # however long an answer takes, it is not asked for twice meanwhile
    first.append(want("a"))
    go.set()
    assert {promise.result(10) for promise in first} == {"a 1"}
    now[0] = 63.9
    assert want("a").result(10) == "a 1"
    assert want("b").result(10) == "b 2"
    now[0] = 64.0
    assert want("a").result(10) == "a 3"


def test_a_shelf_holds_what_was_wanted_last() -> None:
    asked: list[str] = []
    shelf: Shelf[None] = Shelf(at_once=1, size=2)

    def want(question: str) -> None:
        shelf.get(question, lambda: asked.append(question), keep_s=60.0).result(10)

    for question in "abacab":
        want(question)
    assert asked == ["a", "b", "c", "b"]


def test_a_slow_server_gathers_no_crowd() -> None:
    go = threading.Event()
    shelf: Shelf[bool] = Shelf(at_once=1, size=3)
    waiting = [shelf.get(number, lambda: go.wait(10), keep_s=1.0) for number in range(3)]
    with pytest.raises(TransientError, match="too many"):
        shelf.get("more", lambda: True, keep_s=1.0)
    assert shelf.get(2, lambda: True, keep_s=1.0) is waiting[2]
    go.set()
    assert all(promise.result(10) for promise in waiting)
    assert shelf.get("more", lambda: True, keep_s=1.0).result(10)


def test_trouble_is_asked_about_again_soon() -> None:
    now, answers = [0.0], iter(["away", "away", "back", "again"])
    shelf: Shelf[str] = Shelf(at_once=1, size=3, clock=lambda: now[0], good=lambda answer: answer != "away")

    seen = []
    for now[0] in (0.0, 2.9, 3.0, 6.0, 53.9, 54.0):
        seen.append(shelf.get("a", lambda: next(answers), keep_s=48.0).result(10))
    assert seen == ["away", "away", "away", "back", "back", "again"]


def test_a_failure_reaches_all_and_is_forgotten_in_time() -> None:
    now = [0.0]
    shelf: Shelf[float] = Shelf(at_once=1, size=3, clock=lambda: now[0])
    wrong: Future[float] = shelf.get("a", lambda: 1 / 0, keep_s=1.0)
    with pytest.raises(ZeroDivisionError):
        wrong.result(10)
    now[0] = 1.0
    assert shelf.get("a", lambda: 1.0, keep_s=1.0).result(10) == 1.0
