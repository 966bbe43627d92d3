"""Raw sessions for tests: a complete record with replaceable fields."""

import json
from typing import Any

ARRIVED_MS = 1_795_421_800_000  # 2026-11-23T08:16:40Z


def view(**changes: Any) -> dict[str, Any]:
    """Return a viewed product with replaced fields."""
    return {
        "product_id": "p01",
        "name": "Sofa",
        "category": "living_room",
        "price": 5000.0,
        "seconds": 41,
        "review": "Lovely, well built.",
    } | changes


def raw_session(**changes: Any) -> dict[str, Any]:
    """Return a valid session with replaced top-level fields."""
    session: dict[str, Any] = {
        "v": 1,
        "session_id": "s-20261123-000001",
        "user_id": "u-4711",
        "started_at": "2026-11-23T08:15:30.250Z",
        "duration_s": 214,
        "user": {"name": "Ada Example", "email": "ada@example.com", "gender": "f"},
        "ip": "203.0.113.7",
        "device": {"type": "mobile", "os": "iOS", "browser": "Safari"},
        "location": {"country": "US", "state": "CA", "city": "San Jose", "zip": "95112"},
        "referrer": "google",
        "page_views": 4,
        "clicks": 17,
        "views": [view()],
        "last_action": "add_to_cart",
        "exit_page": "/cart",
        "purchase": {"made": False, "amount": 0.0, "payment": None},
    }
    return session | changes


def encoded(**changes: Any) -> bytes:
    """Return a session with replaced fields as JSON bytes."""
    return json.dumps(raw_session(**changes)).encode()
