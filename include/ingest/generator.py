"""Generator of the synthetic shop: from a plan to records in order of arrival and their ground truth."""

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate
from operator import attrgetter
from random import Random
from typing import NamedTuple

import msgspec
from msgspec import structs

from include.contracts.errors import TerminalError
from include.contracts.reject_reasons import Reason
from include.contracts.session import User
from include.ingest.bots import MINUTE_US, Bots
from include.ingest.customers import UNKNOWN_DEVICE
from include.ingest.distinct import IntSet
from include.ingest.expected_counts import Tally
from include.ingest.fault_injection import inject_fault
from include.ingest.ground_truth import GroundTruth
from include.ingest.labelled_record import VALID, LabelledRecord
from include.ingest.plan import GENERATOR, Fault, Plan, instant, microseconds
from include.ingest.population import Population, Profile
from include.ingest.purchase_model import NON_BUYER, describe
from include.ingest.seasonality import HOUR_US, Slice, local_hour, slices
from include.ingest.visits import (
    MAX_DURATION_S,
    SECOND_US,
    Engagement,
    Visit,
    build_visit,
    draw_delivery_delay_us,
    draw_engagement,
)

MAX_TRIES = 4
MAX_PER_USER_MINUTE = 2
LATE_SPREAD_US = 11 * HOUR_US
REPEAT_SHARE_SOON = 0.7
MAX_REPEAT_GAP_S = 6 * 3_600
_RETENTION_US = (MAX_DURATION_S + 120) * SECOND_US
_NEW_USER_BLOCKS = 512
_ANONYMOUS = User(name=None, email=None, gender=None)
_ADMITTED_FAULTS = (None, Fault.LATE, Fault.DUPLICATE, Fault.KNOWN_USER_UNKNOWN_DEVICE)
_NEW_USER_FAULTS = (Fault.NEW_USER_UNKNOWN_DEVICE, Fault.NEW_USER_UNKNOWN_REFERRER)


class SessionGenerator:
    """The records of a plan. Each iteration generates equal records; memory is bounded by one slice.

    `ground_truth` is available once an iteration has ended.
    """

    def __init__(self, plan: Plan) -> None:
        plan.check()
        self.plan = plan
        self._ground_truth: GroundTruth | None = None

    def __iter__(self) -> Iterator[LabelledRecord]:
        run = _Run(self.plan)
        yield from run.labelled_records()
        self._ground_truth = run.ground_truth()

    @property
    def ground_truth(self) -> GroundTruth:
        """Return the ground truth of all records.

        Raises:
            TerminalError: The iteration has not ended.
        """
        if self._ground_truth is None:
            raise TerminalError("the ground truth is not complete", "iterate over all records first")
        return self._ground_truth


def synthesize(plan: Plan) -> SessionGenerator:
    """Return the shop over one interval as an iterable of `LabelledRecord` with a `ground_truth` at its end."""
    return SessionGenerator(plan)


def build_ground_truth(plan: Plan) -> GroundTruth:
    """Return the ground truth of a plan; generates and discards every record."""
    synthesis = synthesize(plan)
    for _ in synthesis:
        pass
    return synthesis.ground_truth


class _Visitor(NamedTuple):
    """The visitor of one visit, its depth and its start."""

    person: int
    profile: Profile
    depth: Engagement
    started_us: int


