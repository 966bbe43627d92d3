"""Privacy accounting: epsilon of one mechanism or of a composition, by privacy loss distributions.

Koskela et al. (AISTATS 2020); Doroshenko et al., "Connect the Dots" (PETS 2022), as implemented by dp_accounting. Every
rounding is upwards, so the epsilon is an upper bound.
"""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import dp_accounting
from dp_accounting import NeighboringRelation, rdp
from dp_accounting.pld import PLDAccountant

if TYPE_CHECKING:
    from include.batch.privacy.mechanism import Mechanism

DISCRETIZATION_INTERVAL = 1e-3
"""Bin width of the discretized privacy loss."""


def new_accountant() -> Any:
    """Return an empty accountant for adding or removing one user."""
    return PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE, DISCRETIZATION_INTERVAL)


def event(mechanism: "Mechanism") -> Any:
    """Return the mechanism as an event of dp_accounting."""
    step = dp_accounting.PoissonSampledDpEvent(mechanism.rate, dp_accounting.GaussianDpEvent(mechanism.sigma))
    return dp_accounting.SelfComposedDpEvent(step, mechanism.steps)


def epsilon(mechanism: "Mechanism") -> float:
    """Return the epsilon of one release, at the mechanism's own delta."""
    return compose((mechanism,), mechanism.delta)


def compose(mechanisms: Iterable["Mechanism"], delta: float) -> float:
    """Return the epsilon of the composition of all mechanisms at `delta`; 0 for none."""
    steps_by_mechanism: Counter[tuple[float, float]] = Counter()
    for mechanism in mechanisms:
        steps_by_mechanism[mechanism.sigma, mechanism.rate] += mechanism.steps
    if not steps_by_mechanism:
        return 0.0
    account = new_accountant()
    for (sigma, rate), steps in sorted(steps_by_mechanism.items()):
        account.compose(dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(sigma)), steps)
    return float(account.get_epsilon(delta))


def renyi_bound(mechanism: "Mechanism") -> float:
    """Return the coarser bound by Renyi divergences (Mironov 2017), never below `epsilon`."""
    account = rdp.RdpAccountant(neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE)
    account.compose(event(mechanism))
    return float(account.get_epsilon(mechanism.delta))
