"""Documents of a small shop for the pages, made straight into the indices: sums are known, time is the caller's."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from elasticsearch import Elasticsearch, helpers

from include.contracts.documents import (
    KPI_ALL,
    Document,
    KpiMinute,
    ProductDetails,
    ProductSentiment,
    SentimentLabel,
    index_name,
)

ATTACK = "<script>alert(1)</script>"
PRODUCTS = (
    ("p01", "Sofa", "living_room", 5000.0),
    ("p02", "Coffee table", "living_room", 500.0),
    ("p03", "Accent chair", "living_room", 750.0),
    ("p04", "Bed", "bedroom", 4500.0),
    ("p05", "Bedside table", "bedroom", 590.0),
    ("p06", "Dresser", "bedroom", 1290.0),
    ("p07", "Desk", "office", 1150.0),
    ("p08", "Chair", "office", 899.0),
    ("p09", "Table", "dining_room", 2500.0),
    ("p10", ATTACK, f"{ATTACK}<b>bold</b>", 650.0),
)
REFERRERS = ("google",) * 5 + ("facebook",) * 2 + ("instagram", "partner", "direct", "direct")
DEVICES = ("mobile", "mobile", "mobile", "desktop", "desktop", "tablet")
MOODS: tuple[SentimentLabel, ...] = ("positive", "positive", "neutral", "negative")
Action = dict[str, Any]


def fill(client: Elasticsearch, now: datetime, sessions: int, hours: float = 24.0, seed: int = 7) -> None:
    """Index `sessions` sessions that started in the hours before `now`, with their rows in every index."""
    helpers.bulk(client, _actions(now, sessions, hours, random.Random(seed)), chunk_size=5_000, refresh=False)
    client.indices.refresh(index="session_summary,product_details,product_sentiment,kpi_minute")


def _actions(now: datetime, sessions: int, hours: float, chance: random.Random) -> Iterator[Action]:
    minutes: dict[tuple[datetime, str], dict[str, Any]] = {}
    for number in range(sessions):
        # The newest end just now, so that the shop looks alive.
        started = now - timedelta(seconds=5 + hours * 3600 * (number / sessions))
        views = chance.sample(PRODUCTS, k=1 + number % 3)
        amount = views[0][3] if number % 8 == 0 else 0.0
        session = _session(f"s-{number:08d}", f"u-{chance.randrange(sessions):08d}", started, amount, chance)
        yield _action("session_summary", started, session["session_id"], session)
        for position, (product_id, name, category, price) in enumerate(views):
            common = {name: session[name] for name in ("session_id", "user_id", "started_at")}
            common |= {"position": position, "product_id": product_id, "name": name, "category": category}
            shared = {name: session[name] for name in ("device_type", "country", "referrer", "purchase_made")}
            yield _row("product_details", ProductDetails(**common, **shared, price=price, seconds=30))
            if position == 0 and number % 5 == 0:
                mood = chance.choice(MOODS)
                yield _row("product_sentiment", ProductSentiment(**common, review="Well built.", label=mood, score=0.1))
        minute = started.replace(second=0, microsecond=0)
        for category in {KPI_ALL, *(view[2] for view in views)}:
            row = minutes.setdefault((minute, category), {"sessions": 0, "purchases": 0, "revenue": 0.0, "seconds": 0})
            row["sessions"] += 1
            row["purchases"] += amount > 0
            row["revenue"] += amount
            row["seconds"] += session["duration_s"]
    for (minute, category), row in minutes.items():
        yield _row("kpi_minute", _kpi(minute, category, row))


def _session(identity: str, user: str, started: datetime, amount: float, chance: random.Random) -> dict[str, Any]:
    seconds = chance.randrange(20, 600)
    return {
        "session_id": identity,
        "user_id": user,
        "started_at": started,
        "ended_at": started + timedelta(seconds=seconds),
        "received_at": started + timedelta(seconds=2),
        "duration_s": seconds,
        "device_type": chance.choice(DEVICES),
        "country": "US",
        "referrer": chance.choice(REFERRERS),
        "purchase_made": amount > 0,
        "purchase_amount": amount,
    }


def _kpi(minute: datetime, category: str, row: dict[str, Any]) -> KpiMinute:
    return KpiMinute(
        minute=minute,
        category=category,
        received_day=f"{minute:%Y-%m-%d}",
        sessions=row["sessions"],
        users=row["sessions"],
        purchases=row["purchases"],
        revenue=row["revenue"],
        duration_s=row["seconds"],
        mean_duration_s=row["seconds"] / row["sessions"],
        conversion=row["purchases"] / row["sessions"],
        late_sessions=0,
    )


def _row(alias: str, row: Document) -> Action:
    document = msgspec.to_builtins(row)
    at = row.minute if isinstance(row, KpiMinute) else row.started_at  # type: ignore[attr-defined]
    identity = (
        f"{document['minute']}|{document['category']}|{document['received_day']}"
        if isinstance(row, KpiMinute)
        else f"{document['session_id']}:{document['position']}"
    )
    return _action(alias, at, identity, document)


def _action(alias: str, at: datetime, identity: str, document: Any) -> Action:
    return {"_index": index_name(alias, at.astimezone(UTC)), "_id": identity, "_source": msgspec.to_builtins(document)}
