"""Customers of the synthetic shop: each a pure function of (seed, index), with a skewed number of visits."""

import unicodedata
from bisect import bisect
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from random import Random

from include.contracts.session import Device, Gender, Location, Referrer, User
from include.ingest.catalogue import CATEGORIES
from include.ingest.customers import DESKTOP, FIRST_NAMES, LAST_NAMES, MOBILE, TABLET
from include.ingest.locations import CITIES
from include.ingest.seasonality import LOCAL_HABITS

MAX_TOP_SHARE = 0.002
MAX_TOP_PER_MINUTE = 0.5
MAX_CACHED_PROFILES = 60_000
GENDER_DISCLOSED_SHARE = 0.95
IPV6_SHARE = 0.2
REFERRERS: tuple[Referrer, ...] = ("google", "facebook", "instagram", "partner", "direct")
_REFERRER_STYLES = ((50, 5, 3, 12, 30), (20, 30, 12, 8, 30), (15, 10, 45, 5, 25), (25, 5, 5, 10, 55))
_EXPONENT = 0.2
_REGULAR_SHARE = 0.02
_OCCASIONAL_SHARE = 0.2
_IPV4_USERS = 1 << 17
_NETWORKS = 1 << 16
_NETWORK_STRIDE = 40_503


@dataclass(frozen=True, slots=True)
class Profile:
    """One customer. Cumulative tables end at 1; `loyalty` is 0 rare, 1 occasional, 2 regular."""

    user_id: str
    user: User
    location: Location
    offset_h: int
    habit: tuple[float, ...]
    devices: tuple[Device, Device]
    addresses: tuple[str, str]
    referrers: tuple[float, ...]
    affinity: tuple[float, ...]
    engagement: float
    critical: float
    loyalty: int


class Population:
    """`size` customers; index 0 visits most often.

    The weight of index x is (x + q) ** -0.8 with q such that no user makes up more than `MAX_TOP_SHARE`
    of the visits or more than `MAX_TOP_PER_MINUTE` visits of a peak minute on average.
    """

    def __init__(self, seed: int, size: int, peak_per_minute: float) -> None:
        self.size = size
        self._seed = seed
        top = min(MAX_TOP_SHARE, MAX_TOP_PER_MINUTE / max(peak_per_minute, 1e-9))
        self._shift = _shift(size, max(top, 1.02 / size))
        self._low = self._shift**_EXPONENT
        self._span = (size + self._shift) ** _EXPONENT - self._low
        self.profile = lru_cache(MAX_CACHED_PROFILES)(self._profile)

    def draw(self, uniform: float) -> int:
        """Return the index of the next visitor for one uniform draw in [0, 1)."""
        root = self._low + uniform * self._span
        return min(int(root**5 - self._shift), self.size - 1)

    def loyalty(self, index: int) -> int:
        """Return 0 rare, 1 occasional or 2 regular; observable as the number of earlier visits."""
        return 2 if index < self.size * _REGULAR_SHARE else 1 if index < self.size * _OCCASIONAL_SHARE else 0

    def _profile(self, index: int) -> Profile:
        rng = Random(f"{self._seed}:person:{index}")
        rand = rng.random
        position = CITIES[bisect(_CITY_TABLE, rand())]
        tastes = [0.15 + rand() ** 4 for _ in CATEGORIES]
        return Profile(
            user_id=f"u-{self._seed}-{index:06d}",
            user=_person(rng, index),
            location=Location(
                country=position.country, state=position.state, city=position.city, zip=rng.choice(position.zips)
            ),
            offset_h=position.offset_h,
            habit=LOCAL_HABITS[int(rand() ** 0.8 * len(LOCAL_HABITS))],
            devices=_devices(rng),
            addresses=_addresses(rng, index),
            referrers=_STYLE_TABLES[int(rand() * len(_STYLE_TABLES))],
            affinity=cumulative(tastes),
            engagement=rng.gauss(0.0, 0.4),
            critical=rand(),
            loyalty=self.loyalty(index),
        )


def cumulative(weights: "list[float] | tuple[float, ...]") -> tuple[float, ...]:
    """Return cumulative shares without the last, so that `bisect(table, uniform)` is an index of `weights`."""
    total = sum(weights)
    return tuple(part / total for part in accumulate(weights[:-1]))


_CITY_TABLE = cumulative([place.weight for place in CITIES])
_STYLE_TABLES = tuple(cumulative(style) for style in _REFERRER_STYLES)
_DEVICE_TABLE = cumulative([0.5, 0.4, 0.1])
_GENDER_TABLE = cumulative([0.5, 0.46, 0.04])
_GENDERS: tuple[Gender, ...] = ("f", "m", "x")


def _shift(size: int, top: float) -> float:
    """Return the q at which the most frequent visitor has the share `top`, by bisection."""
    low, high = 1e-3, size * 1e4
    for _ in range(80):
        middle = (low * high) ** 0.5
        share = _EXPONENT * middle ** (_EXPONENT - 1) / ((size + middle) ** _EXPONENT - middle**_EXPONENT)
        low, high = (middle, high) if share > top else (low, middle)
    return high


def _person(rng: Random, index: int) -> User:
    gender = _GENDERS[bisect(_GENDER_TABLE, rng.random())]
    first, last = rng.choice(FIRST_NAMES[gender]), rng.choice(LAST_NAMES)
    plain = unicodedata.normalize("NFKD", f"{first}.{last}".lower()).encode("ascii", "ignore").decode()
    is_disclosed = rng.random() < GENDER_DISCLOSED_SHARE
    return User(name=f"{first} {last}", email=f"{plain}.{index}@example.com", gender=gender if is_disclosed else None)


def _devices(rng: Random) -> tuple[Device, Device]:
    style = rng.random()
    mobile, desktop, tablet = rng.choice(MOBILE), rng.choice(DESKTOP), rng.choice(TABLET)
    return ((mobile, desktop), (desktop, mobile), (tablet, desktop))[bisect(_DEVICE_TABLE, style)]


def _addresses(rng: Random, index: int) -> tuple[str, str]:
    """Return a customer's home address and mobile address.

    At most two customers are at home in one IPv4 /24 and two mobile ones, at most two in one IPv6 /48. A network of the
    shop therefore never exceeds the gate's rate limit.
    """
    host, version_six = 1 + (index >> 16), rng.random() < IPV6_SHARE
    if index >= _IPV4_USERS:
        home = f"3fff:{index >> 16 & 0xFFF:x}:{index & 0xFFFF:x}::{host:x}"
        return home, home
    if version_six:
        home = f"2001:db8:{index & 0xFFFF:x}:{index >> 16:x}::1"
    else:
        net = index * _NETWORK_STRIDE % _NETWORKS
        home = f"10.{net >> 8}.{net & 255}.{host}"
    mobile = (index * _NETWORK_STRIDE + _NETWORKS // 2) % _NETWORKS
    return home, f"10.{mobile >> 8}.{mobile & 255}.{host + 100}"
