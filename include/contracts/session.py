"""The session record: what a source sends (`Session`) and what leaves the gate (`ValidSession`).

Both are closed: any other field is a contract violation. Every field is required;
a value that the source does not collect is `null`, or `not_collected` in an enumeration. The JSON Schema, the
Flink table, the index mappings and docs/contracts.md are derived from these classes.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

VERSION = 1
MAX_VIEWS = 2_000
MAX_LABEL_LENGTH = 200
MAX_TEXT_LENGTH = 4_000

DeviceType = Literal["mobile", "desktop", "tablet", "unknown", "not_collected"]
Referrer = Literal["google", "facebook", "instagram", "partner", "direct", "unknown", "not_collected"]
LastAction = Literal["view_item", "search", "add_to_cart", "checkout"]
Payment = Literal["credit_card", "paypal", "other"]
Gender = Literal["f", "m", "x"]

Identifier = Annotated[str, Meta(min_length=1, max_length=64)]
Label = Annotated[str, Meta(min_length=1, max_length=MAX_LABEL_LENGTH)]
Text = Annotated[str, Meta(max_length=MAX_TEXT_LENGTH)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Seconds = Annotated[int, Meta(ge=0, le=604_800)]
Money = Annotated[float, Meta(ge=-1e9, le=1e9, description="shop currency; a correction is negative")]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset")]


class _Record(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """Base: closed, immutable, without reference cycles."""


class User(_Record, frozen=True):
    """The visitor's personal data; only `gender` leaves the gate."""

    name: Label | None
    email: Label | None
    gender: Gender | None


class Device(_Record, frozen=True):
    """The visitor's device. `unknown`: not detected; `not_collected`: the source does not collect it."""

    type: DeviceType
    os: Label | None
    browser: Label | None


class Location(_Record, frozen=True):
    """The visitor's location, as far as the source knows it."""

    country: Label | None
    state: Label | None
    city: Label | None
    zip: Label | None


class View(_Record, frozen=True):
    """One viewed product; views are in order of time."""

    product_id: Identifier
    name: Label | None
    category: Label | None
    price: Money | None
    seconds: Seconds | None
    review: Text | None


class Purchase(_Record, frozen=True):
    """The outcome of the session. `amount` is the net value of its purchases."""

    made: bool
    amount: Money
    payment: Payment | None


Views = Annotated[list[View], Meta(max_length=MAX_VIEWS)]


class Session(_Record, frozen=True):
    """One finished visit to the shop, as a source sends it."""

    v: Literal[1]
    session_id: Identifier
    user_id: Identifier
    started_at: Instant
    duration_s: Seconds
    user: User
    ip: Annotated[str, Meta(max_length=45)] | None
    device: Device
    location: Location
    referrer: Referrer
    page_views: Count | None
    clicks: Count | None
    views: Views
    last_action: LastAction
    exit_page: Label | None
    purchase: Purchase


class ValidSession(_Record, frozen=True):
    """One admitted session without personal data, as the later stages read it.

    `user_id` is a keyed pseudonym, `network` the address cut to /24 (IPv6: /48), `received_at` the
    broker's time of the raw record, `categories` the distinct viewed categories in order of the first view,
    `returning` whether the gate had admitted this user before (from a Bloom filter). `exit_page` has no
    query string and no fragment; e-mail addresses and numbers of seven and more digits in a `review` are masked.
    """

    v: Literal[1]
    session_id: Identifier
    user_id: Identifier
    started_at: Instant
    ended_at: Instant
    received_at: Instant
    duration_s: Seconds
    gender: Gender | None
    returning: bool
    network: str | None
    device: Device
    location: Location
    referrer: Referrer
    page_views: Count | None
    clicks: Count | None
    views: Views
    categories: list[Label]
    last_action: LastAction
    exit_page: Label | None
    purchase: Purchase

    @property
    def document_id(self) -> str:
        """Id in every store. A source may give one session_id to two users; `user_id` contains no colon."""
        return f"{self.user_id}:{self.session_id}"
