"""Panel by panel: the rows it must show, by the name it has on its dashboard."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from tests.panel_truths import (
    LATE_AFTER_S,
    Look,
    Rows,
    Shown,
    by_mood,
    conversion,
    event_lines,
    grouped,
    highest,
    highest_total,
    mean,
    most,
    prefixed,
    purchases,
    ratio,
    sales,
    started,
    table,
    users,
    values,
)

ACTIONS_ON_THE_WAY = ("add_to_cart", "checkout")


def payments(shown: Shown) -> Rows:
    paid = {name: 0 for name in ("credit card", "PayPal", "other", "not collected", "abandoned")}
    names = {"credit_card": "credit card", "paypal": "PayPal", "other": "other", None: "not collected"}
    for session in shown.sessions:
        if session.purchase.made:
            paid[names[session.purchase.payment]] += 1
        elif session.last_action == "checkout":
            paid["abandoned"] += 1
    return [list(pair) for pair in paid.items()]


def funnel(shown: Shown) -> Rows:
    steps = {"view": 0, "cart": 0, "checkout": 0, "purchase": 0}
    for session in shown.sessions:
        bought, last = session.purchase.made, session.last_action
        cart = bought or last in ACTIONS_ON_THE_WAY
        steps["view"] += cart or bool(session.views)
        steps["cart"] += cart
        steps["checkout"] += bought or last == "checkout"
        steps["purchase"] += bought
    return [list(pair) for pair in steps.items()]


def week(shown: Shown) -> Rows:
    rows: Rows = []
    for day, sessions in sorted(grouped(shown.sessions, lambda one: [one.started_at.isoweekday()]).items()):
        rows += prefixed(day, table(sorted(grouped(sessions, lambda one: [one.started_at.hour]).items()), len))
    return rows


def together(shown: Shown) -> Rows:
    def products(session: Any) -> list[str]:
        return [view.product_id for view in session.views]

    rows: Rows = []
    for product, sessions in most(grouped(shown.sessions, products), 12):
        rows += prefixed(product, table(most(grouped(sessions, products), 12), len))
    return rows


def interest(shown: Shown) -> Rows:
    rows: Rows = []
    for category, looks in most(grouped(shown.looks, lambda look: [look.view.category]), 8):
        rows += prefixed(category, shown.over_time(looks, lambda look: look.session.started_at, len))
    return rows


def products(shown: Shown) -> Rows:
    def bought(looks: Sequence[Look]) -> list[Look]:
        return [look for look in looks if look.session.purchase.made]

    measures: list[Callable[[Sequence[Look]], float | None]] = [
        len,
        lambda looks: users([look.session for look in looks]),
        lambda looks: mean([look.view.seconds for look in looks]),
        lambda looks: ratio(len(bought(looks)), len(looks)),
        lambda looks: sum(look.view.price or 0 for look in bought(looks)),
    ]
    rows: Rows = []
    for product, looks in most(grouped(shown.looks, lambda look: [look.view.product_id]), 20):
        rows += prefixed(product, table(most(grouped(looks, lambda look: [look.name]), 1), *measures))
    return rows


def categories(shown: Shown) -> Rows:
    groups = grouped(shown.every, lambda session: session.categories)
    return table(most(groups, 20), len, purchases, conversion, sales)


def loyalty(shown: Shown) -> Rows:
    rows: Rows = []
    for name, returning in (("new", False), ("returning", True)):
        sessions = [session for session in shown.sessions if session.returning == returning]
        rows += prefixed(name, shown.over_time(sessions, started, len))
    return rows


def late(shown: Shown) -> int:
    delays = [int((session.received_at - session.ended_at).total_seconds()) for session in shown.every]
    return sum(delay > LATE_AFTER_S for delay in delays)


def stages(shown: Shown) -> Rows:
    rows: Rows = []
    for stage, events in most(grouped(shown.kind("stage"), lambda event: [event.stage]), 10, values):
        names = grouped(events, lambda event: [event.name])
        rows += prefixed(stage, table(most(names, 10, values), values, highest_total))
    return rows


def scores(shown: Shown) -> float | None:
    return mean([shown.day.scores[look.review] for look in shown.reviews])


FIGURES: dict[str, Callable[[Shown], float | None]] = {
    "shop-sessions": lambda shown: len(shown.sessions),
    "shop-users": lambda shown: users(shown.sessions),
    "shop-purchases": lambda shown: purchases(shown.sessions),
    "shop-sales": lambda shown: sales(shown.sessions),
    "shop-conversion": lambda shown: conversion(shown.sessions),
    "shop-duration": lambda shown: mean([session.duration_s for session in shown.sessions]),
    "products-views": lambda shown: len(shown.looks),
    "products-seen": lambda shown: len({look.view.product_id for look in shown.looks}),
    "products-reviews": lambda shown: len(shown.reviews),
    "products-mood": scores,
    "customers-users": lambda shown: users(shown.sessions),
    "customers-returning": lambda shown: ratio(sum(one.returning for one in shown.sessions), len(shown.sessions)),
    "customers-visits": lambda shown: ratio(len(shown.sessions), users(shown.sessions)),
    "customers-buyers": lambda shown: users(shown.buyers),
    "pipeline-searchable": lambda shown: len(shown.every),
    "pipeline-late": late,
    "pipeline-rejects": lambda shown: values(shown.kind("rejected")),
    "pipeline-dead": lambda shown: values(shown.kind("dead")),
    "pipeline-lag-most": lambda shown: highest(shown.kind("lag")),
    "pipeline-alarms-raised": lambda shown: len(shown.kind("alarm")),
}
"""Panels of one figure."""

TABLES: dict[str, Callable[[Shown], Rows]] = {
    "shop-traffic": lambda shown: shown.over_time(shown.sessions, started, len, purchases),
    "shop-sales-time": lambda shown: shown.over_time(shown.sessions, started, sales),
    "shop-payment": payments,
    "shop-categories": lambda shown: table(most(grouped(shown.buyers, lambda one: one.categories), 10), len),
    "shop-funnel": funnel,
    "shop-week": week,
    "products-interest": interest,
    "products-together": together,
    "products-sentiment": lambda shown: by_mood(shown, lambda look: [look.name], 12),
    "products-sentiment-categories": lambda shown: by_mood(shown, lambda look: [look.view.category], 12),
    "products-table": products,
    "products-categories": categories,
    "customers-loyalty": loyalty,
    "customers-devices": lambda shown: table(most(grouped(shown.sessions, lambda one: [one.device.type]), 6), len),
    "customers-referrers": lambda shown: table(
        most(grouped(shown.sessions, lambda one: [one.referrer]), 8), len, purchases
    ),
    "customers-states": lambda shown: table(
        most(grouped(shown.sessions, lambda one: [one.location.state]), 20), len, users, conversion, sales
    ),
    "pipeline-stages": lambda shown: event_lines(shown, "stage", values, 10),
    "pipeline-lag": lambda shown: event_lines(shown, "lag", highest, 10),
    "pipeline-reasons": lambda shown: event_lines(shown, "rejected", values, 20),
    "pipeline-decisions": lambda shown: event_lines(shown, "decision", len, 6),
    "pipeline-refusals": lambda shown: event_lines(shown, "dead", values, 10),
    "pipeline-table": stages,
}
"""Panels of groups."""

Dated = tuple[datetime, list[Any]]


def _events(shown: Shown, kind: str, *names: str) -> list[Dated]:
    return [(event.at, [getattr(event, name) for name in names]) for event in shown.kind(kind)]


DOCUMENTS: dict[str, tuple[int, Callable[[Shown], list[Dated]]]] = {
    "products-newest-reviews": (
        25,
        lambda shown: [
            (look.session.started_at, [look.name, shown.day.scores[look.review], look.review]) for look in shown.reviews
        ],
    ),
    "customers-potential": (
        50,
        lambda shown: [
            (
                look.session.started_at,
                [
                    look.session.user_id,
                    look.session.last_action,
                    look.name,
                    look.view.seconds,
                    look.session.purchase.made,
                ],
            )
            for look in shown.looks
        ],
    ),
    "pipeline-reconciliations": (
        25,
        lambda shown: _events(shown, "reconciled", "stage", "name", "value", "total", "detail"),
    ),
    "pipeline-alarms": (25, lambda shown: _events(shown, "alarm", "stage", "name", "detail")),
}
"""Panels of the newest documents: how many, and all of them with their times."""

NOT_TOLD = {"products-newest-reviews": ("label",)}
"""Columns of those that are told apart: a label is what the model found, its truth is what was meant."""

__all__ = ["DOCUMENTS", "FIGURES", "NOT_TOLD", "TABLES", "Dated"]
