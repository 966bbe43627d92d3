"""Plan of synthetic sessions: seed, interval, volume, population, fault rates, and the limits that set the outcome."""

import math
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

from msgspec import Struct, structs

from include.contracts.errors import SettingsError
from include.contracts.settings import Settings

GENERATOR = "1"
"""Version of the generator: the same plan and version give the same bytes."""

MIN_POPULATION = 20_000
PEAK_FACTOR = 3.0
USERS_PER_PEAK_MINUTE = 2.0
SHOP_CLICKS_PER_S = 1.0
SHOP_SESSIONS_PER_USER_MINUTE = 3
SHOP_SESSIONS_PER_NETWORK_MINUTE = 12
FUTURE_DAYS = (400, 1_400)
PAST_DAYS = 4
MAX_SESSIONS = 1_000_000_000


class Fault(StrEnum):
    """Injected faults. Each record has at most one; the name is the field of its rate in `FaultRates`."""

    BOT_USER = "bot_user"
    BOT_NETWORK = "bot_network"
    PACE = "pace"
    NEW_USER_UNKNOWN_DEVICE = "new_user_unknown_device"
    NEW_USER_UNKNOWN_REFERRER = "new_user_unknown_referrer"
    KNOWN_USER_UNKNOWN_DEVICE = "known_user_unknown_device"
    DUPLICATE = "duplicate"
    LATE = "late"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    NOT_UTF8 = "not_utf8"
    MALFORMED = "malformed"
    UNKNOWN_VERSION = "unknown_version"
    CONTRACT = "contract"
    REPEATED_KEY = "repeated_key"
    CONTROL_CHARACTER = "control_character"
    WRONG_KEY = "wrong_key"
    NULL_KEY = "null_key"
    FUTURE_CLOCK = "future_clock"
    PAST_CLOCK = "past_clock"


class FaultRates(Struct, frozen=True, kw_only=True):
    """Rate of each injected fault, per visit of the plan.

    Bot rates are bursts per visit, each of many additional records. Every other fault affects one visit; the sum of
    their rates is less than 1.
    """

    bot_user: float = 1 / 4_000
    bot_network: float = 1 / 20_000
    pace: float = 0.004
    new_user_unknown_device: float = 0.004
    new_user_unknown_referrer: float = 0.004
    known_user_unknown_device: float = 0.004
    duplicate: float = 0.006
    late: float = 0.005
    empty: float = 0.001
    too_long: float = 0.000_2
    not_utf8: float = 0.001
    malformed: float = 0.003
    unknown_version: float = 0.001
    contract: float = 0.003
    repeated_key: float = 0.001
    control_character: float = 0.001
    wrong_key: float = 0.001
    null_key: float = 0.001
    future_clock: float = 0.001
    past_clock: float = 0.001

    @classmethod
    def none(cls) -> "FaultRates":
        """Return rates of 0."""
        return cls(**dict.fromkeys(cls.__struct_fields__, 0.0))

    @classmethod
    def scaled(cls, factor: float) -> "FaultRates":
        """Return the default rates, multiplied by `factor`."""
        return cls(**{name: rate * factor for name, rate in structs.asdict(cls()).items()})

    def per_visit_rates(self) -> list[tuple[Fault, float]]:
        """Return the faults of single visits with their rates, in a fixed order."""
        return [(fault, getattr(self, fault)) for fault in Fault if fault not in (Fault.BOT_USER, Fault.BOT_NETWORK)]


