"""Encode archived sessions as columns: pure functions, one chunk at a time, each row independently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from include.batch.features.columns import (
    CATEGORY_BUCKETS,
    DAY_HOURS,
    DEVICES,
    EVENING,
    PRODUCT_BUCKETS,
    REFERRERS,
    SESSION,
    STATE_BUCKETS,
)
from include.batch.features.timezones import offset_hours
from include.batch.samples import Floats, Labels, Matrix, Rows
from include.contracts.errors import TerminalError

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
POSITIVE_FROM, NEGATIVE_TO = 0.05, -0.05
"""Thresholds of VADER's compound score that its authors recommend."""

MAX_CACHED_REVIEWS, MAX_CACHED_TEXTS = 200_000, 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_THURSDAY, _WEEK, _SATURDAY = 3, 7, 5
_COLUMN_INDEX = {column.name: index for index, column in enumerate(SESSION)}


class _Part(msgspec.Struct, frozen=True, gc=False):
    """The fields that are decoded; other fields of a document are ignored."""


class _Device(_Part, frozen=True):
    type: str


class _Location(_Part, frozen=True):
    country: str | None
    state: str | None


class _View(_Part, frozen=True):
    product_id: str
    price: float | None
    seconds: int | None
    review: str | None = None


class _Purchase(_Part, frozen=True):
    made: bool


class _Visit(_Part, frozen=True):
    # The document's id, because a session_id is unique per user only.
    session_id: str = msgspec.field(name="_id")
    user_id: str
    started_at: datetime
    duration_s: int
    returning: bool
    device: _Device
    location: _Location
    referrer: str
    page_views: int | None
    clicks: int | None
    categories: list[str]
    views: list[_View]
    purchase: _Purchase


@dataclass(frozen=True)
class Chunk:
    """Keys, outcomes and the columns of `columns.SESSION` of n documents, in their order; times in us since 1970."""

    session_id: list[str]
    user_id: list[str]
    started_us: Rows
    ended_us: Rows
    made: Labels
    x: Matrix


