"""The purchase model: a known logit over observable behaviour, and the best ROC-AUC that a model can reach.

Every term can be computed before the outcome, from the session record or from the user's earlier sessions (loyalty).
The outcome is drawn from the probability, so no model can rank better than the probability itself: its ROC-AUC is the
oracle AUC. Fields that follow the outcome are in `POST_OUTCOME_FIELDS`.
"""

from collections.abc import Iterable, Mapping
from math import exp, log
from typing import NamedTuple

from msgspec import Struct

from include.contracts.session import DeviceType, Referrer

POST_OUTCOME_FIELDS: tuple[str, ...] = (
    *("purchase.made", "purchase.amount", "purchase.payment"),
    *("last_action", "exit_page"),
)
"""Fields that follow the outcome; a model that reads one of them has a leak."""

BUCKET_WIDTH = 0.02
MAX_BUCKET = 450
NON_BUYER = -1_000
"""Bucket of sessions that cannot end in a purchase (bots)."""

BASE = -3.05
DEVICE_TERM: dict[DeviceType, float] = {
    "desktop": 0.45,
    "tablet": 0.05,
    "mobile": -0.4,
    "unknown": -0.4,
    "not_collected": 0.0,
}
REFERRER_TERM: dict[Referrer, float] = {
    "direct": 0.5,
    "partner": 0.35,
    "google": 0.05,
    "facebook": -0.5,
    "instagram": -0.75,
    "unknown": -0.5,
    "not_collected": 0.0,
}
LOYALTY_TERM: tuple[float, float, float] = (-0.15, 0.3, 0.8)
REVIEW_TERM: dict[str, float] = {"positive": 0.45, "neutral": 0.0, "negative": -0.9}
EVENING = range(18, 23)
SATURDAY = 5


class Behaviour(NamedTuple):
    """Behaviour of a visit that the site observes before the outcome. `weekday`: Monday is 0, UTC; `hour` is local."""

    duration_s: int
    page_views: int
    clicks: int
    products: int
    categories: int
    max_price: int
    device: DeviceType
    referrer: Referrer
    hour: int
    weekday: int
    loyalty: int
    reviews: tuple[str, ...]


def logit_bucket(behaviour: Behaviour) -> int:
    """Return the logit of a purchase in steps of `BUCKET_WIDTH`, clipped to `MAX_BUCKET` steps on either side of 0."""
    logit = (
        BASE
        + 0.75 * (log(behaviour.duration_s) - 4.6)
        + 0.13 * (min(behaviour.page_views, 14) - 4)
        + 0.45 * (min(behaviour.clicks / behaviour.page_views, 5.0) - 2.2)
        + 0.4 * (behaviour.products - behaviour.categories)
        - 0.25 * (behaviour.categories - 1)
        - 0.3 * log(behaviour.max_price / 1_000)
        + DEVICE_TERM[behaviour.device]
        + REFERRER_TERM[behaviour.referrer]
        + (0.3 if behaviour.hour in EVENING else 0.0)
        + (0.25 if behaviour.weekday >= SATURDAY else 0.0)
        + LOYALTY_TERM[behaviour.loyalty]
    )
    for sentiment in behaviour.reviews:
        logit += REVIEW_TERM[sentiment]
    return max(-MAX_BUCKET, min(MAX_BUCKET, round(logit / BUCKET_WIDTH)))


def probability(bucket: int) -> float:
    """Return the probability of a purchase in a bucket; 0 in `NON_BUYER`."""
    return 0.0 if bucket == NON_BUYER else 1.0 / (1.0 + exp(-bucket * BUCKET_WIDTH))


PROBABILITY: tuple[float, ...] = tuple(probability(bucket) for bucket in range(-MAX_BUCKET, MAX_BUCKET + 1))


class Intent(Struct, frozen=True, kw_only=True):
    """Ground truth about purchases among admitted sessions.

    `roc_auc` ranks customers' visits by their true probability against the outcome: no model can rank them better.
    `expected_roc_auc` is its mean over all possible outcomes. `roc_auc_admitted` includes the admitted bots, which
    never buy and are easy to detect. None if there is only one class.
    """

    sessions: int
    purchases: int
    bots: int
    base_rate: float | None
    roc_auc: float | None
    expected_roc_auc: float | None
    roc_auc_admitted: float | None
    buckets: dict[str, tuple[int, int]]


def describe(buckets: Mapping[int, tuple[int, int]]) -> Intent:
    """Summarize bucket -> (sessions, purchases), including the bucket `NON_BUYER`.

    The probability takes one value in a bucket, so these metrics are exact; ties count half.
    """
    people = {bucket: counts for bucket, counts in sorted(buckets.items()) if bucket != NON_BUYER}
    bots = buckets.get(NON_BUYER, (0, 0))[0]
    sessions = sum(count for count, _ in people.values())
    purchases = sum(bought for _, bought in people.values())
    observed = [(float(bought), float(count - bought)) for count, bought in people.values()]
    expected = [
        (count * probability(bucket), count * (1 - probability(bucket))) for bucket, (count, _) in people.items()
    ]
    return Intent(
        sessions=sessions,
        purchases=purchases,
        bots=bots,
        base_rate=purchases / sessions if sessions else None,
        roc_auc=compute_roc_auc(observed),
        expected_roc_auc=compute_roc_auc(expected),
        roc_auc_admitted=compute_roc_auc([(0.0, float(bots)), *observed]),
        buckets={str(bucket): counts for bucket, counts in sorted(buckets.items())},
    )


def compute_roc_auc(ranked: Iterable[tuple[float, float]]) -> float | None:
    """Return the ROC-AUC of (positives, negatives) counts in rising order of score; None without both classes."""
    below = positives = negatives = pairs = 0.0
    for yes, no in ranked:
        pairs += yes * (below + no / 2)
        below += no
        positives += yes
        negatives += no
    return pairs / (positives * negatives) if positives and negatives else None
