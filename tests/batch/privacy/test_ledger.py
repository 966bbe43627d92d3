"""The privacy budget over all runs: charges, composition, rejections and races."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from include.batch.privacy import accountant
from include.batch.privacy.ledger import BudgetSpentError, Receipt, charge
from include.batch.privacy.ledger_store import Entries
from include.batch.privacy.mechanism import decode
from include.clients.mongodb import Document
from include.contracts.errors import TerminalError, TransientError
from tests.batch.privacy.factories import mechanism
from tests.batch.privacy.ledger_contract import CONTRACT, Memory, entry

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
MECHANISM = mechanism()
COST = accountant.epsilon(MECHANISM)


@pytest.mark.parametrize("contract", CONTRACT)
def test_memory_store_fulfils_the_contract(contract: Callable[[Entries], None]) -> None:
    contract(Memory())


def charged(entries: Entries, key: str, budget: float = 100.0) -> Receipt:
    return charge(entries, key, MECHANISM, "2026-11-09/2026-11-23", budget, NOW)


def test_charge_is_idempotent_and_composes_releases() -> None:
    entries = Memory()
    first, second, again = charged(entries, "a"), charged(entries, "b"), charged(entries, "a")

    assert (first.is_repeat, second.is_repeat, again.is_repeat) == (False, False, True)
    assert first.spent == COST
    assert COST < second.spent < 2 * COST
    assert again.spent == second.spent
    assert [retained["number"] for retained in entries.read()] == [1, 2]
    assert entries.read()[0]["charged_at"] == NOW
    assert decode(entries.read()[0]["mechanism"]) == MECHANISM


def test_charge_above_the_budget_raises_but_a_repeat_is_free() -> None:
    entries = Memory()
    budget = 1.2 * COST
    charged(entries, "a", budget)
    with pytest.raises(BudgetSpentError, match="by 1 releases"):
        charged(entries, "b", budget)
    assert len(entries.read()) == 1
    assert charged(entries, "a", budget).is_repeat


def test_charge_survives_a_crash() -> None:
    entries = Memory()
    charged(entries, "died before it was trained")
    assert charged(entries, "next").spent > COST


def test_concurrent_charges_cannot_exceed_the_budget() -> None:
    """Both runs read before either writes, so the second gets a duplicate number, decides again and is rejected."""
    together = threading.Barrier(2)

    class Racing(Memory):
        waits = 2

        def read(self) -> list[Document]:
            result = super().read()
            if self.waits:
                self.waits -= 1
                together.wait(10)
            return result

    entries, ended = Racing(), []

    def run(key: str) -> None:
        try:
            charged(entries, key, 1.2 * COST)
            ended.append("charged")
        except BudgetSpentError:
            ended.append("refused")

    threads = [threading.Thread(target=run, args=(key,)) for key in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["charged", "refused"]
    assert (
        accountant.compose([decode(retained["mechanism"]) for retained in entries.read()], MECHANISM.delta)
        <= 1.2 * COST
    )


def test_charge_that_is_always_overtaken_raises_transient_error() -> None:
    class Overtaken(Memory):
        def read(self) -> list[Document]:
            return []

    entries = Overtaken()
    entries.entries.append(entry("other", 1))
    with pytest.raises(TransientError, match="concurrent runs"):
        charged(entries, "a")


def test_charge_with_an_unreadable_entry_raises() -> None:
    entries = Memory()
    entries.add(entry("broken", 1))
    with pytest.raises(TerminalError, match="no readable mechanism"):
        charged(entries, "a")


def test_charge_with_a_reused_key_raises() -> None:
    entries = Memory()
    charged(entries, "a")
    with pytest.raises(TerminalError, match="another mechanism"):
        charge(entries, "a", mechanism(sigma=9.0), "w", 100.0, NOW)