def encode(documents: Sequence[Mapping[str, Any]], *, reviews: bool) -> Chunk:
    """Encode MongoDB documents with timezone-aware times.

    Args:
        documents: n sessions of the archive.
        reviews: whether reviews are used; without them their columns are NaN.

    Raises:
        TerminalError: a document is not a session; the message names it.
    """
    visits = [_decode_visit(document) for document in documents]
    n = len(visits)
    started = np.fromiter(((visit.started_at - _EPOCH) // _MICROSECOND for visit in visits), np.int64, n)
    seconds = np.fromiter((visit.duration_s for visit in visits), np.int64, n)
    x = np.zeros((n, len(SESSION)), dtype=np.float32)
    for columns in (_durations(visits, seconds), _products(visits, seconds), _clock(visits, started)):
        for name, values in columns.items():
            x[:, _COLUMN_INDEX[name]] = values
    _reviews(visits, x, use=reviews)
    # Use one NaN bit pattern, because digests are computed over bytes.
    x[np.isnan(x)] = np.nan
    _sets(visits, x)
    return Chunk(
        session_id=[visit.session_id for visit in visits],
        user_id=[visit.user_id for visit in visits],
        started_us=started,
        ended_us=started + seconds * 1_000_000,
        made=np.fromiter((visit.purchase.made for visit in visits), np.bool_, n),
        x=x,
    )


def _decode_visit(document: Mapping[str, Any]) -> _Visit:
    try:
        return msgspec.convert(document, _Visit)
    except msgspec.ValidationError as error:
        raise TerminalError(
            f"session {document.get('_id')!r} of the archive is invalid ({error})",
            "check which program wrote it; the archive accepts ValidSession documents only",
        ) from error


def _durations(visits: Sequence[_Visit], seconds: Rows) -> dict[str, Floats]:
    """Return duration, pages, clicks and their ratios; a visit without pages counts as a visit of one page."""
    duration = seconds.astype(np.float64)
    pages = _numbers([visit.page_views for visit in visits])
    clicks = _numbers([visit.clicks for visit in visits])
    pages_at_least_one = np.maximum(pages, 1)
    return {
        "duration_s": duration,
        "page_views": pages,
        "clicks": clicks,
        "clicks_per_page": clicks / pages_at_least_one,
        "seconds_per_page": duration / pages_at_least_one,
        "clicks_per_minute": clicks * 60 / np.maximum(duration, 1),
        "returning": np.array([visit.returning for visit in visits], dtype=np.float64),
    }


def _products(visits: Sequence[_Visit], seconds: Rows) -> dict[str, Floats]:
    """Return the columns of the viewed products; prices below 0 are corrections and are ignored."""
    n = len(visits)
    row = np.repeat(np.arange(n), [len(visit.views) for visit in visits])
    price = _numbers([view.price for visit in visits for view in visit.views])
    price[price < 0] = np.nan
    view_seconds = _numbers([view.seconds for visit in visits for view in visit.views])
    products = np.array([len({view.product_id for view in visit.views}) for visit in visits], dtype=np.float64)
    categories = np.array([len(set(visit.categories)) for visit in visits], dtype=np.float64)
    on_products = _sum(row, view_seconds, n)
    with np.errstate(invalid="ignore"):
        mean_price = _sum(row, price, n) / np.bincount(row, ~np.isnan(price), n)
    return {
        "views": np.bincount(row, minlength=n).astype(np.float64),
        "products": products,
        "categories": categories,
        "products_beyond_categories": np.maximum(products - categories, 0),
        "dearest": _max(row, price, n),
        "cheapest": -_max(row, -price, n),
        "mean_price": mean_price,
        "seconds_on_products": on_products,
        "share_on_products": np.minimum(on_products / np.maximum(seconds, 1), 1),
        "longest_look": _max(row, view_seconds, n),
    }


def _clock(visits: Sequence[_Visit], started: Rows) -> dict[str, Floats]:
    offset = np.array([offset_hours(visit.location.country, visit.location.state) for visit in visits])
    hour = np.floor(started / HOUR_US + offset) % DAY_HOURS
    weekday = (started // DAY_US + _THURSDAY) % _WEEK
    evening = np.where(np.isnan(hour), np.nan, (hour >= EVENING[0]) & (hour < EVENING[1]))
    return {
        "local_hour": hour,
        "evening": evening,
        "weekday": weekday.astype(np.float64),
        "weekend": (weekday >= _SATURDAY).astype(np.float64),
    }


def _reviews(visits: Sequence[_Visit], x: Matrix, *, use: bool) -> None:
    names = [_COLUMN_INDEX[name] for name in ("reviews", "reviews_positive", "reviews_negative", "review_score")]
    if not use:
        x[:, names] = np.nan
        return
    x[:, names[-1]] = np.nan
    for index, visit in enumerate(visits):
        scores = [score(view.review) for view in visit.views if view.review]
        if scores:
            positive = sum(value >= POSITIVE_FROM for value in scores)
            negative = sum(value <= NEGATIVE_TO for value in scores)
            x[index, names] = (len(scores), positive, negative, sum(scores) / len(scores))


def _sets(visits: Sequence[_Visit], x: Matrix) -> None:
    """Set the one-hot columns of each visit; a member without a column leaves all columns at 0."""
    devices = {name: _COLUMN_INDEX[f"device_{name}"] for name in DEVICES}
    referrers = {name: _COLUMN_INDEX[f"referrer_{name}"] for name in REFERRERS}
    states, categories, products = (_COLUMN_INDEX[f"{name}_00"] for name in ("state", "category", "product"))
    for index, visit in enumerate(visits):
        ones = [categories + bucket(name, CATEGORY_BUCKETS) for name in visit.categories]
        ones += [products + bucket(view.product_id, PRODUCT_BUCKETS) for view in visit.views]
        if visit.device.type in devices:
            ones.append(devices[visit.device.type])
        if visit.referrer in referrers:
            ones.append(referrers[visit.referrer])
        if visit.location.country is not None:
            ones.append(states + bucket(f"{visit.location.country}:{visit.location.state or ''}", STATE_BUCKETS))
        x[index, ones] = 1


@lru_cache(MAX_CACHED_TEXTS)
def bucket(text: str, buckets: int) -> int:
    """Return the bucket of a text, stable across processes: BLAKE2b modulo `buckets`."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % buckets


@lru_cache(MAX_CACHED_REVIEWS)
def score(review: str) -> float:
    """Return VADER's compound score of a text, -1 to 1 (Hutto and Gilbert, ICWSM 2014)."""
    return float(_analyzer().polarity_scores(review)["compound"])


@cache
def _analyzer() -> Any:
    return SentimentIntensityAnalyzer()


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array(values, dtype=np.float64)


def _sum(row: NDArray[np.int64], values: Floats, n: int) -> Floats:
    """Sum of the non-missing values of each row; NaN if all are missing."""
    valid = ~np.isnan(values)
    total = np.bincount(row[valid], values[valid], n)
    return np.where(np.bincount(row[valid], minlength=n) > 0, total, np.nan)


def _max(row: NDArray[np.int64], values: Floats, n: int) -> Floats:
    """Return the maximum of the non-missing values of each row; NaN if all are missing."""
    maximum = np.full(n, np.nan)
    np.fmax.at(maximum, row, values)
    return maximum
