"""Reference rows of each panel, by the panel's id."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from tests.panel_reference import (
    LATE_AFTER_S,
    ProductView,
    Rows,
    Selection,
    by_sentiment,
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


def payments(selection: Selection) -> Rows:
    paid = dict.fromkeys(("credit card", "PayPal", "other", "not collected", "abandoned"), 0)
    names = {"credit_card": "credit card", "paypal": "PayPal", "other": "other", None: "not collected"}
    for session in selection.sessions:
        if session.purchase.made:
            paid[names[session.purchase.payment]] += 1
        elif session.last_action == "checkout":
            paid["abandoned"] += 1
    return [list(pair) for pair in paid.items()]


def funnel(selection: Selection) -> Rows:
    steps = {"view": 0, "cart": 0, "checkout": 0, "purchase": 0}
    for session in selection.sessions:
        bought, last = session.purchase.made, session.last_action
        cart = bought or last in ACTIONS_ON_THE_WAY
        steps["view"] += cart or bool(session.views)
        steps["cart"] += cart
        steps["checkout"] += bought or last == "checkout"
        steps["purchase"] += bought
    return [list(pair) for pair in steps.items()]


def week(selection: Selection) -> Rows:
    rows: Rows = []
    for day, sessions in sorted(grouped(selection.sessions, lambda session: [session.started_at.isoweekday()]).items()):
        rows += prefixed(day, table(sorted(grouped(sessions, lambda session: [session.started_at.hour]).items()), len))
    return rows


def together(selection: Selection) -> Rows:
    def products(session: Any) -> list[str]:
        return [view.product_id for view in session.views]

    rows: Rows = []
    for product, sessions in most(grouped(selection.sessions, products), 12):
        rows += prefixed(product, table(most(grouped(sessions, products), 12), len))
    return rows


def interest(selection: Selection) -> Rows:
    rows: Rows = []
    for category, product_views in most(
        grouped(selection.product_views, lambda product_view: [product_view.view.category]), 8
    ):
        rows += prefixed(
            category, selection.over_time(product_views, lambda product_view: product_view.session.started_at, len)
        )
    return rows


def products(selection: Selection) -> Rows:
    def bought(product_views: Sequence[ProductView]) -> list[ProductView]:
        return [product_view for product_view in product_views if product_view.session.purchase.made]

    measures: list[Callable[[Sequence[ProductView]], float | None]] = [
        len,
        lambda product_views: users([product_view.session for product_view in product_views]),
        lambda product_views: mean([product_view.view.seconds for product_view in product_views]),
        lambda product_views: ratio(len(bought(product_views)), len(product_views)),
        lambda product_views: sum(product_view.view.price or 0 for product_view in bought(product_views)),
    ]
    rows: Rows = []
    for product, product_views in most(
        grouped(selection.product_views, lambda product_view: [product_view.view.product_id]), 20
    ):
        rows += prefixed(
            product, table(most(grouped(product_views, lambda product_view: [product_view.name]), 1), *measures)
        )
    return rows


def categories(selection: Selection) -> Rows:
    groups = grouped(selection.every, lambda session: session.categories)
    return table(most(groups, 20), len, purchases, conversion, sales)


def loyalty(selection: Selection) -> Rows:
    rows: Rows = []
    for name, returning in (("new", False), ("returning", True)):
        sessions = [session for session in selection.sessions if session.returning == returning]
        rows += prefixed(name, selection.over_time(sessions, started, len))
    return rows


def late(selection: Selection) -> int:
    delays = [int((session.received_at - session.ended_at).total_seconds()) for session in selection.every]
    return sum(delay > LATE_AFTER_S for delay in delays)


def stages(selection: Selection) -> Rows:
    rows: Rows = []
    for stage, events in most(grouped(selection.kind("stage"), lambda event: [event.stage]), 10, values):
        names = grouped(events, lambda event: [event.name])
        rows += prefixed(stage, table(most(names, 10, values), values, highest_total))
    return rows


def scores(selection: Selection) -> float | None:
    return mean([selection.day.scores[product_view.review] for product_view in selection.reviews])


METRICS: dict[str, Callable[[Selection], float | None]] = {
    "shop-sessions": lambda selection: len(selection.sessions),
    "shop-users": lambda selection: users(selection.sessions),
    "shop-purchases": lambda selection: purchases(selection.sessions),
    "shop-sales": lambda selection: sales(selection.sessions),
    "shop-conversion": lambda selection: conversion(selection.sessions),
    "shop-duration": lambda selection: mean([session.duration_s for session in selection.sessions]),
    "products-views": lambda selection: len(selection.product_views),
    "products-seen": lambda selection: len({product_view.view.product_id for product_view in selection.product_views}),
    "products-reviews": lambda selection: len(selection.reviews),
    "products-mood": scores,
    "customers-users": lambda selection: users(selection.sessions),
    "customers-returning": lambda selection: ratio(
        sum(session.returning for session in selection.sessions), len(selection.sessions)
    ),
    "customers-visits": lambda selection: ratio(len(selection.sessions), users(selection.sessions)),
    "customers-buyers": lambda selection: users(selection.buyers),
    "pipeline-searchable": lambda selection: len(selection.every),
    "pipeline-late": late,
    "pipeline-rejects": lambda selection: values(selection.kind("rejected")),
    "pipeline-dead": lambda selection: values(selection.kind("dead_letter")),
    "pipeline-lag-most": lambda selection: highest(selection.kind("lag")),
    "pipeline-alerts-fired": lambda selection: len(selection.kind("alert")),
}
"""Panels of one metric."""

TABLES: dict[str, Callable[[Selection], Rows]] = {
    "shop-traffic": lambda selection: selection.over_time(selection.sessions, started, len, purchases),
    "shop-sales-time": lambda selection: selection.over_time(selection.sessions, started, sales),
    "shop-payment": payments,
    "shop-categories": lambda selection: table(
        most(grouped(selection.buyers, lambda session: session.categories), 10), len
    ),
    "shop-funnel": funnel,
    "shop-week": week,
    "products-interest": interest,
    "products-together": together,
    "products-sentiment": lambda selection: by_sentiment(selection, lambda product_view: [product_view.name], 12),
    "products-sentiment-categories": lambda selection: by_sentiment(
        selection, lambda product_view: [product_view.view.category], 12
    ),
    "products-table": products,
    "products-categories": categories,
    "customers-loyalty": loyalty,
    "customers-devices": lambda selection: table(
        most(grouped(selection.sessions, lambda session: [session.device.type]), 6), len
    ),
    "customers-referrers": lambda selection: table(
        most(grouped(selection.sessions, lambda session: [session.referrer]), 8), len, purchases
    ),
    "customers-states": lambda selection: table(
        most(grouped(selection.sessions, lambda session: [session.location.state]), 20), len, users, conversion, sales
    ),
    "pipeline-stages": lambda selection: event_lines(selection, "stage", values, 10),
    "pipeline-lag": lambda selection: event_lines(selection, "lag", highest, 10),
    "pipeline-reasons": lambda selection: event_lines(selection, "rejected", values, 20),
    "pipeline-decisions": lambda selection: event_lines(selection, "decision", len, 6),
    "pipeline-refusals": lambda selection: event_lines(selection, "dead_letter", values, 10),
    "pipeline-table": stages,
}
"""Panels with groups."""

Dated = tuple[datetime, list[Any]]


def _events(selection: Selection, kind: str, *names: str) -> list[Dated]:
    return [(event.at, [getattr(event, name) for name in names]) for event in selection.kind(kind)]


DOCUMENTS: dict[str, tuple[int, Callable[[Selection], list[Dated]]]] = {
    "products-newest-reviews": (
        25,
        lambda selection: [
            (
                product_view.session.started_at,
                [product_view.name, selection.day.scores[product_view.review], product_view.review],
            )
            for product_view in selection.reviews
        ],
    ),
    "customers-potential": (
        50,
        lambda selection: [
            (
                product_view.session.started_at,
                [
                    product_view.session.user_id,
                    product_view.session.last_action,
                    product_view.name,
                    product_view.view.seconds,
                    product_view.session.purchase.made,
                ],
            )
            for product_view in selection.product_views
        ],
    ),
    "pipeline-reconciliations": (
        25,
        lambda selection: _events(selection, "reconciliation", "stage", "name", "value", "total", "detail"),
    ),
    "pipeline-alerts": (25, lambda selection: _events(selection, "alert", "stage", "name", "detail")),
}
"""Panels of the newest documents: their number, and all documents with their times."""

NOT_COMPARED = {"products-newest-reviews": ("label",)}
"""Columns that are not compared: a label is a prediction, the reference is the generated sentiment."""

__all__ = ["DOCUMENTS", "METRICS", "NOT_COMPARED", "TABLES", "Dated"]
