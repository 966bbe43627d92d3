"""Planted intent: the record's own words lead to the outcome, and nothing after it leaks in."""

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
    LIMIT,
    NEVER,
    POST_OUTCOME_FIELDS,
    STEP,
    Behaviour,
    bucket,
    describe,
    probability,
)
from include.ingest.visits import attention, visit

EVENING = microseconds(datetime(2026, 11, 21, 20, 0, tzinfo=UTC))
PEOPLE = Population(3, 5_000, 10.0)
LOOKING = Behaviour(
    duration_s=120,
    page_views=4,
    clicks=9,
    products=2,
    categories=1,
    dearest=1_000,
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
        made = visit(rng, profile, attention(rng, profile), f"s-{number}", EVENING)
        results.append((made.session, made.step))
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
def test_what_speaks_for_a_purchase_raises_the_logit(more: dict[str, Any]) -> None:
    assert bucket(LOOKING._replace(**more)) > bucket(LOOKING)


@pytest.mark.parametrize("less", [{"categories": 2}, {"dearest": 5_000}, {"reviews": ("negative",)}])
def test_what_speaks_against_lowers_it(less: dict[str, Any]) -> None:
    assert bucket(LOOKING._replace(**less)) < bucket(LOOKING)


def test_outcomes_follow_the_probability_in_every_range() -> None:
    bins: dict[int, list[float]] = defaultdict(list)
    for session, step in visits(20_000):
        bins[int(probability(step) * 5)].append(session.purchase.made - probability(step))
    for _, errors in sorted(bins.items()):
        if len(errors) > 200:
            assert abs(sum(errors) / len(errors)) < 3 * 0.5 / len(errors) ** 0.5


def test_fields_after_the_outcome_are_those_that_differ_only_by_it() -> None:
    names = {path.split(".")[0] for path in POST_OUTCOME_FIELDS}
    assert names == {"purchase", "last_action", "exit_page"}
    for session, _ in visits(300):
        plain = msgspec.to_builtins(session)
        assert (plain["exit_page"] == "/order/confirmation") == session.purchase.made
        assert session.purchase.payment is None or session.purchase.made


def test_bots_count_apart_and_never_buy() -> None:
    message = describe({NEVER: (50, 0), -100: (100, 10), 50: (20, 15)})
    assert (message.sessions, message.purchases, message.bots) == (120, 25, 50)
    assert message.roc_auc is not None
    assert message.roc_auc_admitted is not None
    assert message.roc_auc_admitted > message.roc_auc
    assert probability(NEVER) == 0.0
    assert probability(0) == 0.5
    assert probability(LIMIT) == pytest.approx(1 / (1 + 2.718281828459045 ** (-LIMIT * STEP)))


def test_without_purchases_there_is_no_area() -> None:
    message = describe({-100: (5, 0)})
    assert message.roc_auc is None
    assert message.base_rate == 0.0
    assert describe({}).base_rate is None
