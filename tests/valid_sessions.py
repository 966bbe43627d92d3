"""Admitted sessions for tests: one complete record with changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from include.contracts.session import Device, Location, Purchase, ValidSession, View

STARTED = datetime(2026, 11, 23, 8, 15, 30, 250_000, tzinfo=UTC)


def viewed(**changes: Any) -> View:
    """Return one viewed product."""
    fields: dict[str, Any] = {
        "product_id": "p01",
        "name": "Sofa",
        "category": "living_room",
        "price": 5000.0,
        "seconds": 41,
        "review": "Lovely, well built.",
    }
    return View(**(fields | changes))


def valid_session(**changes: Any) -> ValidSession:
    """Return a session as it leaves the gate; end, arrival and categories are derived from the other fields."""
    started: datetime = changes.get("started_at", STARTED)
    views: list[View] = changes.get("views", [viewed()])
    seconds: int = changes.get("duration_s", 214)
    fields: dict[str, Any] = {
        "v": 1,
        "session_id": "s-20261123-000001",
        "user_id": "5f2b" * 8,
        "started_at": started,
        "ended_at": started + timedelta(seconds=seconds),
        "received_at": started + timedelta(seconds=seconds + 1),
        "duration_s": seconds,
        "gender": "f",
        "returning": False,
        "network": "203.0.113.0/24",
        "device": Device(type="mobile", os="iOS", browser="Safari"),
        "location": Location(country="US", state="CA", city="San Jose", zip="95112"),
        "referrer": "google",
        "page_views": 4,
        "clicks": 17,
        "views": views,
        "categories": list(dict.fromkeys(view.category for view in views if view.category)),
        "last_action": "add_to_cart",
        "exit_page": "/cart",
        "purchase": Purchase(made=False, amount=0.0, payment=None),
    }
    return ValidSession(**(fields | changes))


def encoded(session: ValidSession) -> bytes:
    """Return the record's bytes in `sessions.valid`."""
    return msgspec.json.encode(session)


def expected_kpis(sessions: list[ValidSession], lateness_threshold_s: int) -> dict[str, dict[str, Any]]:
    """Return the expected rows of `kpi_minute` by id, counted one by one."""
    groups: dict[str, list[ValidSession]] = {}
    for session in sessions:
        minute = f"{session.started_at.astimezone(UTC):%Y-%m-%dT%H:%M:00Z}"
        day = f"{session.received_at.astimezone(UTC):%Y-%m-%d}"
        for category in {*session.categories, "all"}:
            groups.setdefault(f"{minute}|{category}|{day}", []).append(session)
    return {identity: _kpi(identity, members, lateness_threshold_s) for identity, members in groups.items()}


def _kpi(identity: str, members: list[ValidSession], lateness_threshold_s: int) -> dict[str, Any]:
    minute, rest = identity.split("|", 1)
    category, day = rest.rsplit("|", 1)
    purchases = sum(member.purchase.made for member in members)
    seconds = sum(member.duration_s for member in members)
    return {
        "minute": minute,
        "category": category,
        "arrival_date": day,
        "sessions": len(members),
        "users": len({member.user_id for member in members}),
        "purchases": purchases,
        "revenue": round(sum(round(member.purchase.amount * 100) for member in members) / 100, 2),
        "duration_s": seconds,
        "mean_duration_s": seconds / len(members),
        "conversion": purchases / len(members),
        "late_sessions": sum(
            int((member.received_at - member.ended_at).total_seconds()) > lateness_threshold_s for member in members
        ),
    }
