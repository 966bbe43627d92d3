"""The columns of a visit before its outcome, and their scaling by constants.

Counts and durations cover the whole visit: a model predicts when a visit is over, before its outcome is known.
Nothing is fitted, so scaling reveals nothing about the data. Closed sets have a column per member; open sets are
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

DENIED: dict[str, str] = {
    "purchase.made": "is the outcome",
    "purchase.amount": "is more than 0 only where something was bought",
    "purchase.payment": "is collected only from buyers",
    "last_action": "is `checkout` wherever something was bought, and is written down with the outcome",
    "exit_page": "is the order's confirmation wherever something was bought",
    "ended_at": "is when the outcome became known; the length of the visit is in duration_s",
    "received_at": "is when the record arrived, after the outcome",
}
"""Field of the record -> why no column may come from it: it follows the outcome."""

UNUSED: dict[str, str] = {
    "v": "is the same everywhere",
    "gender": "is a trait of the person, not of the visit, and must not influence predictions",
    "network": "would let a model memorize single households",
    "device.os": "adds little to device.type and names go out of date",
    "device.browser": "adds little to device.type and names go out of date",
    "location.city": "would let a model memorize small places; state is coarse enough",
    "location.zip": "would let a model memorize single streets",
    "views.name": "follows from views.product_id",
    "views.category": "follows from categories",
}
"""Field of the record -> why it could be a column and is none."""

KEYS: tuple[str, ...] = ("_id", "user_id", "started_at")
READ: tuple[str, ...] = (
    *("duration_s", "returning", "device.type", "location.country", "location.state", "referrer"),
    *("page_views", "clicks", "categories", "views.product_id", "views.price", "views.seconds"),
)
REVIEW, LABEL = "views.review", "purchase.made"


def projection(reviews: bool) -> dict[str, int]:
    """The only fields that are read from MongoDB; reviews only where they precede the outcome."""
    return dict.fromkeys((*KEYS, *READ, *((REVIEW,) if reviews else ()), LABEL), 1)


PROJECTION = projection(reviews=True)


@dataclass(frozen=True)
class Column:
    """One column of x, and its part of z: (f(clip(x, low, cap)) - f(middle)) / spread, f = log(1 + x) or x itself.

    A missing value is NaN in x and 0 in z; a column with `gaps` has an additional missing indicator in z. A column
    with a period of `cycle` becomes sine and cosine in z.
    """

    name: str
    meaning: str
    low: float = 0.0
    cap: float = 1.0
    middle: float = 0.0
    spread: float = 1.0
    log: bool = False
    gaps: bool = False
    cycle: float | None = None

    @property
    def scaled(self) -> tuple[str, ...]:
        """The names of its columns of z."""
        values = (f"{self.name}_sin", f"{self.name}_cos") if self.cycle else (self.name,)
        return (*values, f"{self.name}_missing") if self.gaps else values


def _log(name: str, meaning: str, cap: float, middle: float, *, gaps: bool = False, spread: float = 1.0) -> Column:
    return Column(name, meaning, cap=cap, middle=middle, spread=spread, log=True, gaps=gaps)


def _count(name: str, meaning: str, cap: float, middle: float, spread: float, *, gaps: bool = False) -> Column:
    return Column(name, meaning, cap=cap, middle=middle, spread=spread, gaps=gaps)


def _buckets(name: str, meaning: str, buckets: int) -> tuple[Column, ...]:
    return tuple(
        Column(f"{name}_{bucket:02d}", f"{meaning}, bucket {bucket} of {buckets}") for bucket in range(buckets)
    )


DEVICES: tuple[str, ...] = get_args(DeviceType)
REFERRERS: tuple[str, ...] = get_args(Referrer)

VISIT: tuple[Column, ...] = (
    _log("duration_s", "length of the visit, s", 604_800, 180),
    _count("page_views", "pages opened", 20, 4, 4, gaps=True),
    _count("clicks", "clicks", 60, 10, 12, gaps=True),
    _count("clicks_per_page", "clicks for each page opened", 5, 2, 1, gaps=True),
    _log("seconds_per_page", "seconds for each page opened", 3_600, 30, gaps=True),
    _log("clicks_per_minute", "clicks in a minute", 600, 5, gaps=True),
    _count("views", "products looked at, each as often as it was", 20, 2, 2),
    _count("products", "distinct products looked at", 20, 2, 2),
    _count("categories", "distinct categories looked at", 10, 1, 1),
    _count("products_beyond_categories", "distinct products less distinct categories", 10, 0, 1),
    _log("dearest", "highest price looked at", 1e6, 1_000, gaps=True),
    _log("cheapest", "lowest price looked at", 1e6, 1_000, gaps=True),
    _log("mean_price", "mean price looked at", 1e6, 1_000, gaps=True),
    _log("seconds_on_products", "time on product pages, s", 604_800, 60, gaps=True),
    _count("share_on_products", "share of the visit spent on product pages", 1, 0.5, 0.3, gaps=True),
    _log("longest_look", "longest time on one product, s", 604_800, 30, gaps=True),
    Column("returning", "the gate had admitted this user before"),
)
REVIEWS: tuple[Column, ...] = (
    _count("reviews", "reviews in this visit", 6, 0, 1, gaps=True),
    _count("reviews_positive", "reviews that praise", 6, 0, 1),
    _count("reviews_negative", "reviews that complain", 6, 0, 1),
    Column("review_score", "mean sentiment of the reviews, -1 to 1 (VADER)", low=-1.0),
)
CLOCK: tuple[Column, ...] = (
    Column("local_hour", "hour of the beginning, standard time where the visitor is", cycle=DAY_HOURS, gaps=True),
    Column("evening", "began between 18 and 23 o'clock, standard time where the visitor is"),
    Column("weekday", "day of the week in UTC, Monday is 0", cap=6, middle=3, spread=2),
    Column("weekend", "Saturday or Sunday in UTC"),
)
SETS: tuple[Column, ...] = (
    *(Column(f"device_{name}", f"device is {name}") for name in DEVICES),
    *(Column(f"referrer_{name}", f"referrer is {name}") for name in REFERRERS),
    *_buckets("state", "country and state by hash", STATE_BUCKETS),
    *_buckets("category", "a category looked at, by hash", CATEGORY_BUCKETS),
    *_buckets("product", "a product looked at, by hash", PRODUCT_BUCKETS),
)
HISTORY: tuple[Column, ...] = (
    _log("earlier_visits", "earlier visits of this user in the window", 1_000, 1),
    _log("earlier_purchases", "those that ended in a purchase", 1_000, 0),
    _count("earlier_share", "share of the earlier visits that ended in a purchase", 1, 0.2, 0.3, gaps=True),
    _log("days_since_last", "days since the end of the last one", 400, 2, gaps=True),
    _count("visits_per_day", "earlier visits for each day of the window so far, at least one day", 3, 0.2, 0.5),
)
"""What the user did before; a visit counts once it has ended."""

SESSION: tuple[Column, ...] = (*VISIT, *REVIEWS, *CLOCK, *SETS)
"""What the visit itself shows."""

COLUMNS: tuple[Column, ...] = (*SESSION, *HISTORY)
NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)
SCALED: tuple[str, ...] = tuple(name for column in COLUMNS for name in column.scaled)
"""The names of the columns of z, in order."""


def scale(x: Matrix) -> Matrix:
    """(n, d) columns as they are to (n, e) scaled by constants, without NaN."""
    z = np.empty((len(x), len(SCALED)), dtype=np.float32)
    at = 0
    for index, column in enumerate(COLUMNS):
        values = x[:, index]
        unknown = np.isnan(values)
        for part in _parts(column, values):
            z[:, at] = np.where(unknown, 0.0, part)
            at += 1
        if column.gaps:
            z[:, at] = unknown
            at += 1
    return z


def _parts(column: Column, values: Matrix) -> tuple[Matrix, ...]:
    if column.cycle:
        angle = values * np.float32(2 * np.pi / column.cycle)
        return np.sin(angle), np.cos(angle)
    clipped = np.clip(values, column.low, column.cap)
    if column.log:
        return (((np.log1p(clipped) - np.log1p(column.middle)) / column.spread).astype(np.float32),)
    return (((clipped - column.middle) / column.spread).astype(np.float32),)


def samples(table: Table) -> Samples:
    """What models see of a table; users are numbered in the order of their first visit.

    Raises TerminalError for a table of other columns.
    """
    if table.columns != NAMES:
        raise TerminalError("the feature table has other columns than this program", "run the step features again")
    group = pd.factorize(table.user_id)[0].astype(np.int64)
    return Samples(x=table.x, z=scale(table.x), y=table.made, group=group, columns=NAMES)
