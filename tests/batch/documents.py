"""Synthetic documents of the archive for the batch's tests."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from include.batch.window import Window

START = datetime(2026, 11, 9, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=14))
REVIEWS = (None, None, "I love it, wonderful.", "Terrible, a waste of money.", "It came on a Tuesday.")
CATEGORIES = {"p01": "living_room", "p04": "bedroom", "p07": "office", "p08": "office"}

Document = dict[str, Any]


def document(session: str = "s-1", **changes: Any) -> Document:
    """Return one archived session with every field; `changes` replace whole fields."""
    fields: Document = {
        "_id": session,
        "v": 1,
        "user_id": "5f2b" * 8,
        "started_at": START + timedelta(days=3, hours=8),
        "ended_at": START + timedelta(days=3, hours=8, seconds=214),
        "received_at": START + timedelta(days=3, hours=8, seconds=215),
        "duration_s": 214,
        "gender": "f",
        "returning": False,
        "network": "203.0.113.0/24",
        "device": {"type": "mobile", "os": "iOS", "browser": "Safari"},
        "location": {"country": "US", "state": "CA", "city": "San Jose", "zip": "95112"},
        "referrer": "google",
        "page_views": 4,
        "clicks": 17,
        "views": [view()],
        "categories": ["living_room"],
        "last_action": "add_to_cart",
        "exit_page": "/cart",
        "purchase": {"made": False, "amount": 0.0, "payment": None},
    }
    return fields | changes


def view(product: str = "p01", **changes: Any) -> Document:
    """Return one viewed product."""
    fields: Document = {
        "product_id": product,
        "name": "Sofa",
        "category": CATEGORIES.get(product),
        "price": 5000.0,
        "seconds": 41,
        "review": None,
    }
    return fields | changes


def shop(sessions: int, users: int, seed: int = 1) -> list[Document]:
    """Return random visits in `WINDOW`; longer visits by desktop end in a purchase more often."""
    rng = Random(seed)
    return [_visit(rng, f"s-{number:06d}", f"{rng.randrange(users):032x}") for number in range(sessions)]


def _visit(rng: Random, session: str, user: str) -> Document:
    started = START + timedelta(milliseconds=rng.randrange(14 * 86_400_000))
    seconds = rng.randrange(5, 1_800)
    device = rng.choice(("mobile", "desktop", "unknown"))
    views = [view(product, review=rng.choice(REVIEWS)) for product in rng.sample(list(CATEGORIES), rng.randrange(4))]
    made = rng.random() < 0.1 + 0.3 * (seconds > 900) + 0.2 * (device == "desktop")
    return document(
        session,
        user_id=user,
        started_at=started,
        ended_at=started + timedelta(seconds=seconds),
        duration_s=seconds,
        device={"type": device, "os": None, "browser": None},
        page_views=rng.choice((None, 0, 3, 12)),
        clicks=rng.choice((None, 0, 5, 40)),
        views=views,
        categories=list(dict.fromkeys(one["category"] for one in views)),
        last_action="checkout" if made else "search",
        purchase={"made": made, "amount": 500.0 * made, "payment": "paypal" if made else None},
    )


def chunks(documents: Sequence[Document], size: int) -> Iterator[Sequence[Document]]:
    """Yield the documents in their order, `size` at a time."""
    return (documents[at : at + size] for at in range(0, len(documents), size))
