"""Membership inference: can a model's loss on a user's visits tell whether he was trained on?

The threshold attack of Yeom et al. ("Privacy risk in machine learning", CSF 2018) on users. Both sides are users drawn
by a hash, with visits of the same days, so without a leak they cannot be told apart.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from msgspec import Struct

from include.batch.evaluate.bootstrap import Interval
from include.batch.samples import Floats, Labels, Rows, Samples
from include.contracts.errors import TerminalError

CLIP = 1e-7
FEWEST = 4


class Attack(Struct, frozen=True):
    """`auc`: how well the loss ranks members before others, 0.5 is by chance. `advantage`: hits less false alarms of a
    threshold that was chosen on other users, 0 is by chance; both with an interval over users."""

    auc: Interval
    advantage: Interval
    members: int
    others: int


@dataclass(frozen=True)
class Target:
    """Visits (n,) of users, and whether each was trained on; a user is wholly one or the other."""

    samples: Samples
    member: Labels


def attack(target: Target, p: Floats, confidence: float) -> Attack:
    """Attack the probabilities (n,) that a model gives for the target's visits.

    Raises TerminalError where there are not at least four members and four others.
    """
    kept = np.clip(p, CLIP, 1.0 - CLIP)
    loss = -np.where(target.samples.y, np.log(kept), np.log1p(-kept))
    _, first, index = np.unique(target.samples.group, return_index=True, return_inverse=True)
    score = -np.bincount(index, weights=loss) / np.bincount(index)
    member = target.member[first]
    inside, outside = score[member], score[~member]
    if min(len(inside), len(outside)) < FEWEST:
        raise TerminalError(
            f"{len(inside)} users trained on and {len(outside)} others are too few to attack a model with",
            "give a longer window",
        )
    reach = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    return Attack(
        auc=_auc(inside, outside, reach),
        advantage=_advantage(score, member, _half(member), reach),
        members=len(inside),
        others=len(outside),
    )


def most(epsilon: float, delta: float) -> float:
    """The greatest advantage any attack can have on an (epsilon, delta)-private model.

    Kairouz, Oh and Viswanath, "The composition theorem for differential privacy", ICML 2015.
    """
    return math.tanh(epsilon / 2.0) + 2.0 * delta / (1.0 + math.exp(epsilon))


def target(samples: Samples, trained: Rows, started_us: Rows) -> Target:
    """The trained-on visits, beside what users that were never trained on did in the same days."""
    during = started_us <= started_us[trained].max() if len(trained) else np.zeros(len(samples), np.bool_)
    inside = np.zeros(len(samples), np.bool_)
    inside[trained] = True
    strangers = during & ~np.isin(samples.group, samples.group[trained])
    rows = np.flatnonzero(inside | strangers)
    return Target(samples.take(rows), inside[rows])


def _auc(inside: Floats, outside: Floats, reach: float) -> Interval:
    """Area under the curve with its normal interval (DeLong, DeLong and Clarke-Pearson, Biometrics 1988)."""
    over = _above(inside, outside)
    under = 1.0 - _above(outside, inside)
    spread = math.sqrt(float(over.var(ddof=1)) / len(over) + float(under.var(ddof=1)) / len(under))
    value = float(over.mean())
    return Interval(value, max(0.0, value - reach * spread), min(1.0, value + reach * spread))


def _above(scores: Floats, others: Floats) -> Floats:
    """(n,) share of `others` below each score, equals counted half."""
    ranked = np.sort(others)
    found: Floats = (np.searchsorted(ranked, scores, "left") + np.searchsorted(ranked, scores, "right")) / 2.0
    return found / len(others)


def _advantage(score: Floats, member: Labels, half: Labels, reach: float) -> Interval:
    """On each half of the users by the threshold that is best on the other; a threshold's own users would flatter."""
    values, variances = [], []
    for judged in (half, ~half):
        threshold = _best(score[~judged], member[~judged])
        hit = score[judged & member] >= threshold
        false = score[judged & ~member] >= threshold
        values.append(float(hit.mean() - false.mean()))
        variances.append(float(hit.var() / len(hit) + false.var() / len(false)))
    value, spread = sum(values) / 2.0, math.sqrt(sum(variances)) / 2.0
    return Interval(value, value - reach * spread, value + reach * spread)


def _best(score: Floats, member: Labels) -> float:
    order = np.argsort(-score, kind="stable")
    told, inside = score[order], member[order]
    gain = np.cumsum(inside) / inside.sum() - np.cumsum(~inside) / (~inside).sum()
    # A threshold lies between two scores that differ.
    gain[:-1][told[:-1] == told[1:]] = -1.0
    return float(told[int(np.argmax(gain))])


def _half(member: Labels) -> Labels:
    """Half of the members and half of the others, in a fixed shuffle."""
    random = np.random.default_rng(0)
    half = np.zeros(len(member), np.bool_)
    for side in (member, ~member):
        half[random.permutation(np.flatnonzero(side))[::2]] = True
    return half
