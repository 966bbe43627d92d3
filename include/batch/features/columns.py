"""The columns of a visit before its outcome, and their scaling by constants.

Counts and durations cover the whole visit: a model predicts when a visit is over, before its outcome is known.
The constants are not fitted, so scaling reveals no data. Closed sets have a column per member; open sets are
hashed into a fixed number of buckets, so unseen values are encoded too.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd

from include.batch.features.table import Table
from include.batch.samples import Matrix, Samples
from include.contracts.errors import TerminalError
from include.contracts.session import DeviceType, Referrer

STATE_BUCKETS, CATEGORY_BUCKETS, PRODUCT_BUCKETS = 8, 8, 16
DAY_HOURS = 24
EVENING = (18, 23)
"""Local hours [from, until) that count as evening."""

DENIED_FIELDS: dict[str, str] = {
    "purchase.made": "is the outcome",
    "purchase.amount": "is greater than 0 only after a purchase",
    "purchase.payment": "is collected only from buyers",
    "last_action": "is `checkout` after every purchase, and is recorded with the outcome",
    "exit_page": "is the order confirmation after every purchase",
    "ended_at": "is the time when the outcome became known; duration_s has the length of the visit",
    "received_at": "is the time of arrival, after the outcome",
}
"""Denied field of the record -> reason; all of them follow the outcome."""

UNUSED_FIELDS: dict[str, str] = {
    "v": "is constant",
    "gender": "is an attribute of the person, not of the visit, and must not influence predictions",
    "network": "would let a model memorize single households",
    "device.os": "adds little to device.type and names go out of date",
    "device.browser": "adds little to device.type and names go out of date",
    "location.city": "would let a model memorize small places; state is coarse enough",
    "location.zip": "would let a model memorize single streets",
    "views.name": "follows from views.product_id",
    "views.category": "follows from categories",
}
"""Field of the record that is not a column -> reason."""

KEY_FIELDS: tuple[str, ...] = ("_id", "user_id", "started_at")
FEATURE_FIELDS: tuple[str, ...] = (
    *("duration_s", "returning", "device.type", "location.country", "location.state", "referrer"),
    *("page_views", "clicks", "categories", "views.product_id", "views.price", "views.seconds"),
)
REVIEW_FIELD, LABEL_FIELD = "views.review", "purchase.made"


def projection(reviews: bool) -> dict[str, int]:
    """Return the MongoDB projection; reviews are included only if they precede the outcome."""
    return dict.fromkeys((*KEY_FIELDS, *FEATURE_FIELDS, *((REVIEW_FIELD,) if reviews else ()), LABEL_FIELD), 1)


PROJECTION = projection(reviews=True)


@dataclass(frozen=True)
class Column:
    """One column of x, and its part of z: (f(clip(x, low, cap)) - f(middle)) / spread, f = log(1 + x) or x itself.

    A missing value is NaN in x and 0 in z; a column with `has_missing` has an additional missing indicator in z. A
    column with a `period` becomes sine and cosine in z.
    """

    name: str
    description: str
    low: float = 0.0
    cap: float = 1.0
    middle: float = 0.0
    spread: float = 1.0
    log: bool = False
    has_missing: bool = False
    period: float | None = None

    @property
    def scaled(self) -> tuple[str, ...]:
        """The names of its columns of z."""
        values = (f"{self.name}_sin", f"{self.name}_cos") if self.period else (self.name,)
        return (*values, f"{self.name}_missing") if self.has_missing else values


def _log(
    name: str, description: str, cap: float, middle: float, *, has_missing: bool = False, spread: float = 1.0
) -> Column:
    return Column(name, description, cap=cap, middle=middle, spread=spread, log=True, has_missing=has_missing)


def _count(
    name: str, description: str, cap: float, middle: float, spread: float, *, has_missing: bool = False
) -> Column:
    return Column(name, description, cap=cap, middle=middle, spread=spread, has_missing=has_missing)


def _buckets(name: str, description: str, buckets: int) -> tuple[Column, ...]:
    return tuple(
        Column(f"{name}_{bucket:02d}", f"{description}, bucket {bucket} of {buckets}") for bucket in range(buckets)
    )


DEVICES: tuple[str, ...] = get_args(DeviceType)
REFERRERS: tuple[str, ...] = get_args(Referrer)

VISIT: tuple[Column, ...] = (
    _log("duration_s", "duration of the visit, s", 604_800, 180),
    _count("page_views", "page views", 20, 4, 4, has_missing=True),
    _count("clicks", "clicks", 60, 10, 12, has_missing=True),
    _count("clicks_per_page", "clicks per page view", 5, 2, 1, has_missing=True),
    _log("seconds_per_page", "seconds per page view", 3_600, 30, has_missing=True),
    _log("clicks_per_minute", "clicks per minute", 600, 5, has_missing=True),
    _count("views", "product views, including repeated ones", 20, 2, 2),
    _count("products", "distinct viewed products", 20, 2, 2),
    _count("categories", "distinct viewed categories", 10, 1, 1),
    _count("products_beyond_categories", "distinct products minus distinct categories", 10, 0, 1),
    _log("dearest", "highest viewed price", 1e6, 1_000, has_missing=True),
    _log("cheapest", "lowest viewed price", 1e6, 1_000, has_missing=True),
    _log("mean_price", "mean viewed price", 1e6, 1_000, has_missing=True),
    _log("seconds_on_products", "time on product pages, s", 604_800, 60, has_missing=True),
    _count("share_on_products", "share of the visit spent on product pages", 1, 0.5, 0.3, has_missing=True),
    _log("longest_look", "longest time on one product, s", 604_800, 30, has_missing=True),
    Column("returning", "the gate had admitted this user before"),
)
REVIEWS: tuple[Column, ...] = (
    _count("reviews", "reviews in this visit", 6, 0, 1, has_missing=True),
    _count("reviews_positive", "positive reviews", 6, 0, 1),
    _count("reviews_negative", "negative reviews", 6, 0, 1),
    Column("review_score", "mean sentiment of the reviews, -1 to 1 (VADER)", low=-1.0),
)
CLOCK: tuple[Column, ...] = (
    Column("local_hour", "start hour, in the local standard time of the visitor", period=DAY_HOURS, has_missing=True),
    Column("evening", "start between 18:00 and 23:00, in the local standard time of the visitor"),
    Column("weekday", "day of the week in UTC, Monday is 0", cap=6, middle=3, spread=2),
    Column("weekend", "Saturday or Sunday in UTC"),
)
SETS: tuple[Column, ...] = (
    *(Column(f"device_{name}", f"device is {name}") for name in DEVICES),
    *(Column(f"referrer_{name}", f"referrer is {name}") for name in REFERRERS),
    *_buckets("state", "country and state by hash", STATE_BUCKETS),
    *_buckets("category", "viewed categories by hash", CATEGORY_BUCKETS),
    *_buckets("product", "viewed products by hash", PRODUCT_BUCKETS),
)
HISTORY: tuple[Column, ...] = (
    _log("earlier_visits", "earlier visits of this user in the window", 1_000, 1),
    _log("earlier_purchases", "earlier visits that ended in a purchase", 1_000, 0),
    _count("earlier_share", "share of the earlier visits that ended in a purchase", 1, 0.2, 0.3, has_missing=True),
    _log("days_since_last", "days since the end of the last visit", 400, 2, has_missing=True),
    _count("visits_per_day", "earlier visits per elapsed day of the window, at least one day", 3, 0.2, 0.5),
)
"""Columns of the user's history; a visit counts once it has ended."""

