"""The privacy ledger: all private releases in MongoDB. A release is charged before it is trained.

Each entry has the next number, and numbers are unique. A run that decided on an outdated list fails to write and
decides again, so concurrent runs cannot exceed the budget. A run that crashes after the charge stays charged.
"""

from datetime import datetime

import msgspec
from msgspec import Struct

from include.batch.privacy import accountant
from include.batch.privacy.ledger_store import NUMBER, DuplicateEntryError, Entries
from include.batch.privacy.mechanism import Mechanism, decode
from include.contracts.errors import TerminalError, TransientError

MAX_ATTEMPTS = 20


class BudgetSpentError(TerminalError):
    """A release exceeds the remaining privacy budget."""


class Receipt(Struct, frozen=True):
    """The charge of a release.

    Attributes:
        key: id of the release.
        epsilon: cost of this release.
        spent: cost of all releases so far, at `delta`.
        budget: limit of `spent`.
        releases: number of charged releases.
        is_repeat: whether the release was already charged.
    """

    key: str
    epsilon: float
    spent: float
    budget: float
    delta: float
    releases: int
    is_repeat: bool


def charge(entries: Entries, key: str, mechanism: Mechanism, window: str, budget: float, now: datetime) -> Receipt:
    """Charge a release; a release already charged under this key costs nothing more.

    Raises:
        BudgetSpentError: the release exceeds the remaining budget.
        TerminalError: an entry is unreadable, or the key belongs to another mechanism.
        TransientError: concurrent runs repeatedly wrote first.
    """
    for _ in range(MAX_ATTEMPTS):
        existing = entries.read()
        charged = {entry["_id"]: decode(entry.get("mechanism")) for entry in existing}
        cost = accountant.epsilon(mechanism)
        if key in charged:
            if charged[key] != mechanism:
                raise TerminalError(
                    f"the release {key} was charged for another mechanism",
                    "compare its entry in the collection privacy",
                )
            spent = accountant.compose(charged.values(), mechanism.delta)
            return Receipt(key, cost, spent, budget, mechanism.delta, len(charged), is_repeat=True)
        spent = accountant.compose([*charged.values(), mechanism], mechanism.delta)
        if spent > budget:
            before = accountant.compose(charged.values(), mechanism.delta)
            raise BudgetSpentError(
                f"the privacy budget is spent: {before:.3f} of {budget:g} by {len(charged)} releases, "
                f"with this one of {cost:.3f} it would be {spent:.3f}",
                "see the runbook of the nightly batch; the private champion stays as it is",
            )
        entry = {
            "_id": key,
            NUMBER: 1 + max((entry[NUMBER] for entry in existing), default=0),
            "mechanism": msgspec.to_builtins(mechanism),
            "epsilon": cost,
            "spent": spent,
            "window": window,
            "charged_at": now,
        }
        try:
            entries.add(entry)
        except DuplicateEntryError:
            continue
        return Receipt(key, cost, spent, budget, mechanism.delta, len(charged) + 1, is_repeat=False)
    raise TransientError("charging the release failed: concurrent runs repeatedly wrote first", "run the step again")
