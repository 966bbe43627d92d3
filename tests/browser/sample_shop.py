"""Index documents of a small sample shop with known sums, relative to a given time."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from elasticsearch import Elasticsearch, helpers

from include.contracts.index_documents import (
    INDICES,
    KPI_ALL,
    Document,
    KpiMinute,
    PipelineEvent,
    ProductDetails,
    ProductSentiment,
    SentimentLabel,
    index_name,
)

ATTACK = "<script>alert(1)</script>"
HOSTILE = f"{ATTACK}<b onmouseover=alert(2)>\"double\" 'single' & 🪑</b>"
LONG_REVIEW = (f"{ATTACK} Well built. " * 300)[:10_000]
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
    ("p10", ATTACK, HOSTILE, 650.0),
)
ACTIONS = ("view_item", "search", "add_to_cart", "checkout")
REFERRERS = ("google",) * 5 + ("facebook",) * 2 + ("instagram", "partner", "direct", "direct")
DEVICES = ("mobile", "mobile", "mobile", "desktop", "desktop", "tablet")
SENTIMENTS: tuple[SentimentLabel, ...] = ("positive", "positive", "neutral", "negative")
Action = dict[str, Any]


def fill(client: Elasticsearch, now: datetime, sessions: int, hours: float = 24.0, seed: int = 7) -> None:
    """Index `sessions` sessions that started in the hours before `now`, with their rows in every index."""
    helpers.bulk(client, _actions(now, sessions, hours, random.Random(seed)), chunk_size=5_000, refresh=False)
    helpers.bulk(client, (_event(event) for event in _events(now)))
    client.indices.refresh(index=",".join(INDICES))


def _actions(now: datetime, sessions: int, hours: float, rng: random.Random) -> Iterator[Action]:
    minutes: dict[tuple[datetime, str], dict[str, Any]] = {}
    for number in range(sessions):
        # The newest sessions end at `now`, so that the shop appears active.
        started = now - timedelta(seconds=5 + hours * 3600 * (number / sessions))
        views = rng.sample(PRODUCTS, k=1 + number % 3)
        amount = views[0][3] if number % 8 == 0 else 0.0
        session = _session(f"s-{number:08d}", f"u-{rng.randrange(sessions):08d}", started, amount, rng)
        session |= {"viewed_products": [view[0] for view in views], "categories": sorted({view[2] for view in views})}
        yield _action("session_summary", started, session["session_id"], session)
        for position, (product_id, name, category, price) in enumerate(views):
            common = {name: session[name] for name in ("session_id", "user_id", "started_at", "received_at")}
            common |= {"position": position, "product_id": product_id, "name": name, "category": category}
            shared = {
                name: session[name] for name in ("device_type", "country", "referrer", "last_action", "purchase_made")
            }
            yield _row("product_details", ProductDetails(**common, **shared, price=price, seconds=30))
            if position == 0 and number % 5 == 0:
                sentiment = rng.choice(SENTIMENTS)
                review = LONG_REVIEW if number % 50 == 0 else "Well built."
                yield _row("product_sentiment", ProductSentiment(**common, review=review, label=sentiment, score=0.1))
        minute = started.replace(second=0, microsecond=0)
        for category in {KPI_ALL, *(view[2] for view in views)}:
            row = minutes.setdefault((minute, category), {"sessions": 0, "purchases": 0, "revenue": 0.0, "seconds": 0})
            row["sessions"] += 1
            row["purchases"] += amount > 0
            row["revenue"] += amount
            row["seconds"] += session["duration_s"]
    for (minute, category), row in minutes.items():
        yield _row("kpi_minute", _kpi(minute, category, row))


def _session(document_id: str, user: str, started: datetime, amount: float, rng: random.Random) -> dict[str, Any]:
    seconds = rng.randrange(20, 600)
    return {
        "session_id": document_id,
        "user_id": user,
        "started_at": started,
        "ended_at": started + timedelta(seconds=seconds),
        "received_at": started + timedelta(seconds=2),
        "duration_s": seconds,
        "device_type": rng.choice(DEVICES),
        "country": "US",
        "referrer": rng.choice(REFERRERS),
        "last_action": "checkout" if amount > 0 else rng.choice(ACTIONS),
        "purchase_made": amount > 0,
        "purchase_amount": amount,
        "payment": rng.choice(("credit_card", "credit_card", "paypal", "other")) if amount > 0 else None,
        "returning": rng.random() < 0.3,
        "state": rng.choice(("CA", "NY", "TX", None)),
        "hour_of_day": started.hour,
        "day_of_week": started.isoweekday(),
    }


def _events(now: datetime) -> Iterator[PipelineEvent]:
    """Yield the events of one supervision cycle every five minutes of the last two hours."""
    for number in range(24):
        at = now - timedelta(minutes=5 * number + 1)
        events: list[tuple[Any, str, str, float, str | None]] = [
            ("stage", "gate", "valid", 120.0 + number, None),
            ("stage", "stream", "searchable", 118.0 + number, None),
            ("rejected", "gate", "duplicate", 3.0, None),
            ("rejected", "gate", "blocked_user", float(number % 3), None),
            ("lag", "stream", "stream", float(number * 7 % 40), None),
            ("decision", "supervise", "wait" if number == 20 else "healthy", 1.0, ATTACK),
        ]
        if number % 12 == 0:
            events += [
                ("reconciliation", "gate", "valid", 0.0, "balanced"),
                ("alert", "supervise", "stream.stuck", 1.0, HOSTILE),
            ]
        for kind, stage, name, value, detail in events:
            yield PipelineEvent(at=at, kind=kind, stage=stage, name=name, value=value, total=1_000.0, detail=detail)


def _event(event: PipelineEvent) -> Action:
    return _action("pipeline_events", event.at, f"{event.at}|{event.kind}|{event.stage}|{event.name}", event)


def _kpi(minute: datetime, category: str, row: dict[str, Any]) -> KpiMinute:
    return KpiMinute(
        minute=minute,
        category=category,
        arrival_date=f"{minute:%Y-%m-%d}",
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
    document_id = (
        f"{document['minute']}|{document['category']}|{document['arrival_date']}"
        if isinstance(row, KpiMinute)
        else f"{document['session_id']}:{document['position']}"
    )
    return _action(alias, at, document_id, document)


def _action(alias: str, at: datetime, document_id: str, document: Any) -> Action:
    return {
        "_index": index_name(alias, at.astimezone(UTC)),
        "_id": document_id,
        "_source": msgspec.to_builtins(document),
    }
