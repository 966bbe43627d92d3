"""Repurchase within 30 days after a cut-off, on UCI "Online Retail".

D. Chen, UCI Machine Learning Repository, 2015, CC BY 4.0 (D. Chen, S. L. Sain, K. Guo, "Data mining for the online
retail industry", Journal of Database Marketing and Customer Strategy Management 19 (2012) 197): invoices of one shop
from 1 December 2010 to 9 December 2011.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from benchmarks.batch.encode import Encoder, Flags, Log, Share
from include.batch.samples import Floats, Labels, Rows, Samples
from include.contracts.errors import TerminalError

FILE = "online_retail.csv.gz"
FIELDS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
DAYS = 30.0
"""Prediction horizon in days."""
TEST = datetime(2011, 11, 9, tzinfo=UTC)
"""The last cut-off whose 30 days the file covers."""
MISSING = 500.0
"""Days that represent "never" in ratios; longer than the period of the file."""
RECENT = (14, 30, 60, 90, 180)
"""Days back over which purchases are counted."""
HOME = "United Kingdom"


@dataclass(frozen=True)
class Purchases:
    """m invoices sorted by (customer, time); all fields are (m,).

    `at` is in days since 1970, `value` in pounds. `lines` are the lines of the invoice, `fresh` those of products that
    are new to the customer. `returned` marks an invoice that returns goods. `gap` is the days since the customer's
    previous invoice, NaN for the first.
    """

    customer: Rows
    at: Floats
    value: Floats
    lines: Floats
    fresh: Floats
    returned: Labels
    home: Labels
    gap: Floats

    def __len__(self) -> int:
        return len(self.at)

    def before(self, day: float) -> "Purchases":
        """Return the invoices before a day."""
        return self.where(self.at < day)

    def where(self, rows: Labels) -> "Purchases":
        """Return the invoices selected by a mask."""
        return Purchases(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def day(instant: datetime) -> float:
    """Return days since 1970."""
    return instant.timestamp() / 86_400


def samples(purchases: Purchases, cutoffs: Sequence[float]) -> Samples:
    """Return one row for each existing customer at each cut-off (days since 1970); the customer is the group."""
    fields: list[dict[str, Floats]] = []
    labels: list[Labels] = []
    groups: list[Rows] = []
    for cutoff in cutoffs:
        customers, features = features_at(purchases, cutoff)
        fields.append(features)
        labels.append(outcomes(purchases, customers, cutoff))
        groups.append(customers)
    joined = {name: np.concatenate([part[name] for part in fields]) for name in ENCODERS}
    return Samples(
        x=np.hstack([ENCODERS[name].raw(joined[name]) for name in ENCODERS]),
        z=np.hstack([ENCODERS[name].scaled(joined[name]) for name in ENCODERS]),
        y=np.concatenate(labels),
        group=np.concatenate(groups),
        columns=tuple(name for field in ENCODERS for name in ENCODERS[field].names(field)),
    )


def outcomes(purchases: Purchases, customers: Rows, cutoff: float) -> Labels:
    """Return (n,) whether each customer bought in [cutoff, cutoff + 30 days).

    Only this function reads past a cut-off.
    """
    within = (purchases.at >= cutoff) & (purchases.at < cutoff + DAYS) & ~purchases.returned
    return np.isin(customers, purchases.customer[within])


def features_at(purchases: Purchases, cutoff: float) -> tuple[Rows, dict[str, Floats]]:
    """Return customers with a purchase before the cut-off, and each of their fields (n,) at the cut-off.

    Fields are recency, frequency and value as in the paper above, and the current gap relative to earlier gaps.
    """
    past = purchases.before(cutoff)
    bought, returned = past.where(~past.returned), past.where(past.returned)
    customers, member = np.unique(bought.customer, return_inverse=True)
    count = len(customers)
    counts = np.bincount(member, minlength=count).astype(np.float64)
    ends = np.cumsum(counts).astype(np.int64) - 1
    starts = ends - counts.astype(np.int64) + 1
    recency, age = cutoff - bought.at[ends], cutoff - bought.at[starts]
    span = age - recency
    squares = _sums(member, np.nan_to_num(bought.gap) ** 2, count)
    repeats = np.maximum(counts - 1, 1)
    mean_gap = np.where(counts > 1, span / repeats, MISSING)
    value = _sums(member, bought.value, count)
    lines = _sums(member, bought.lines, count)
    fresh = _sums(member, bought.fresh, count)
    returns = _count(customers, returned.customer)
    fields: dict[str, Floats] = {
        "recency_days": recency,
        "age_days": age,
        "invoices": counts,
        "value": value,
        "mean_value": value / counts,
        "last_value": bought.value[ends],
        "lines": lines / counts,
        "products": fresh,
        "fresh_share": fresh / np.maximum(lines, 1),
        "mean_gap_days": mean_gap,
        "spread_gap_days": np.sqrt(np.maximum(squares / repeats - np.where(counts > 1, mean_gap, 0) ** 2, 0)),
        "last_gap_days": np.nan_to_num(bought.gap[ends], nan=MISSING),
        "wait_ratio": recency / (mean_gap + 1),
        "invoices_a_month": counts / np.maximum(age, DAYS) * DAYS,
        "days_bought": _days(bought, member, count),
        "returns": returns,
        "home": bought.home[ends].astype(np.float64),
    }
    for back_days in RECENT:
        recent = bought.at >= cutoff - back_days
        fields[f"invoices_{back_days}_days"] = np.bincount(member[recent], minlength=count).astype(np.float64)
        fields[f"value_{back_days}_days"] = _sums(member[recent], bought.value[recent], count)
    return customers, fields


ENCODERS: dict[str, Encoder] = {
    "recency_days": Log(400),
    "age_days": Log(400),
    "invoices": Log(50),
    "value": Log(20_000),
    "mean_value": Log(5000),
    "last_value": Log(5000),
    "lines": Log(200),
    "products": Log(500),
    "fresh_share": Share(1.0),
    "mean_gap_days": Log(MISSING),
    "spread_gap_days": Log(200),
    "last_gap_days": Log(MISSING),
    "wait_ratio": Log(20),
    "invoices_a_month": Log(10),
    "days_bought": Log(50),
    "returns": Log(20),
    "home": Flags(),
    **{f"invoices_{days}_days": Log(20) for days in RECENT},
    **{f"value_{days}_days": Log(20_000) for days in RECENT},
}
"""Fields at a cut-off with their encoders; no constant is estimated from the data."""


def _sums(member: Rows, weights: Floats, count: int) -> Floats:
    """Return (count,) weights summed for each member."""
    return np.bincount(member, weights=weights, minlength=count).astype(np.float64)


def _count(customers: Rows, occurrences: Rows) -> Floats:
    """Return (n,) the number of occurrences of each of the sorted customers."""
    at = np.searchsorted(customers, occurrences)
    in_range = at < len(customers)
    at, occurrences = at[in_range], occurrences[in_range]
    return np.bincount(at[customers[at] == occurrences], minlength=len(customers)).astype(np.float64)


def _days(bought: Purchases, member: Rows, count: int) -> Floats:
    """Return (n,) the number of different days on which each customer bought."""
    days = np.floor(bought.at)
    new = np.ones(len(days), dtype=np.bool_)
    new[1:] = (days[1:] != days[:-1]) | (member[1:] != member[:-1])
    return np.bincount(member[new], minlength=count).astype(np.float64)


def read(path: Path) -> Purchases:
    """Read the published file, without lines of unknown customers, lines without a price, and duplicates.

    Raises:
        TerminalError: the file is missing or differs from the published file.
    """
    try:
        table = pyarrow.csv.read_csv(
            path, convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(FIELDS[:3], pa.string()))
        )
    except (OSError, pa.ArrowInvalid) as error:
        raise TerminalError(f"reading {path} failed: {type(error).__name__}", _REMEDY) from error
    if tuple(table.column_names) != FIELDS:
        raise TerminalError(f"{path} has other columns than the published file", _REMEDY)
    rows = pc.and_(pc.is_valid(table["CustomerID"]), pc.greater(table["UnitPrice"], 0))
    table = table.filter(rows).group_by(list(FIELDS)).aggregate([])
    if not table.num_rows:
        raise TerminalError(f"{path} has no line with a customer id", _REMEDY)
    return _invoices(table)


_REMEDY = f"give the UCI file (dataset 352) by --data FOLDER, named {FILE}"


def _invoices(table: pa.Table) -> Purchases:
    """Aggregate lines to invoices; a negative quantity is a return."""
    customer = table["CustomerID"].to_numpy().astype(np.int64)
    at = table["InvoiceDate"].to_numpy().astype("datetime64[s]").astype(np.int64) / 86_400
    quantity = table["Quantity"].to_numpy().astype(np.float64)
    code = table["StockCode"].dictionary_encode().combine_chunks().indices.to_numpy()
    number = table["InvoiceNo"].dictionary_encode().combine_chunks().indices.to_numpy()
    order = np.lexsort((code, number, quantity < 0, at, customer))
    customer, at, quantity, code, number = (part[order] for part in (customer, at, quantity, code, number))
    price = table["UnitPrice"].to_numpy()[order]
    home = np.asarray(table["Country"].to_numpy() == HOME)[order]
    returned = quantity < 0
    fresh = _first(customer, code, returned)
    key = np.stack([customer, number, returned])
    first = np.ones(len(at), dtype=np.bool_)
    first[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
    invoice = np.cumsum(first) - 1
    invoice_keys = customer[first], at[first], returned[first]
    return Purchases(
        customer=invoice_keys[0],
        at=invoice_keys[1],
        value=_sums(invoice, np.abs(quantity) * price, int(first.sum())),
        lines=np.bincount(invoice).astype(np.float64),
        fresh=_sums(invoice, fresh, int(first.sum())),
        returned=invoice_keys[2],
        home=home[first],
        gap=_gaps(*invoice_keys),
    )


def _first(customer: Rows, code: Rows, returned: Labels) -> Floats:
    """Return (n,) 1 if a line is the customer's first purchase of its product; lines are sorted by time."""
    bought = np.flatnonzero(~returned)
    codes = int(code.max(initial=0)) + 1
    _, earliest = np.unique(customer[bought] * codes + code[bought], return_index=True)
    fresh = np.zeros(len(customer))
    fresh[bought[earliest]] = 1.0
    return fresh


def _gaps(customer: Rows, at: Floats, returned: Labels) -> Floats:
    """Return (m,) days since the same customer's previous purchase, NaN for the first and for returns."""
    bought = np.flatnonzero(~returned)
    gap = np.full(len(at), np.nan)
    same = customer[bought][1:] == customer[bought][:-1]
    gap[bought[1:]] = np.where(same, np.diff(at[bought]), np.nan)
    return cast("Floats", gap)
