"""The documents of the indices: one class for each alias, from which `mapping` derives the index mapping.

Indices are monthly by event time, behind an alias of the plain name. Events that arrive more than MONTHS_APART months
after they happened share one index.
"""

import hashlib
import typing
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any

from msgspec import Meta, Struct

PartOfDay = typing.Literal["night", "morning", "afternoon", "evening"]
EventKind = typing.Literal["stage", "rejected", "lag", "decision", "dead_letter", "reconciliation", "alert"]
SentimentLabel = typing.Literal["negative", "neutral", "positive"]
FullText = Annotated[str, Meta(extra={"elasticsearch": {"type": "text"}})]


class Document(Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """Base of all indexed documents."""


class SessionSummary(Document, frozen=True):
    """One admitted session. Id: user_id:session_id. Time parts are of `started_at` in UTC, Monday is 1."""

    session_id: str
    user_id: str
    started_at: datetime
    ended_at: datetime
    received_at: datetime
    duration_s: int
    gender: str | None
    returning: bool
    network: str | None
    device_type: str
    device_os: str | None
    device_browser: str | None
    country: str | None
    state: str | None
    city: str | None
    zip: str | None
    referrer: str
    page_views: int | None
    clicks: int | None
    viewed_products: list[str]
    categories: list[str]
    last_action: str
    exit_page: str | None
    purchase_made: bool
    purchase_amount: float
    payment: str | None
    hour_of_day: int
    day_of_week: int
    is_weekend: bool
    month: int
    week_of_year: int
    part_of_day: PartOfDay


class ProductDetails(Document, frozen=True):
    """One product viewed in one session. Id: user_id:session_id:position, position from 0.

    `name` is the product's id if the shop has no name for it.
    """

    session_id: str
    user_id: str
    started_at: datetime
    received_at: datetime
    position: int
    product_id: str
    name: str
    category: str | None
    price: float | None
    seconds: int | None
    device_type: str
    country: str | None
    referrer: str
    last_action: str
    purchase_made: bool


class ProductSentiment(Document, frozen=True):
    """One review. Id: user_id:session_id:position. `name` as in product_details.

    `score` is VADER's compound score, -1 to 1.
    """

    session_id: str
    user_id: str
    started_at: datetime
    received_at: datetime
    position: int
    product_id: str
    name: str
    category: str | None
    review: FullText
    label: SentimentLabel
    score: float


class KpiMinute(Document, frozen=True):
    """Sessions that started in one minute, by viewed category. Id: minute|category|arrival_date (see `kpi_id`).

    A session counts once in each viewed category, with its whole amount, and once in category `all`; read totals
    from `all`. Rows of one minute and category with different `arrival_date`s add up, so that a late session never
    rewrites a closed row. `late_sessions` arrived more than SHOWROOM_STREAM_LATENESS_THRESHOLD_S after their end.
    `users` are distinct within the row.
    """

    minute: datetime
    category: str
    arrival_date: str
    sessions: int
    users: int
    purchases: int
    revenue: float
    duration_s: int
    mean_duration_s: float
    conversion: float
    late_sessions: int


class PipelineEvent(Document, frozen=True):
    """One measurement or decision of supervision at `at`. Id: at|kind|stage|name. `detail` is one readable line.

    Kinds:
        stage: Records that passed `name` (ingest: raw; gate: decided, valid, rejected; stream: searchable; archive:
            archived) since the previous event (`value`) and in total (`total`).
        rejected: The same by reject reason.
        dead_letter: The same for documents that Elasticsearch refused.
        lag: Records that wait for gate, stream or archive.
        decision: 1 for the decision of a supervision cycle (healthy, wait, submit, resume, page).
        alert: 1 for each alert that fires, by alert id.
        reconciliation: For the hour that began at `at`, the actual minus the expected count (`total`) of a stage;
            `detail` is balanced, pending or different.
    """

    at: datetime
    kind: EventKind
    stage: str
    name: str
    value: float
    total: float | None
    detail: str | None


KPI_ALL = "all"

STREAM_INDICES: dict[str, type[Document]] = {
    "session_summary": SessionSummary,
    "product_details": ProductDetails,
    "product_sentiment": ProductSentiment,
    "kpi_minute": KpiMinute,
}
"""The indices that the stream writes."""
NEIGHBOURS_ALIAS = "user_neighbours"
"""Alias of the similar users that the batch publishes."""
PIPELINE = "pipeline_events"
"""Alias of the events that supervision and reconciliation write."""
COUNTED: frozenset[EventKind] = frozenset({"stage", "rejected", "dead_letter"})
"""Kinds of events whose value is the increment of their total."""
INDICES: dict[str, type[Document]] = {**STREAM_INDICES, PIPELINE: PipelineEvent}
TIME_FIELD: dict[str, str] = {**dict.fromkeys(STREAM_INDICES, "started_at"), "kpi_minute": "minute", PIPELINE: "at"}


MONTHS_A_YEAR = 12
MONTHS_APART = 13
"""Events that arrive more months than this after they happened go to the alias's index of older events."""
OLDER = "older"
MAX_ID_BYTES = 512
"""Limit of Elasticsearch."""
MAX_CATEGORY_BYTES = 256
"""Longest category that an id contains unshortened."""
CATEGORY_PREFIX_BYTES = 192


def index_name(alias: str, event_time: datetime, arrived: datetime | None = None) -> str:
    """Return the index behind `alias` for an event time (UTC): the month's index, or the index of older events.

    The result depends only on the event, never on the clock, so that a repeated write uses the same index.
    With `arrived`, events from more than MONTHS_APART months earlier share one index: each index costs a shard, and a
    source may send events from 240 months.
    """
    if arrived is not None and months_between(event_time, arrived) > MONTHS_APART:
        return older_index(alias)
    return f"{alias}-{event_time.year:04d}.{event_time.month:02d}"


def older_index(alias: str) -> str:
    """Return the index behind `alias` for events that arrived more than MONTHS_APART months after they happened."""
    return f"{alias}-{OLDER}"


def months_between(earlier: datetime, later: datetime) -> int:
    """Return the number of calendar months between two instants."""
    return (later.year - earlier.year) * MONTHS_A_YEAR + later.month - earlier.month


def kpi_id(minute: str, category: str, arrival_date: str) -> str:
    """Return the id of a row of kpi_minute: `minute|category|arrival_date`.

    A category longer than MAX_CATEGORY_BYTES is replaced by a prefix and a digest, so that no id exceeds MAX_ID_BYTES.
    """
    encoded = category.encode()
    if len(encoded) > MAX_CATEGORY_BYTES:
        beginning = encoded[:CATEGORY_PREFIX_BYTES].decode(errors="ignore")
        category = f"{beginning}~{hashlib.blake2b(encoded, digest_size=16).hexdigest()}"
    return f"{minute}|{category}|{arrival_date}"


def index_pattern(alias: str) -> str:
    """Return the pattern that matches the indices of one alias."""
    return f"{alias}-*"


# Measures are only aggregated, which reads doc values: an inverted index would only cost indexing time.
_PROPERTIES: dict[type, dict[str, Any]] = {
    str: {"type": "keyword"},
    int: {"type": "long", "index": False},
    float: {"type": "double", "index": False},
    bool: {"type": "boolean"},
    datetime: {"type": "date"},
}


def mapping(document: type[Document]) -> dict[str, Any]:
    """Derive the strict Elasticsearch mapping of a document class.

    Raises:
        TypeError: A field has a type without an Elasticsearch counterpart.
    """
    hints = typing.get_type_hints(document, include_extras=True)
    return {"dynamic": "strict", "properties": {name: _property(hints[name]) for name in hints}}


def _property(hint: Any) -> dict[str, Any]:
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is Annotated:
        for meta in arguments[1:]:
            if meta.extra and "elasticsearch" in meta.extra:
                return dict(meta.extra["elasticsearch"])
        return _property(arguments[0])
    if origin in (typing.Union, UnionType):
        return _property(next(part for part in arguments if part is not NoneType))
    if origin is list:
        return _property(arguments[0])
    if origin is typing.Literal:
        return {"type": "keyword"}
    if hint in _PROPERTIES:
        return dict(_PROPERTIES[hint])
    raise TypeError(f"no Elasticsearch type for {hint!r}")
