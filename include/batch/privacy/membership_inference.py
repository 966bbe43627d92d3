"""Membership inference: whether a model's loss on a user's visits reveals that it was trained on the user.

The threshold attack of Yeom et al. ("Privacy risk in machine learning", CSF 2018) on users. Members and non-members are
selected by a hash and have visits of the same days, so without a leak they are indistinguishable.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from msgspec import Struct

from include.batch.evaluation.confidence import ConfidenceInterval
from include.batch.samples import Floats, Labels, Rows, Samples
from include.contracts.errors import TerminalError

CLIP = 1e-7
MIN_USERS_PER_SIDE = 4


class Attack(Struct, frozen=True):
    """Result of a membership inference attack, with intervals over users.

    Attributes:
        auc: ROC-AUC of the loss as a score of membership; 0.5 is chance.
        advantage: true positive rate less false positive rate, at a threshold chosen on other users; 0 is chance.
        members: rows of the training set.
        others: rows outside it.
    """

    auc: ConfidenceInterval
    advantage: ConfidenceInterval
    members: int
    others: int


@dataclass(frozen=True)
class Target:
    """Visits (n,) of users, and whether each was trained on; all visits of a user have the same membership."""

    samples: Samples
    member: Labels


def attack(target: Target, p: Floats, confidence: float) -> Attack:
    """Attack the probabilities (n,) that a model returns for the target's visits.

    Raises:
        TerminalError: there are fewer than four members or four non-members.
    """
    clipped = np.clip(p, CLIP, 1.0 - CLIP)
    loss = -np.where(target.samples.y, np.log(clipped), np.log1p(-clipped))
    _, first, index = np.unique(target.samples.group, return_index=True, return_inverse=True)
    score = -np.bincount(index, weights=loss) / np.bincount(index)
    member = target.member[first]
    inside, outside = score[member], score[~member]
    if min(len(inside), len(outside)) < MIN_USERS_PER_SIDE:
        raise TerminalError(
            f"{len(inside)} users trained on and {len(outside)} others are too few for a membership attack",
            "give a longer window",
        )
    half_width = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    return Attack(
        auc=_auc(inside, outside, half_width),
        advantage=_advantage(score, member, _half(member), half_width),
        members=len(inside),
        others=len(outside),
    )


def max_advantage(epsilon: float, delta: float) -> float:
    """Return the maximum advantage of any attack on an (epsilon, delta)-private model.

    Kairouz, Oh and Viswanath, "The composition theorem for differential privacy", ICML 2015.
    """
    return math.tanh(epsilon / 2.0) + 2.0 * delta / (1.0 + math.exp(epsilon))


def build_target(samples: Samples, trained: Rows, started_us: Rows) -> Target:
    """Return the visits of the training part, and those of non-members in the same days."""
    during = started_us <= started_us[trained].max() if len(trained) else np.zeros(len(samples), np.bool_)
    inside = np.zeros(len(samples), np.bool_)
    inside[trained] = True
    non_members = during & ~np.isin(samples.group, samples.group[trained])
    rows = np.flatnonzero(inside | non_members)
    return Target(samples.take(rows), inside[rows])


def _auc(inside: Floats, outside: Floats, half_width: float) -> ConfidenceInterval:
    """Return the ROC-AUC with its normal interval (DeLong, DeLong and Clarke-Pearson, Biometrics 1988)."""
    over = _above(inside, outside)
    under = 1.0 - _above(outside, inside)
    std = math.sqrt(float(over.var(ddof=1)) / len(over) + float(under.var(ddof=1)) / len(under))
    value = float(over.mean())
    return ConfidenceInterval(value, max(0.0, value - half_width * std), min(1.0, value + half_width * std))


def _above(scores: Floats, others: Floats) -> Floats:
    """Return the (n,) share of `others` below each score; ties count half."""
    ranked = np.sort(others)
    below: Floats = (np.searchsorted(ranked, scores, "left") + np.searchsorted(ranked, scores, "right")) / 2.0
    return below / len(others)


def _advantage(score: Floats, member: Labels, half: Labels, half_width: float) -> ConfidenceInterval:
    """Score each half of the users with the threshold of the other half; its own threshold is optimistic."""
    values, variances = [], []
    for evaluated in (half, ~half):
        threshold = _best(score[~evaluated], member[~evaluated])
        hit = score[evaluated & member] >= threshold
        false = score[evaluated & ~member] >= threshold
        values.append(float(hit.mean() - false.mean()))
        variances.append(float(hit.var() / len(hit) + false.var() / len(false)))
    value, std = sum(values) / 2.0, math.sqrt(sum(variances)) / 2.0
    return ConfidenceInterval(value, value - half_width * std, value + half_width * std)


def _best(score: Floats, member: Labels) -> float:
    order = np.argsort(-score, kind="stable")
    sorted_scores, inside = score[order], member[order]
    gain = np.cumsum(inside) / inside.sum() - np.cumsum(~inside) / (~inside).sum()
    # Exclude thresholds between equal scores, because they are not realizable.
    gain[:-1][sorted_scores[:-1] == sorted_scores[1:]] = -1.0
    return float(sorted_scores[int(np.argmax(gain))])


def _half(member: Labels) -> Labels:
    """Return a mask of half of the members and half of the non-members, in a fixed shuffle."""
    random = np.random.default_rng(0)
    half = np.zeros(len(member), np.bool_)
    for side in (member, ~member):
        half[random.permutation(np.flatnonzero(side))[::2]] = True
    return half
