"""Online Retail invoices: CSV, one invoice line per line; one visit per invoice.

The log contains purchases only, not the visit around them: a line is one viewed product, and the duration is 0. An
invoice without a customer belongs to an anonymous user. Cancellations (number begins with C) are counted as `cancelled`
and skipped. Every other invoice is a visit, including write-offs and bookkeeping adjustments. Its amount is the exact
sum of quantity times price; `purchase.made` is true if that is not 0.
"""

from collections.abc import Hashable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from include.contracts.session import MAX_VIEWS, View
from include.ingest.readers.lines import BadLineError, Line, ReaderStats, read_csv_rows, split_csv_line
from include.ingest.readers.visit import (
    MAX_MONEY,
    LoggedVisit,
    OpenVisit,
    OpenVisits,
    parse_amount,
    parse_identifier,
    parse_label,
    parse_timestamp,
)

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
CANCELLATION = "C"
MAX_INVOICE_LENGTH = 50
_US_TIME_FORMAT = "%m/%d/%Y %H:%M"


class Item(NamedTuple):
    """One validated line."""

    invoice: str
    view: View
    value: Decimal
    timestamp: datetime
    customer: str
    country: str | None


def matches(first: str) -> bool:
    """Return whether a first line names the columns of this format."""
    try:
        return set(COLUMNS) <= set(split_csv_line(first))
    except BadLineError:
        return False


def read(lines: Iterator[Line], stats: ReaderStats) -> Iterator[LoggedVisit]:
    """Yield the invoices of the log as visits, each once half an hour of the log has passed it."""
    invoices = OpenVisits(stats)
    for number, row in read_csv_rows(lines, stats, COLUMNS):
        if row[0].startswith(CANCELLATION):
            stats.counts["cancelled"] += 1
            continue
        try:
            item = _item(row)
        except BadLineError as error:
            stats.reject(number, str(error))
            continue
        for key, visit in invoices.pop_expired(item.timestamp):
            yield _close(key, visit)
        try:
            yield from _enter(invoices, item, stats)
        except BadLineError as error:
            stats.reject(number, str(error))
    for key, visit in invoices.pop_all():
        yield _close(key, visit)


def _item(row: list[str]) -> Item:
    invoice, stock_code, description, quantity, timestamp, price, customer, country = row
    unit_price = parse_amount(price, "UnitPrice")
    try:
        value = int(quantity) * unit_price
    except ValueError:
        raise BadLineError(f"has a Quantity that is not an integer: {quantity[:40]!r}") from None
    if abs(value) > MAX_MONEY:
        raise BadLineError("exceeds a total of 1e9")
    if len(invoice) > MAX_INVOICE_LENGTH or len(customer) > MAX_INVOICE_LENGTH:
        raise BadLineError(f"has an InvoiceNo or a CustomerID longer than {MAX_INVOICE_LENGTH} characters")
    view = View(
        product_id=parse_identifier(stock_code, "StockCode"),
        name=parse_label(description, "Description"),
        category=None,
        price=float(unit_price),
        seconds=None,
        review=None,
    )
    return Item(
        invoice=parse_identifier(invoice, "InvoiceNo"),
        view=view,
        value=value,
        timestamp=parse_timestamp(timestamp, "InvoiceDate", _US_TIME_FORMAT),
        customer=parse_label(customer, "CustomerID") or "",
        country=parse_label(country, "Country"),
    )


def _enter(invoices: OpenVisits, item: Item, stats: ReaderStats) -> Iterator[LoggedVisit]:
    """Add a line to its invoice; yield the earlier lines if one visit cannot contain more."""
    key = (item.invoice, item.customer)
    visit = invoices.get(key)
    if visit is not None and len(visit.views) >= MAX_VIEWS:
        stats.counts["split"] += 1
        yield _close(key, invoices.pop(key))
        visit = invoices.add(key, OpenVisit(visit.user_id, item.timestamp, part=visit.part + 1))
    elif visit is None:
        user_id = f"or-{item.customer}" if item.customer else f"or-anonymous-{item.invoice}"
        visit = invoices.add(key, OpenVisit(user_id, item.timestamp))
        visit.last_action = "checkout"
        visit.country = item.country
    visit.add_amount(item.value)
    visit.extend(item.timestamp)
    visit.views.append(item.view)
    visit.made = visit.amount != 0


def _close(key: Hashable, visit: OpenVisit) -> LoggedVisit:
    invoice = key[0] if isinstance(key, tuple) else key
    suffix = f"-{visit.part}" if visit.part > 1 else ""
    return visit.close(f"or-{invoice}{suffix}", duration_s=0)
