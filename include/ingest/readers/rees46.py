"""REES46 shop events: CSV, one event per line, in order of time.

`event_type` is view, cart, remove_from_cart or purchase. Events of one user and `user_session` form a visit until a
pause of half an hour; if `user_session` is empty, all events of the user do. A view is a page view and a viewed product
with its category code and without a name. A purchase adds its price to the amount.
"""

from collections.abc import Hashable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from include.contracts.session import LastAction, View
from include.ingest.readers.lines import BadLineError, Line, ReaderStats, read_csv_rows, split_csv_line
from include.ingest.readers.visit import (
    LoggedVisit,
    OpenVisit,
    OpenVisits,
    parse_amount,
    parse_identifier,
    parse_label,
    parse_timestamp,
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
    """One validated line."""

    timestamp: datetime
    kind: str
    product_id: str
    category: str | None
    price: Decimal | None
    user_id: str
    user_session: str


def matches(first: str) -> bool:
    """Return whether a first line names the columns of this format."""
    try:
        return set(COLUMNS) <= set(split_csv_line(first))
    except BadLineError:
        return False


def read(lines: Iterator[Line], stats: ReaderStats) -> Iterator[LoggedVisit]:
    """Yield the visits of the log, each once it is over."""
    visits = OpenVisits(stats)
    for number, row in read_csv_rows(lines, stats, COLUMNS):
        try:
            event = _event(row)
        except BadLineError as error:
            stats.reject(number, str(error))
            continue
        for key, visit in visits.pop_expired(event.timestamp):
            yield _close(key, visit)
        try:
            yield from _enter(visits, event, stats)
        except BadLineError as error:
            stats.reject(number, str(error))
    for key, visit in visits.pop_all():
        yield _close(key, visit)


def _event(row: list[str]) -> Event:
    timestamp, kind, product_id, _, code, _, price, user_id, user_session = row
    if kind not in ACTIONS:
        raise BadLineError(f"has an unknown event_type: {kind[:40]!r}")
    return Event(
        timestamp=parse_timestamp(timestamp, "event_time"),
        kind=kind,
        product_id=parse_identifier(product_id, "product_id"),
        category=parse_label(code, "category_code"),
        price=parse_amount(price, "price") if price else None,
        user_id=parse_identifier(user_id, "user_id"),
        user_session=parse_label(user_session, "user_session") or "",
    )


def _enter(visits: OpenVisits, event: Event, stats: ReaderStats) -> Iterator[LoggedVisit]:
    """Add an event to its visit; yield the previous visit if the event begins another."""
    key = (event.user_id, event.user_session)
    visit = visits.get(key)
    if visit is not None and not visit.accepts(event.timestamp, visits.gap):
        stats.counts["split"] += 1
        yield _close(key, visits.pop(key))
        visit = visits.add(key, OpenVisit(event.user_id, event.timestamp, part=visit.part + 1))
    elif visit is None:
        visit = visits.add(key, OpenVisit(event.user_id, event.timestamp))
    if event.kind == "purchase":
        visit.add_amount(event.price or Decimal(0))
        visit.made = True
    visit.extend(event.timestamp)
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


def _close(key: Hashable, visit: OpenVisit) -> LoggedVisit:
    """Return the visit under an id derived from user, session and start, because a log may reuse a session."""
    return visit.close(stable_id("rees46", key, visit.first.isoformat(), visit.part), duration_s=visit.duration_s)
