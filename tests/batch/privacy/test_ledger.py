"""The budget over all nights: charged first, composed, refused, and not to be slipped under."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from include.batch.privacy import accountant
from include.batch.privacy.entries import Entries
from include.batch.privacy.ledger import BudgetSpent, Receipt, charge
from include.batch.privacy.mechanism import decode
from include.clients.mongodb import Document
from include.contracts.errors import TerminalError, TransientError
from tests.batch.privacy.kept import CONTRACT, Memory, entry
from tests.batch.privacy.made import mechanism

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
NIGHT = mechanism()
COST = accountant.epsilon(NIGHT)


@pytest.mark.parametrize("contract", CONTRACT)
def test_the_store_of_these_tests_is_as_mongodb(contract: Callable[[Entries], None]) -> None:
    contract(Memory())


def charged(entries: Entries, key: str, budget: float = 100.0) -> Receipt:
    return charge(entries, key, NIGHT, "2026-11-09/2026-11-23", budget, NOW)


def test_a_release_is_charged_once_and_nights_are_composed() -> None:
    entries = Memory()
    first, second, again = charged(entries, "a"), charged(entries, "b"), charged(entries, "a")

    assert (first.again, second.again, again.again) == (False, False, True)
    assert first.spent == COST
    assert COST < second.spent < 2 * COST
    assert again.spent == second.spent
    assert [kept["number"] for kept in entries.read()] == [1, 2]
    assert entries.read()[0]["charged_at"] == NOW
    assert decode(entries.read()[0]["mechanism"]) == NIGHT


def test_a_spent_budget_refuses_and_keeps_nothing_but_the_same_release_is_still_free() -> None:
    entries = Memory()
    budget = 1.2 * COST
    charged(entries, "a", budget)
    with pytest.raises(BudgetSpent, match="by 1 releases"):
        charged(entries, "b", budget)
    assert len(entries.read()) == 1
    assert charged(entries, "a", budget).again


def test_what_was_charged_by_one_that_died_stays_charged() -> None:
    entries = Memory()
    charged(entries, "died before it was trained")
    assert charged(entries, "next").spent > COST


def test_two_runs_at_once_cannot_both_slip_under_the_budget() -> None:
    """Both read before either writes: the second finds its number taken, decides again, and is refused."""
    together = threading.Barrier(2)

    class Racing(Memory):
        waits = 2

        def read(self) -> list[Document]:
            found = super().read()
            if self.waits:
                self.waits -= 1
                together.wait(10)
            return found

    entries, ended = Racing(), []

    def run(key: str) -> None:
        try:
            charged(entries, key, 1.2 * COST)
            ended.append("charged")
        except BudgetSpent:
            ended.append("refused")

    threads = [threading.Thread(target=run, args=(key,)) for key in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["charged", "refused"]
    assert accountant.composed([decode(kept["mechanism"]) for kept in entries.read()], NIGHT.delta) <= 1.2 * COST


def test_one_that_is_overtaken_forever_gives_up_for_now() -> None:
    class Overtaken(Memory):
        def read(self) -> list[Document]:
            return []

    entries = Overtaken()
    entries.kept.append(entry("other", 1))
    with pytest.raises(TransientError, match="at the same time"):
        charged(entries, "a")


def test_an_entry_that_cannot_be_read_stops_everything() -> None:
    entries = Memory()
    entries.add(entry("broken", 1))
    with pytest.raises(TerminalError, match="no readable mechanism"):
        charged(entries, "a")


def test_one_key_cannot_stand_for_two_mechanisms() -> None:
    entries = Memory()
    charged(entries, "a")
    with pytest.raises(TerminalError, match="another mechanism"):
        charge(entries, "a", mechanism(sigma=9.0), "w", 100.0, NOW)