class Limits(Struct, frozen=True, kw_only=True):
    """The settings of the gate that determine the verdicts."""

    partitions: int
    max_user_sessions_per_minute: int
    max_network_sessions_per_minute: int
    max_clicks_per_s: float
    max_record_bytes: int
    lateness_threshold_s: int
    max_future_s: int
    max_past_days: int
    duplicate_window_s: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Return the limits of these settings."""
        gate = settings.gate
        return cls(
            partitions=settings.kafka.partitions,
            max_user_sessions_per_minute=gate.max_user_sessions_per_minute,
            max_network_sessions_per_minute=gate.max_network_sessions_per_minute,
            max_clicks_per_s=gate.max_clicks_per_s,
            max_record_bytes=gate.max_record_bytes,
            lateness_threshold_s=settings.stream.lateness_threshold_s,
            max_future_s=gate.max_future_s,
            max_past_days=gate.max_past_days,
            duplicate_window_s=gate.duplicate_window_s,
        )


class Plan(Struct, frozen=True, kw_only=True):
    """One interval of the synthetic shop. Equal plans give equal bytes.

    `sessions` visits arrive in [start, end), distributed over hours and weekdays like real shopping. Repeated records
    and bots are additional. A visit belongs to the interval in which it *arrives*: it began up to an hour earlier, a
    late one up to a day.
    """

    seed: int
    start: datetime
    end: datetime
    sessions: int
    population: int
    faults: FaultRates
    limits: Limits

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        seed: int,
        start: datetime,
        end: datetime,
        sessions: int,
        faults: FaultRates | None = None,
        population: int | None = None,
    ) -> "Plan":
        """Return a valid plan for the gate's settings; without `population`, one large enough for the volume.

        Raises SettingsError for a plan without a valid ground truth.
        """
        if population is None:
            minutes = max((end - start).total_seconds() / 60, 1 / 60)
            population = max(MIN_POPULATION, math.ceil(USERS_PER_PEAK_MINUTE * PEAK_FACTOR * sessions / minutes))
        plan = cls(
            seed=seed,
            start=start,
            end=end,
            sessions=sessions,
            population=population,
            faults=faults if faults is not None else FaultRates(),
            limits=Limits.of(settings),
        )
        plan.check()
        return plan

    @property
    def tag(self) -> str:
        """Twelve characters that identify (seed, interval); part of every session id."""
        text = f"{self.seed}:{microseconds(self.start)}:{microseconds(self.end)}"
        return blake2b(text.encode(), digest_size=6).hexdigest()

    @property
    def peak_per_minute(self) -> float:
        """Maximum number of visits expected in one minute."""
        minutes = max((self.end - self.start).total_seconds() / 60, 1.0)
        return PEAK_FACTOR * self.sessions / minutes

    def check(self) -> None:
        """Raise SettingsError if interval, volume, population, rates or limits are inconsistent."""
        problems = [text for causes, text in self._problems() if causes]
        if problems:
            raise SettingsError("; ".join(problems), "change the plan or the named setting")

    def _problems(self) -> list[tuple[bool, str]]:
        limits = self.limits
        naive = self.start.tzinfo is None or self.end.tzinfo is None
        rates = [rate for _, rate in self.faults.per_visit_rates()]
        all_rates = structs.asdict(self.faults).values()
        return [
            (naive, "start and end need a time zone"),
            (not naive and self.start >= self.end, "the interval is empty: end is not after start"),
            (not 0 <= self.sessions <= MAX_SESSIONS, f"sessions is not within 0 and {MAX_SESSIONS}"),
            (self.population < 1, "population is below 1"),
            (
                not naive and self.population < USERS_PER_PEAK_MINUTE * self.peak_per_minute,
                f"population {self.population} is too small for {self.sessions} sessions in this interval",
            ),
            (any(not 0 <= rate <= 1 for rate in all_rates), "a fault rate is not within 0 and 1"),
            (sum(rates) >= 1, "fault rates of a visit add up to 1 or more"),
            (limits.max_clicks_per_s <= SHOP_CLICKS_PER_S, f"max_clicks_per_s is not above {SHOP_CLICKS_PER_S:g}"),
            (
                limits.max_user_sessions_per_minute < SHOP_SESSIONS_PER_USER_MINUTE,
                f"max_user_sessions_per_minute is below {SHOP_SESSIONS_PER_USER_MINUTE}",
            ),
            (
                limits.max_network_sessions_per_minute
                < max(SHOP_SESSIONS_PER_NETWORK_MINUTE, limits.max_user_sessions_per_minute),
                "max_network_sessions_per_minute is below "
                f"{SHOP_SESSIONS_PER_NETWORK_MINUTE} or max_user_sessions_per_minute",
            ),
        ]

    def check_clock(self, now: datetime) -> None:
        """Raise SettingsError if the interval is too far from `now`, the broker's time, for exact counts.

        A visit must not begin later than the gate tolerates, nor be too old. An injected future clock, which is
        `FUTURE_DAYS` after the interval, must still be in the future.
        """
        limits = self.limits
        age = now - self.start + timedelta(days=2)
        problems = [
            (self.end > now + timedelta(seconds=limits.max_future_s), "the interval ends in the future"),
            (age.days >= limits.max_past_days, "the interval starts more than SHOWROOM_GATE_MAX_PAST_DAYS ago"),
            (
                self.faults.future_clock > 0
                and self.end + timedelta(days=FUTURE_DAYS[0]) < now + timedelta(seconds=limits.max_future_s),
                "the interval lies too far back for the fault future_clock",
            ),
            (
                self.faults.past_clock > 0 and (now - EPOCH).days - PAST_DAYS <= limits.max_past_days,
                "SHOWROOM_GATE_MAX_PAST_DAYS is too high for the fault past_clock",
            ),
        ]
        causes = [text for is_invalid, text in problems if is_invalid]
        if causes:
            raise SettingsError("; ".join(causes), "choose another interval or setting, or set the fault's rate to 0")


def microseconds(instant: datetime) -> int:
    """Return microseconds since 1970."""
    return (instant - EPOCH) // MICROSECOND


EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
MICROSECOND = timedelta(microseconds=1)


def instant(us: int) -> datetime:
    """Return the time `us` microseconds after 1970, in UTC."""
    return EPOCH + timedelta(0, 0, us)