SESSION: tuple[Column, ...] = (*VISIT, *REVIEWS, *CLOCK, *SETS)
"""Columns of the visit itself."""

COLUMNS: tuple[Column, ...] = (*SESSION, *HISTORY)
NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)
SCALED: tuple[str, ...] = tuple(name for column in COLUMNS for name in column.scaled)
"""Names of the columns of z, in order."""


def scale(x: Matrix) -> Matrix:
    """Scale columns (n, d) by constants; return (n, e) without NaN."""
    z = np.empty((len(x), len(SCALED)), dtype=np.float32)
    at = 0
    for index, column in enumerate(COLUMNS):
        values = x[:, index]
        is_missing = np.isnan(values)
        for part in _parts(column, values):
            z[:, at] = np.where(is_missing, 0.0, part)
            at += 1
        if column.has_missing:
            z[:, at] = is_missing
            at += 1
    return z


def _parts(column: Column, values: Matrix) -> tuple[Matrix, ...]:
    if column.period:
        angle = values * np.float32(2 * np.pi / column.period)
        return np.sin(angle), np.cos(angle)
    clipped = np.clip(values, column.low, column.cap)
    if column.log:
        return (((np.log1p(clipped) - np.log1p(column.middle)) / column.spread).astype(np.float32),)
    return (((clipped - column.middle) / column.spread).astype(np.float32),)


def samples(table: Table) -> Samples:
    """Return the model input of a table; users are numbered in the order of their first visit.

    Raises:
        TerminalError: the table has other columns.
    """
    if table.columns != NAMES:
        raise TerminalError(
            "the feature table has other columns than this version expects", "run the step features again"
        )
    group = pd.factorize(table.user_id)[0].astype(np.int64)
    return Samples(x=table.x, z=scale(table.x), y=table.made, group=group, columns=NAMES)