class _Run:
    """One pass over a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tag = plan.tag
        self._end_us = microseconds(plan.end)
        self._population = Population(plan.seed, plan.population, plan.peak_per_minute)
        self._bots = Bots(plan, self._end_us)
        faults = plan.faults.per_visit_rates()
        self._faults: list[Fault | None] = [*(fault for fault, _ in faults), None]
        self._fault_table = list(accumulate(rate for _, rate in faults))
        self._visits_by_minute: dict[int, dict[int, int]] = defaultdict(dict)
        self._late_users_by_minute: dict[int, set[int]] = defaultdict(set)
        self._encode = msgspec.json.Encoder().encode
        self._tally = Tally()
        self._injected: Counter[str] = Counter()
        self._buckets: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        self._admitted = IntSet()
        self._transient_users = 0
        self._new_users = 0
        self._number = 0

    def labelled_records(self) -> Iterator[LabelledRecord]:
        waiting: list[LabelledRecord] = []
        for part in slices(self._plan):
            rng = Random(f"{GENERATOR}:{self._plan.seed}:{part.start}:{part.end}")
            self._drop_expired_minutes(part.start)
            ready: list[LabelledRecord] = []
            for position in sorted(rng.random() for _ in range(part.sessions)):
                arrives_us = part.start + int(position * (part.end - part.start))
                ready.append(self._visit(rng, arrives_us, waiting))
            waiting.extend(self._bot_records(rng, part))
            stop = instant(part.end)
            ready.extend(labelled for labelled in waiting if labelled.arrives_at < stop)
            waiting = [labelled for labelled in waiting if labelled.arrives_at >= stop]
            ready.sort(key=attrgetter("arrives_at"))
            yield from ready

    def ground_truth(self) -> GroundTruth:
        unique = len(self._admitted) + self._transient_users
        return GroundTruth(
            generator=GENERATOR,
            plans=[self._plan],
            expected=self._tally.expected(unique),
            injected={str(fault): count for fault, count in sorted(self._injected.items())},
            intent=describe({bucket: (counts[0], counts[1]) for bucket, counts in self._buckets.items()}),
            users={str(self._plan.seed): self._admitted.pack()},
            rows={category: minutes.pack() for category, minutes in sorted(self._tally.rows.items())},
            transient_users=self._transient_users,
        )

    def _visit(self, rng: Random, arrives_us: int, waiting: list[LabelledRecord]) -> LabelledRecord:
        """Return the record of one visit; append its duplicate, if any, to `waiting`."""
        self._number += 1
        session_id = f"s-{self._tag}-{self._number:07d}"
        fault = self._faults[bisect(self._fault_table, rng.random())]
        visitor = self._draw_visitor(rng, arrives_us, fault)
        if fault is Fault.KNOWN_USER_UNKNOWN_DEVICE and visitor.person not in self._admitted:
            fault = None
        made = build_visit(
            rng, self._apply_identity_fault(fault, visitor.profile), visitor.depth, session_id, visitor.started_us
        )
        if fault is not None:
            self._injected[fault] += 1
        if fault not in _ADMITTED_FAULTS:
            return self._build_faulty_record(rng, made, fault, arrives_us)
        self._admitted.add(visitor.person)
        self._count_admitted(made)
        labelled = LabelledRecord(
            key=made.session.user_id.encode(),
            value=self._encode(made.session),
            arrives_at=instant(arrives_us),
            session_id=session_id,
            verdict=VALID,
            fault=None if fault is Fault.DUPLICATE else fault,
        )
        if fault is Fault.DUPLICATE:
            waiting.append(self._build_duplicate(rng, labelled, arrives_us))
        return labelled

    def _draw_visitor(self, rng: Random, arrives_us: int, fault: Fault | None) -> _Visitor:
        """Draw a visitor by local hour who has not started too many visits in the same minute."""
        delay_us = draw_delivery_delay_us(rng)
        if fault is Fault.LATE:
            delay_us += (
                self._plan.limits.lateness_threshold_s * SECOND_US + HOUR_US // 2 + int(rng.random() * LATE_SPREAD_US)
            )
        while True:
            index = self._population.draw(rng.random())
            profile = self._population.profile(index)
            for _ in range(MAX_TRIES):
                if rng.random() < profile.habit[local_hour(arrives_us, profile.offset_h)]:
                    break
                index = self._population.draw(rng.random())
                profile = self._population.profile(index)
            depth = draw_engagement(rng, profile)
            started_us = (arrives_us - delay_us - depth.duration_s * SECOND_US) // 1_000 * 1_000
            if self._reserve_minute(index, started_us // MINUTE_US, late=fault is Fault.LATE):
                return _Visitor(index, profile, depth, started_us)

    def _reserve_minute(self, index: int, minute: int, *, late: bool) -> bool:
        """Return whether a user may start one more visit in a minute: at most two, and one that arrives late."""
        if late:
            fresh = index not in self._late_users_by_minute[minute]
            self._late_users_by_minute[minute].add(index)
            return fresh
        visits = self._visits_by_minute[minute].get(index, 0)
        if visits < MAX_PER_USER_MINUTE:
            self._visits_by_minute[minute][index] = visits + 1
        return visits < MAX_PER_USER_MINUTE

    def _drop_expired_minutes(self, now_us: int) -> None:
        """Drop the minutes in which no later visit can have started."""
        late_us = self._plan.limits.lateness_threshold_s * SECOND_US + HOUR_US + LATE_SPREAD_US
        for by_minute, retention_us in (
            (self._visits_by_minute, _RETENTION_US),
            (self._late_users_by_minute, _RETENTION_US + late_us),
        ):
            for minute in [minute for minute in by_minute if minute < (now_us - retention_us) // MINUTE_US]:
                del by_minute[minute]

    def _apply_identity_fault(self, fault: Fault | None, profile: Profile) -> Profile:
        """Return the profile as the site observes it: a new user or an unknown device for such faults."""
        if fault is Fault.KNOWN_USER_UNKNOWN_DEVICE:
            return replace(profile, devices=(UNKNOWN_DEVICE, UNKNOWN_DEVICE))
        if fault not in _NEW_USER_FAULTS:
            return profile
        number = self._new_users
        self._new_users += 1
        block = number % _NEW_USER_BLOCKS
        address = f"198.{18 + (block >> 8)}.{block & 255}.{1 + number // _NEW_USER_BLOCKS % 254}"
        return replace(
            profile,
            user_id=f"n-{self._tag}-{number}",
            user=_ANONYMOUS,
            addresses=(address, address),
            loyalty=0,
        )

    def _build_faulty_record(self, rng: Random, made: Visit, fault: Fault, arrives_us: int) -> LabelledRecord:
        faulty = inject_fault(fault, rng, made.session, self._plan.limits, self._end_us)
        self._tally.count_rejected(faulty.reason)
        return LabelledRecord(
            key=faulty.key,
            value=faulty.value,
            arrives_at=instant(arrives_us),
            session_id=made.session.session_id,
            verdict=faulty.reason,
            fault=fault,
        )

    def _count_admitted(self, made: Visit) -> None:
        """Count a session that the gate must admit."""
        session = made.session
        self._tally.count_admitted(session, Decimal(int(session.purchase.amount)), made.sentiments)
        counts = self._buckets[made.bucket]
        counts[0] += 1
        counts[1] += session.purchase.made

    def _build_duplicate(self, rng: Random, labelled: LabelledRecord, arrives_us: int) -> LabelledRecord:
        """Return a duplicate: mostly within half a minute, else within hours, never after the plan's end."""
        longest = min(MAX_REPEAT_GAP_S, self._plan.limits.duplicate_window_s // 2)
        gap_s = rng.uniform(0.5, 30.0) if rng.random() < REPEAT_SHARE_SOON else rng.uniform(30.0, max(31.0, longest))
        again_us = min(arrives_us + int(gap_s * SECOND_US), self._end_us - 1)
        self._tally.count_rejected(Reason.DUPLICATE)
        return structs.replace(labelled, arrives_at=instant(again_us), verdict=Reason.DUPLICATE, fault=Fault.DUPLICATE)

    def _bot_records(self, rng: Random, part: Slice) -> Iterator[LabelledRecord]:
        for bot in self._bots.bursts(rng, part):
            self._injected[bot.fault] += 1
            if bot.verdict == VALID:
                self._count_admitted(Visit(bot.session, NON_BUYER, ()))
                self._transient_users += bot.is_first_admitted
            else:
                self._tally.count_rejected(bot.verdict)
            yield LabelledRecord(
                key=bot.session.user_id.encode(),
                value=self._encode(bot.session),
                arrives_at=instant(bot.arrives_us),
                session_id=bot.session.session_id,
                verdict=bot.verdict,
                fault=bot.fault,
            )
