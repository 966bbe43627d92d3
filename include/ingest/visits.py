"""One customer's visit to the shop as a session record, with its ground truth."""

from bisect import bisect
from math import exp, log
from random import Random
from typing import NamedTuple

from include.contracts.session import Device, LastAction, Payment, Purchase, Referrer, Session, View
from include.ingest.catalogue import CATEGORIES, PRODUCTS, PRODUCTS_IN_CATEGORY, RELATED_PRODUCTS
from include.ingest.plan import instant
from include.ingest.population import REFERRERS, Profile, cumulative
from include.ingest.purchase_model import MAX_BUCKET, PROBABILITY, Behaviour, logit_bucket
from include.ingest.reviews import Sentiment, write_review
from include.ingest.seasonality import local_hour, weekday

SECOND_US = 1_000_000
MAX_DURATION_S = 3_600
MAX_VIEWED = 6
REVIEW_SHARE = 0.31
NEUTRAL_SHARE = 0.2
SECOND_DEVICE_SHARE = 0.15
STAY_IN_BUNDLE_SHARE = 0.55
STAY_IN_CATEGORY_SHARE = 0.8
MULTI_PRODUCT_SHARE = 0.5

_ENDINGS: tuple[tuple[LastAction, str | None], ...] = (
    ("view_item", None),
    ("search", "/search"),
    ("add_to_cart", "/cart"),
    ("checkout", "/checkout"),
)
_ENDING_TABLE = cumulative([0.5, 0.2, 0.2, 0.1])
_PAYMENTS: tuple[Payment, ...] = ("credit_card", "paypal", "other")
_PAYMENT_TABLE = cumulative([0.62, 0.28, 0.1])
_NO_PURCHASE = Purchase(made=False, amount=0.0, payment=None)
_VIEWED_TABLE = (0.36, 0.66, 0.84, 0.93, 0.975)


class Engagement(NamedTuple):
    """Depth of a visit: drawn first, because it determines when the visit must have begun."""

    engagement: float
    page_views: int
    viewed: int
    duration_s: int


class Visit(NamedTuple):
    """A session with ground truth that only the generator has: logit bucket and the sentiment of each review."""

    session: Session
    bucket: int
    sentiments: tuple[Sentiment, ...]


def draw_engagement(rng: Random, profile: Profile) -> Engagement:
    """Draw depth and duration of one visit; at least 6 seconds per page, an hour at most."""
    engagement = rng.gauss(profile.engagement, 0.9)
    page_views = max(1, min(40, int(exp(1.4 + 0.45 * engagement + rng.gauss(0.0, 0.3)))))
    deep = rng.random() + 0.08 * engagement
    viewed = min(1 + bisect(_VIEWED_TABLE, deep), MAX_VIEWED, page_views)
    per_page = exp(3.2 + 0.3 * engagement + rng.gauss(0.0, 0.45))
    duration = int(page_views * max(per_page, 6.0))
    return Engagement(engagement, page_views, viewed, min(duration, MAX_DURATION_S))


def build_visit(rng: Random, profile: Profile, depth: Engagement, session_id: str, started_us: int) -> Visit:
    """Build the session of `profile` that began at `started_us` with the given depth."""
    rand = rng.random
    mobile_turn = rand() < SECOND_DEVICE_SHARE
    device: Device = profile.devices[mobile_turn]
    referrer: Referrer = REFERRERS[bisect(profile.referrers, rand())]
    clicks = min(int(depth.page_views * (1.0 + 2.4 * rand() + max(0.0, 0.35 * depth.engagement))), depth.duration_s)
    viewed = _browse(rng, profile, depth.viewed)
    views, sentiments = _build_views(rng, profile, depth, viewed)
    bucket = logit_bucket(
        Behaviour(
            duration_s=depth.duration_s,
            page_views=depth.page_views,
            clicks=clicks,
            products=len(viewed),
            categories=len({PRODUCTS[index].category for index in viewed}),
            max_price=max(PRODUCTS[index].price for index in viewed),
            device=device.type,
            referrer=referrer,
            hour=local_hour(started_us, profile.offset_h),
            weekday=weekday(started_us),
            loyalty=profile.loyalty,
            reviews=sentiments,
        )
    )
    made = rand() < PROBABILITY[bucket + MAX_BUCKET]
    purchase, last_action, exit_page = _draw_outcome(rng, made, viewed)
    session = Session(
        v=1,
        session_id=session_id,
        user_id=profile.user_id,
        started_at=instant(started_us),
        duration_s=depth.duration_s,
        user=profile.user,
        ip=profile.addresses[device.type == "mobile"],
        device=device,
        location=profile.location,
        referrer=referrer,
        page_views=depth.page_views,
        clicks=clicks,
        views=views,
        last_action=last_action,
        exit_page=exit_page,
        purchase=purchase,
    )
    return Visit(session, bucket, sentiments)


