"""Bots: single users with too many sessions, and many users in one network."""

import math
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from random import Random
from typing import NamedTuple

from include.contracts.reject_reasons import Reason
from include.contracts.session import Device, Location, Purchase, Session, User, View
from include.ingest.catalogue import PRODUCTS
from include.ingest.customers import DESKTOP
from include.ingest.labelled_record import VALID, Verdict, partition_of
from include.ingest.plan import Fault, Plan, instant
from include.ingest.seasonality import Slice
from include.ingest.visits import SECOND_US

MINUTE_US = 60 * SECOND_US
SETTLED_US = 75 * SECOND_US
MAX_BOT_DURATION_S = 9
USER_BURST = (1.3, 3.0)
NETWORK_BURST = (1.3, 1.6)
_NO_LOCATION = Location(country=None, state=None, city=None, zip=None)
_NO_USER_DATA = User(name=None, email=None, gender=None)
_NO_PURCHASE = Purchase(made=False, amount=0.0, payment=None)


class BotSession(NamedTuple):
    """A bot's session, its arrival, its expected verdict, and whether it is its user's first admitted session."""

    session: Session
    arrives_us: int
    fault: Fault
    verdict: Verdict
    is_first_admitted: bool


class Bots:
    """The bursts of one plan. Networks are assigned in turn, so that no two bursts of a minute share one."""

    def __init__(self, plan: Plan, end_us: int) -> None:
        self._plan = plan
        self._end_us = end_us
        self._users = 0
        self._networks = 0
        self._base = int.from_bytes(blake2b(plan.tag.encode(), digest_size=4).digest(), "big")

    def bursts(self, rng: Random, part: Slice) -> Iterator[BotSession]:
        """Return the sessions of the bursts that begin in a slice; each burst in order of arrival."""
        rates = self._plan.faults
        for _ in range(int(part.sessions * rates.bot_user + rng.random())):
            yield from self._user_burst(rng, self._time(rng, part))
        for _ in range(int(part.sessions * rates.bot_network + rng.random())):
            yield from self._network_burst(rng, self._time(rng, part))

    def _time(self, rng: Random, part: Slice) -> int:
        return part.start + int(rng.random() * (part.end - part.start))

    def _user_burst(self, rng: Random, arrives_us: int) -> Iterator[BotSession]:
        """Return a burst of one user in one event minute: the first sessions pass, the others exceed the limit."""
        limit = self._plan.limits.max_user_sessions_per_minute
        number = self._users
        self._users += 1
        user = f"b-{self._plan.tag}-u{number}"
        block = (self._base + number) % 4_096
        address = f"172.{16 + (block >> 8)}.{block & 255}.{1 + number % 250}"
        device = rng.choice(DESKTOP)
        count = math.ceil(limit * rng.uniform(*USER_BURST)) + 1
        for index in range(count):
            session = self._session(rng, f"{user}-{index}", user, address, device, arrives_us)
            verdict: Verdict = VALID if index < limit else Reason.RATE_USER
            yield BotSession(session, self._arrival(arrives_us, index), Fault.BOT_USER, verdict, index == 0)

    def _network_burst(self, rng: Random, arrives_us: int) -> Iterator[BotSession]:
        """Return a burst of many users in one /24 in one event minute: in each partition the first sessions pass."""
        limits = self._plan.limits
        number = self._networks
        self._networks += 1
        block = (self._base + number) % 16_384
        admitted: Counter[int] = Counter()
        count = math.ceil(limits.max_network_sessions_per_minute * limits.partitions * rng.uniform(*NETWORK_BURST))
        for index in range(count):
            user = f"b-{self._plan.tag}-n{number}-{index}"
            address = f"100.{64 + (block >> 8)}.{block & 255}.{rng.randint(1, 254)}"
            session = self._session(rng, user, user, address, rng.choice(DESKTOP), arrives_us)
            partition = partition_of(user.encode(), limits.partitions)
            is_admitted = admitted[partition] < limits.max_network_sessions_per_minute
            admitted[partition] += is_admitted
            verdict: Verdict = VALID if is_admitted else Reason.RATE_NETWORK
            yield BotSession(session, self._arrival(arrives_us, index), Fault.BOT_NETWORK, verdict, is_admitted)

    def _arrival(self, first_us: int, index: int) -> int:
        return min(first_us + index * 20_000, self._end_us - 1)

    def _session(self, rng: Random, name: str, user: str, address: str, device: Device, arrives_us: int) -> Session:
        """Return a short session within the last full minute before the burst began."""
        minute = (arrives_us - SETTLED_US) // MINUTE_US * MINUTE_US
        duration = rng.randint(3, MAX_BOT_DURATION_S)
        product = rng.choice(PRODUCTS)
        view = View(
            product_id=product.product_id,
            name=product.name,
            category=product.category,
            price=float(product.price),
            seconds=1,
            review=None,
        )
        return Session(
            v=1,
            session_id=f"s-{name}",
            user_id=user,
            started_at=instant(minute + rng.randrange(60_000) * 1_000),
            duration_s=duration,
            user=_NO_USER_DATA,
            ip=address,
            device=device,
            location=_NO_LOCATION,
            referrer="direct",
            page_views=rng.randint(1, 3),
            clicks=rng.randint(0, duration),
            views=[view],
            last_action="view_item",
            exit_page=f"/product/{product.product_id}",
            purchase=_NO_PURCHASE,
        )
