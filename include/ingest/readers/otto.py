"""OTTO shop events: JSON lines, one session per line, `{"session": 1, "events": [{"aid", "ts", "type"}]}`.

A line is a visit, and its session the user, who occurs only once. Clicks are page views of a product. Carts and orders
have no price, so the amount is 0. A line that exceeds the contract's limits for one visit (seven days, 2,000 views) is
split at pauses of half an hour, and counted as `split`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from include.contracts.session import MAX_VIEWS, LastAction, View
from include.ingest.readers.lines import Line, ReaderStats
from include.ingest.readers.visit import INACTIVITY_GAP, MAX_VISIT_DURATION, LoggedVisit, OpenVisit

ACTIONS: dict[str, LastAction] = {"clicks": "view_item", "carts": "add_to_cart", "orders": "checkout"}
_LATEST_MS = 4_102_444_800_000


class Event(Struct, frozen=True, gc=False):
    """One event; `ts` in milliseconds since 1970, before 2100."""

    aid: Annotated[int, Meta(ge=0)]
    ts: Annotated[int, Meta(ge=0, lt=_LATEST_MS)]
    type: Literal["clicks", "carts", "orders"]


class Entry(Struct, frozen=True, gc=False):
    """One line."""

    session: Annotated[int, Meta(ge=0)]
    events: Annotated[list[Event], Meta(min_length=1)]


_decoder = msgspec.json.Decoder(Entry)


def matches(first: str) -> bool:
    """Return whether a first line is a JSON object with `session` and `events`."""
    try:
        result = msgspec.json.decode(first)
    except msgspec.DecodeError:
        return False
    return isinstance(result, dict) and {"session", "events"} <= set(result)


def read(lines: Iterator[Line], stats: ReaderStats) -> Iterator[LoggedVisit]:
    """Yield the visits of the log, in its order."""
    for line in lines:
        stats.lines += 1
        if line.text is None:
            stats.reject(line.number, line.error_reason)
            continue
        try:
            entry = _decoder.decode(line.text)
        except msgspec.DecodeError as error:
            stats.reject(line.number, str(error))
            continue
        parts = _split(sorted(entry.events, key=lambda event: event.ts))
        stats.counts["split"] += len(parts) - 1
        for location, events in enumerate(parts):
            yield _visit(entry.session, events, location if len(parts) > 1 else None)


def _split(events: list[Event]) -> list[list[Event]]:
    """Yield the events as one visit if it is within the contract's limits, otherwise as several."""
    long = events[-1].ts - events[0].ts >= MAX_VISIT_DURATION.total_seconds() * 1_000
    if not long and len(events) <= MAX_VIEWS:
        return [events]
    parts = [[events[0]]]
    for previous, event in pairwise(events):
        if event.ts - previous.ts > INACTIVITY_GAP.total_seconds() * 1_000 or len(parts[-1]) == MAX_VIEWS:
            parts.append([])
        parts[-1].append(event)
    return parts


def _visit(session: int, events: list[Event], part: int | None) -> LoggedVisit:
    first = datetime.fromtimestamp(events[0].ts / 1_000, UTC)
    visit = OpenVisit(f"otto-{session}", first)
    visit.extend(datetime.fromtimestamp(events[-1].ts / 1_000, UTC))
    visit.views = [
        View(product_id=str(event.aid), name=None, category=None, price=None, seconds=None, review=None)
        for event in events
        if event.type == "clicks"
    ]
    visit.page_views = len(visit.views)
    visit.last_action = ACTIONS[events[-1].type]
    visit.made = any(event.type == "orders" for event in events)
    name = f"otto-{session}" if part is None else f"otto-{session}-{part}"
    return visit.close(name, duration_s=visit.duration_s)
