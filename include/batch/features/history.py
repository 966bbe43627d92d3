"""A user's history before a visit, vectorized; only visits that ended before its start count."""

from dataclasses import dataclass

import numpy as np

from include.batch.features.columns import HISTORY
from include.batch.samples import Floats, Labels, Matrix, Rows

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Visits:
    """n visits in any order: user number, start and end (us since 1970), and outcome."""

    user: Rows
    started_us: Rows
    ended_us: Rows
    made: Labels


def columns(visits: Visits, *, since_us: int, days: float) -> Matrix:
    """Return the (n, 5) columns of `columns.HISTORY`.

    Counts visits of the same user that ended before this one started, at most `days` earlier. `since_us` is the start
    of the record of visits.
    """
    by_name = _columns(visits, since_us, days)
    x = np.empty((len(visits.user), len(HISTORY)), dtype=np.float32)
    for index, column in enumerate(HISTORY):
        x[:, index] = by_name[column.name]
    return x


def _columns(visits: Visits, since_us: int, days: float) -> dict[str, Floats]:
    span = round(days * DAY_US)
    order = np.lexsort((visits.ended_us, visits.user))
    until = _ended_before(visits, order, visits.started_us)
    first = _ended_before(visits, order, visits.started_us - span)
    bought = np.concatenate(([0], np.cumsum(visits.made[order], dtype=np.int64)))
    earlier = (until - first).astype(np.float64)
    purchases = (bought[until] - bought[first]).astype(np.float64)
    has_earlier = earlier > 0
    last = visits.ended_us[order[np.maximum(until - 1, 0)]] if len(order) else until
    observed = np.clip(visits.started_us - since_us, DAY_US, max(span, DAY_US)) / DAY_US
    return {
        "earlier_visits": earlier,
        "earlier_purchases": purchases,
        "earlier_share": np.where(has_earlier, purchases / np.maximum(earlier, 1), np.nan),
        "days_since_last": np.where(has_earlier, (visits.started_us - last) / DAY_US, np.nan),
        "visits_per_day": earlier / observed,
    }


def _ended_before(visits: Visits, order: Rows, at_us: Rows) -> Rows:
    """Count, for each row, the visits before it in `order` (by user, then end).

    A visit counts if it belongs to a lower user, or to the row's own user and ended before `at_us`. The
    difference of two such numbers counts visits of the row's own user only.
    """
    n = len(order)
    user = np.concatenate((visits.user, visits.user))
    time = np.concatenate((at_us, visits.ended_us))
    # At equal times the start sorts first, because a visit that ends at that moment has not ended before it.
    is_end = np.repeat(np.array([False, True]), n)
    sequence = np.lexsort((is_end, time, user))
    ends = np.cumsum(is_end[sequence], dtype=np.int64)
    counted = np.empty(2 * n, dtype=np.int64)
    counted[sequence] = ends
    return counted[:n]
