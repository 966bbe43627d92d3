"""Online Retail invoices: CSV, one line of an invoice a line; one visit an invoice.

The log holds what was bought, nothing of the visit around it: a line is one viewed product, the duration
0. An invoice without a customer is one anonymous user's. Cancellations (number begins with C) are noted
as `cancelled` and left out; everything else is a visit, write-offs and adjustments of the books too, and
its amount the exact sum of quantity times price: `purchase.made` where money moved, either way.
"""

from collections.abc import Hashable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from include.contracts.session import MAX_VIEWS, View
from include.ingest.readers.lines import BadLineError, Line, Notes, cells, rows
from include.ingest.readers.visit import (
    MAX_MONEY,
    LoggedVisit,
    OpenVisit,
    OpenVisits,
    identifier,
    label,
    moment,
    money,
)

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
CANCELLATION = "C"
MAX_INVOICE = 50
_OTHER_TIME = "%m/%d/%Y %H:%M"


class Item(NamedTuple):
    """One checked line."""

    invoice: str
    view: View
    value: Decimal
    at: datetime
    customer: str
    country: str | None


def recognises(first: str) -> bool:
    """Whether a first line names the columns of this format."""
    try:
        return set(COLUMNS) <= set(cells(first))
    except BadLineError:
        return False


def read(lines: Iterator[Line], notes: Notes) -> Iterator[LoggedVisit]:
    """The invoices of the log as visits, each handed out once half an hour of the log has passed it."""
    invoices = OpenVisits(notes)
    for number, row in rows(lines, notes, COLUMNS):
        if row[0].startswith(CANCELLATION):
            notes.counts["cancelled"] += 1
            continue
        try:
            item = _item(row)
        except BadLineError as error:
            notes.reject(number, str(error))
            continue
        for key, over in invoices.silent(item.at):
            yield _closed(key, over)
        try:
            yield from _enter(invoices, item, notes)
        except BadLineError as error:
            notes.reject(number, str(error))
    for key, over in invoices.rest():
        yield _closed(key, over)


def _item(row: list[str]) -> Item:
    invoice, stock_code, description, quantity, at, price, customer, country = row
    each = money(price, "UnitPrice")
    try:
        value = int(quantity) * each
    except ValueError:
        raise BadLineError(f"has a Quantity that is no whole number: {quantity[:40]!r}") from None
    if abs(value) > MAX_MONEY:
        raise BadLineError("comes to more than a thousand million")
    if len(invoice) > MAX_INVOICE or len(customer) > MAX_INVOICE:
        raise BadLineError(f"has an InvoiceNo or a CustomerID longer than {MAX_INVOICE} characters")
    view = View(
        product_id=identifier(stock_code, "StockCode"),
        name=label(description, "Description"),
        category=None,
        price=float(each),
        seconds=None,
        review=None,
    )
    return Item(
        invoice=identifier(invoice, "InvoiceNo"),
        view=view,
        value=value,
        at=moment(at, "InvoiceDate", _OTHER_TIME),
        customer=label(customer, "CustomerID") or "",
        country=label(country, "Country"),
    )


def _enter(invoices: OpenVisits, item: Item, notes: Notes) -> Iterator[LoggedVisit]:
    """Add a line to its invoice; hands out what was there where one visit cannot hold more."""
    key = (item.invoice, item.customer)
    visit = invoices.find(key)
    if visit is not None and len(visit.views) >= MAX_VIEWS:
        notes.counts["split"] += 1
        yield _closed(key, invoices.take(key))
        visit = invoices.put(key, OpenVisit(visit.user_id, item.at, part=visit.part + 1))
    elif visit is None:
        user_id = f"or-{item.customer}" if item.customer else f"or-anonymous-{item.invoice}"
        visit = invoices.put(key, OpenVisit(user_id, item.at))
        visit.last_action = "checkout"
        visit.country = item.country
    visit.pay(item.value)
    visit.touch(item.at)
    visit.views.append(item.view)
    visit.made = visit.amount != 0


def _closed(key: Hashable, visit: OpenVisit) -> LoggedVisit:
    invoice = key[0] if isinstance(key, tuple) else key
    suffix = f"-{visit.part}" if visit.part > 1 else ""
    return visit.close(f"or-{invoice}{suffix}", duration_s=0)
