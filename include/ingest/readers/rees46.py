"""REES46 shop events: CSV, one event a line, in order of time.

`event_type` is view, cart, remove_from_cart or purchase. Events of one user and `user_session` make a
visit until it has been silent for half an hour; where `user_session` is empty, those of the user do. A
view is a page view and a viewed product (category: the code, name: not in the log), a purchase adds its
price to the amount.
"""

from collections.abc import Hashable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from include.contracts.session import LastAction, View
from include.ingest.readers.lines import BadLineError, Line, Notes, cells, rows
from include.ingest.readers.visit import (
    LoggedVisit,
    OpenVisit,
    OpenVisits,
    identifier,
    label,
    moment,
    money,
    stable_id,
)

COLUMNS = (
    *("event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price"),
    *("user_id", "user_session"),
)
ACTIONS: dict[str, LastAction] = {
    "view": "view_item",
    "cart": "add_to_cart",
    "remove_from_cart": "add_to_cart",
    "purchase": "checkout",
}


class Event(NamedTuple):
    """One checked line."""

    at: datetime
    kind: str
    product_id: str
    category: str | None
    price: Decimal | None
    user_id: str
    user_session: str


def recognises(first: str) -> bool:
    """Whether a first line names the columns of this format."""
    try:
        return set(COLUMNS) <= set(cells(first))
    except BadLineError:
        return False


def read(lines: Iterator[Line], notes: Notes) -> Iterator[LoggedVisit]:
    """The visits of the log, each handed out once it is over."""
    visits = OpenVisits(notes)
    for number, row in rows(lines, notes, COLUMNS):
        try:
            event = _event(row)
        except BadLineError as error:
            notes.reject(number, str(error))
            continue
        for key, over in visits.silent(event.at):
            yield _closed(key, over)
        try:
            yield from _enter(visits, event, notes)
        except BadLineError as error:
            notes.reject(number, str(error))
    for key, over in visits.rest():
        yield _closed(key, over)


def _event(row: list[str]) -> Event:
    at, kind, product_id, _, code, _, price, user_id, user_session = row
    if kind not in ACTIONS:
        raise BadLineError(f"has an unknown event_type: {kind[:40]!r}")
    return Event(
        at=moment(at, "event_time"),
        kind=kind,
        product_id=identifier(product_id, "product_id"),
        category=label(code, "category_code"),
        price=money(price, "price") if price else None,
        user_id=identifier(user_id, "user_id"),
        user_session=label(user_session, "user_session") or "",
    )


def _enter(visits: OpenVisits, event: Event, notes: Notes) -> Iterator[LoggedVisit]:
    """Add an event to its visit; hands out the one before it where the event begins another."""
    key = (event.user_id, event.user_session)
    visit = visits.find(key)
    if visit is not None and not visit.fits(event.at, visits.gap):
        notes.counts["split"] += 1
        yield _closed(key, visits.take(key))
        visit = visits.put(key, OpenVisit(event.user_id, event.at, part=visit.part + 1))
    elif visit is None:
        visit = visits.put(key, OpenVisit(event.user_id, event.at))
    if event.kind == "purchase":
        visit.pay(event.price or Decimal(0))
        visit.made = True
    visit.touch(event.at)
    visit.last_action = ACTIONS[event.kind]
    visit.page_views = visit.page_views or 0
    if event.kind == "view":
        visit.page_views += 1
        price = None if event.price is None else float(event.price)
        visit.views.append(
            View(
                product_id=event.product_id, name=None, category=event.category, price=price, seconds=None, review=None
            )
        )


def _closed(key: Hashable, visit: OpenVisit) -> LoggedVisit:
    """The visit under an id that follows from user, session and beginning, since a log's session may come back."""
    return visit.close(stable_id("rees46", key, visit.first.isoformat(), visit.part), duration_s=visit.seconds)
