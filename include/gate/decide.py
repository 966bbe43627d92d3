"""From polled records to what the transaction must hold: the joint of checks, memory and admission."""

import hashlib
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from include.contracts import topics
from include.contracts.reasons import Reason
from include.gate.admit import admit
from include.gate.check import Candidate, Limits, Rejection, check, utc
from include.gate.memory import KNOWN, NEW, REFUSALS, REFUSED_BEFORE, Batch, Row, refused_row

UNKNOWN = "unknown"
MAX_KEY_BYTES = 4 * 1024
PREFIX_BYTES = 4 * 1024


class Record(Protocol):
    """What the gate reads of a Kafka record. `timestamp` is the broker's time of arrival, Unix ms."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class Output(NamedTuple):
    """One record to produce, to the partition its input came from."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    origin: tuple[int, int]


class Remember(Protocol):
    """The gate's memory: verdict letters of each batch (include/gate/memory.py)."""

    def __call__(self, batches: Sequence[Batch]) -> list[str]:
        """One string a batch, one letter a row."""
        ...


@dataclass(frozen=True)
class Judge:
    """Decides polled records. Exactly one output for each record, in the order of the records."""

    limits: Limits
    pseudonym: Callable[[str], str]
    remember: Remember
    oversize: Set[tuple[int, int]] = frozenset()
    """Origins (partition, offset) of records whose output the broker refused for its size."""

    def decide(self, polled: Sequence[Sequence[Record]]) -> list[Output]:
        """Outputs for records grouped by partition, each group in offset order."""
        checked = [[self._check(record) for record in records] for records in polled]
        users = [[self._user(found) for found in group] for group in checked]
        batches = [
            Batch(records[0].partition, [_row(*parts) for parts in zip(records, group, names, strict=True)])
            for records, group, names in zip(polled, checked, users, strict=True)
        ]
        outputs: list[Output] = []
        for records, group, names, letters in zip(polled, checked, users, self.remember(batches), strict=True):
            outputs += [_output(*parts) for parts in zip(records, group, names, letters, strict=True)]
        return outputs

    def _check(self, record: Record) -> Candidate | Rejection:
        if self.oversize and (record.partition, record.offset) in self.oversize:
            return Rejection(Reason.TOO_LONG, "the broker refused the output for its size")
        return check(record.value, record.key, record.timestamp, self.limits)

    def _user(self, found: Candidate | Rejection) -> str:
        return self.pseudonym(found.session.user_id) if isinstance(found, Candidate) else ""


def _row(record: Record, found: Candidate | Rejection, user: str) -> Row:
    if isinstance(found, Rejection):
        return refused_row(record.offset, found.reason)
    session = found.session
    started_at: datetime = utc(session.started_at)
    return (
        record.offset,
        session.session_id,
        user,
        found.network or "",
        int(started_at.timestamp()) // 60,
        started_at.date().isoformat(),
        record.timestamp,
        found.too_fast,
        session.device.type == UNKNOWN,
        session.referrer == UNKNOWN,
    )


def _output(record: Record, found: Candidate | Rejection, user: str, letter: str) -> Output:
    if isinstance(found, Candidate) and letter in (NEW, KNOWN):
        value = admit(found, user, returning=letter == KNOWN, received_ms=record.timestamp)
        headers = [(topics.HEADER_ORIGIN, b"%d:%d" % (record.partition, record.offset))]
        return Output(topics.VALID, record.partition, user.encode(), value, headers, (record.partition, record.offset))
    if isinstance(found, Candidate):
        reason = REFUSALS[letter]
        return _rejected(record, reason, _detail(reason, found))
    if letter != REFUSED_BEFORE:
        raise AssertionError(f"memory judged a refused record: {letter!r}")
    return _rejected(record, found.reason, found.detail)


def _detail(reason: Reason, found: Candidate) -> str:
    session = found.session
    if reason is Reason.IMPOSSIBLE_PACE:
        return f"{session.clicks} clicks in {session.duration_s} s"
    if reason in (Reason.RATE_USER, Reason.RATE_NETWORK):
        return f"in the minute {utc(session.started_at):%Y-%m-%dT%H:%MZ}"
    return f"session {session.session_id}" if reason in (Reason.DUPLICATE, Reason.EXPIRED) else ""


def _rejected(record: Record, reason: Reason, detail: str) -> Output:
    headers = [
        (topics.HEADER_REASON, reason.value.encode()),
        (topics.HEADER_DETAIL, detail.encode(errors="replace")),
        (topics.HEADER_TOPIC, record.topic.encode()),
        (topics.HEADER_PARTITION, str(record.partition).encode()),
        (topics.HEADER_OFFSET, str(record.offset).encode()),
    ]
    # A record without key and value cannot be produced again; an empty value stands for the absent one.
    key, value = record.key, record.value or b""
    if reason is Reason.TOO_LONG:
        headers += [
            (topics.HEADER_LENGTH, str(len(value)).encode()),
            (topics.HEADER_SHA256, hashlib.sha256(value).hexdigest().encode()),
        ]
        value = value[:PREFIX_BYTES]
    if key is not None and len(key) > MAX_KEY_BYTES:
        headers.append((topics.HEADER_KEY_LENGTH, str(len(key)).encode()))
        key = key[:MAX_KEY_BYTES]
    return Output(topics.REJECTED, record.partition, key, value, headers, (record.partition, record.offset))