def _browse(rng: Random, profile: Profile, viewed: int) -> list[int]:
    """Draw distinct products in viewing order: sets that belong together, then the same category, then others."""
    rand = rng.random
    category = bisect(profile.affinity, rand())
    results = [PRODUCTS_IN_CATEGORY[category][int(rand() * len(PRODUCTS_IN_CATEGORY[category]))]]
    while len(results) < viewed:
        if rand() < STAY_IN_BUNDLE_SHARE:
            beside = RELATED_PRODUCTS[results[-1]]
            candidate = beside[int(rand() * len(beside))]
        else:
            if rand() > STAY_IN_CATEGORY_SHARE:
                category = int(rand() * len(CATEGORIES))
            inside = PRODUCTS_IN_CATEGORY[category]
            candidate = inside[int(rand() * len(inside))]
        if candidate in results:
            category = (category + 1) % len(CATEGORIES)
            candidate = next((index for index in PRODUCTS_IN_CATEGORY[category] if index not in results), candidate)
            if candidate in results:
                continue
        results.append(candidate)
    return results


def _build_views(
    rng: Random, profile: Profile, depth: Engagement, viewed: list[int]
) -> tuple[list[View], tuple[Sentiment, ...]]:
    """Return the viewed products with durations and occasional reviews, and the reviews' sentiments."""
    rand = rng.random
    share = depth.duration_s / depth.page_views
    views: list[View] = []
    sentiments: list[Sentiment] = []
    for index in viewed:
        product = PRODUCTS[index]
        review = None
        if rand() < REVIEW_SHARE:
            sentiment = _draw_sentiment(rng, product.quality, profile.critical)
            sentiments.append(sentiment)
            review = write_review(sentiment, product.name.lower(), rand)
        seconds = int(share * (0.4 + 0.6 * rand()))
        views.append(
            View(
                product_id=product.product_id,
                name=product.name,
                category=product.category,
                price=float(product.price),
                seconds=seconds,
                review=review,
            )
        )
    return views, tuple(sentiments)


def _draw_sentiment(rng: Random, quality: float, critical: float) -> Sentiment:
    draw = rng.random()
    if draw < NEUTRAL_SHARE:
        return "neutral"
    return "positive" if rng.random() < quality * (1.25 - 0.5 * critical) else "negative"


def _draw_outcome(rng: Random, made: bool, viewed: list[int]) -> tuple[Purchase, LastAction, str]:
    """Build the fields that follow the outcome, and none that precede it."""
    rand = rng.random
    if not made:
        action, page = _ENDINGS[bisect(_ENDING_TABLE, rand())]
        return _NO_PURCHASE, action, page or f"/product/{PRODUCTS[viewed[-1]].product_id}"
    bought = (
        viewed[: 1 + int(rand() * len(viewed))] if rand() < MULTI_PRODUCT_SHARE else [viewed[int(rand() * len(viewed))]]
    )
    amount = sum(PRODUCTS[index].price * (1 + int(rand() * PRODUCTS[index].units)) for index in bought)
    payment = _PAYMENTS[bisect(_PAYMENT_TABLE, rand())]
    return Purchase(made=True, amount=float(amount), payment=payment), "checkout", "/order/confirmation"


def draw_delivery_delay_us(rng: Random) -> int:
    """Draw the delay from a visit's end to its arrival at the broker: 0.2 s to a few seconds."""
    return int((0.2 - 0.6 * log(1.0 - rng.random())) * SECOND_US)
