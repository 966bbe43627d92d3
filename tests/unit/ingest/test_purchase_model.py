"""The purchase model: the record's fields predict the outcome, and no later field leaks it."""

from collections import defaultdict
from datetime import UTC, datetime
from random import Random
from typing import Any

import msgspec
import pytest

from include.contracts.session import Session
from include.ingest.plan import microseconds
from include.ingest.population import Population
from include.ingest.purchase_model import (
    BUCKET_WIDTH,
    MAX_BUCKET,
    NON_BUYER,
    POST_OUTCOME_FIELDS,
    Behaviour,
    describe,
    logit_bucket,
    probability,
)
from include.ingest.visits import build_visit, draw_engagement

EVENING = microseconds(datetime(2026, 11, 21, 20, 0, tzinfo=UTC))
PEOPLE = Population(3, 5_000, 10.0)
BASE_BEHAVIOUR = Behaviour(
    duration_s=120,
    page_views=4,
    clicks=9,
    products=2,
    categories=1,
    max_price=1_000,
    device="mobile",
    referrer="google",
    hour=12,
    weekday=1,
    loyalty=0,
    reviews=(),
)


def visits(count: int) -> list[tuple[Session, int]]:
    rng = Random(9)
    results = []
    for number in range(count):
        profile = PEOPLE.profile(PEOPLE.draw(rng.random()))
        generated = build_visit(rng, profile, draw_engagement(rng, profile), f"s-{number}", EVENING)
        results.append((generated.session, generated.bucket))
    return results


@pytest.mark.parametrize(
    "more",
    [
        {"duration_s": 600},
        {"page_views": 9, "clicks": 21},
        {"clicks": 14},
        {"products": 3},
        {"device": "desktop"},
        {"referrer": "direct"},
        {"hour": 20},
        {"weekday": 6},
        {"loyalty": 2},
        {"reviews": ("positive",)},
    ],
)
def test_logit_bucket_positive_term_raises_logit(more: dict[str, Any]) -> None:
    assert logit_bucket(BASE_BEHAVIOUR._replace(**more)) > logit_bucket(BASE_BEHAVIOUR)


@pytest.mark.parametrize("less", [{"categories": 2}, {"max_price": 5_000}, {"reviews": ("negative",)}])
def test_logit_bucket_negative_term_lowers_logit(less: dict[str, Any]) -> None:
    assert logit_bucket(BASE_BEHAVIOUR._replace(**less)) < logit_bucket(BASE_BEHAVIOUR)


def test_outcomes_follow_the_probability_in_every_range() -> None:
    bins: dict[int, list[float]] = defaultdict(list)
    for session, bucket in visits(20_000):
        bins[int(probability(bucket) * 5)].append(session.purchase.made - probability(bucket))
    for _, errors in sorted(bins.items()):
        if len(errors) > 200:
            assert abs(sum(errors) / len(errors)) < 3 * 0.5 / len(errors) ** 0.5


def test_post_outcome_fields_differ_by_outcome_only() -> None:
    names = {path.split(".")[0] for path in POST_OUTCOME_FIELDS}
    assert names == {"purchase", "last_action", "exit_page"}
    for session, _ in visits(300):
        plain = msgspec.to_builtins(session)
        assert (plain["exit_page"] == "/order/confirmation") == session.purchase.made
        assert session.purchase.payment is None or session.purchase.made


def test_describe_counts_bots_separately() -> None:
    message = describe({NON_BUYER: (50, 0), -100: (100, 10), 50: (20, 15)})
    assert (message.sessions, message.purchases, message.bots) == (120, 25, 50)
    assert message.roc_auc is not None
    assert message.roc_auc_admitted is not None
    assert message.roc_auc_admitted > message.roc_auc
    assert probability(NON_BUYER) == 0.0
    assert probability(0) == 0.5
    assert probability(MAX_BUCKET) == pytest.approx(1 / (1 + 2.718281828459045 ** (-MAX_BUCKET * BUCKET_WIDTH)))


def test_describe_without_purchases_has_no_roc_auc() -> None:
    message = describe({-100: (5, 0)})
    assert message.roc_auc is None
    assert message.base_rate == 0.0
    assert describe({}).base_rate is None
