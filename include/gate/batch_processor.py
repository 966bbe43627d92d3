"""Turn polled records into output records: validate, look up state, build the session."""

import hashlib
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from include.contracts import topics
from include.contracts.reject_reasons import Reason
from include.gate.state import ALREADY_REJECTED, KNOWN, NEW, REFUSALS, Batch, Row, refused_row
from include.gate.valid_session import build_valid_session
from include.gate.validation import Candidate, Limits, Rejection, check, utc

UNKNOWN = "unknown"
MAX_KEY_BYTES = 4 * 1024
PREFIX_BYTES = 4 * 1024


class Record(Protocol):
    """Fields of a Kafka record that the gate reads. `timestamp` is the broker's time of arrival, Unix ms."""

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
    """One record to produce, to the partition of its input."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    origin: tuple[int, int]


class StateStore(Protocol):
    """The gate's state: verdict letters of each batch (include/gate/state.py)."""

    def __call__(self, batches: Sequence[Batch]) -> list[str]:
        """Return one string per batch, one letter per row."""
        ...


@dataclass(frozen=True)
class BatchProcessor:
    """Processes polled records. Returns one output for each record, in the order of the records."""

    limits: Limits
    pseudonym: Callable[[str], str]
    remember: StateStore
    oversize: Set[tuple[int, int]] = frozenset()
    """Origins (partition, offset) of records whose output exceeded the broker's size limit."""

    def decide(self, polled: Sequence[Sequence[Record]]) -> list[Output]:
        """Return the outputs of records grouped by partition, each group in offset order."""
        checked = [[self._check(record) for record in records] for records in polled]
        users = [[self._user(result) for result in group] for group in checked]
        batches = [
            Batch(records[0].partition, [_row(*parts) for parts in zip(records, group, names, strict=True)])
            for records, group, names in zip(polled, checked, users, strict=True)
        ]
        outputs: list[Output] = []
        for records, group, names, verdicts in zip(polled, checked, users, self.remember(batches), strict=True):
            outputs += [_output(*parts) for parts in zip(records, group, names, verdicts, strict=True)]
        return outputs

    def _check(self, record: Record) -> Candidate | Rejection:
        if self.oversize and (record.partition, record.offset) in self.oversize:
            return Rejection(Reason.TOO_LONG, "the broker refused the output for its size")
        return check(record.value, record.key, record.timestamp, self.limits)

    def _user(self, result: Candidate | Rejection) -> str:
        return self.pseudonym(result.session.user_id) if isinstance(result, Candidate) else ""


def _row(record: Record, result: Candidate | Rejection, user: str) -> Row:
    if isinstance(result, Rejection):
        return refused_row(record.offset, result.reason)
    session = result.session
    started_at: datetime = utc(session.started_at)
    return (
        record.offset,
        session.session_id,
        user,
        result.network or "",
        int(started_at.timestamp()) // 60,
        started_at.date().isoformat(),
        record.timestamp,
        result.too_fast,
        session.device.type == UNKNOWN,
        session.referrer == UNKNOWN,
    )


def _output(record: Record, result: Candidate | Rejection, user: str, verdict: str) -> Output:
    if isinstance(result, Candidate) and verdict in (NEW, KNOWN):
        value = build_valid_session(result, user, returning=verdict == KNOWN, received_ms=record.timestamp)
        headers = [(topics.HEADER_ORIGIN, b"%d:%d" % (record.partition, record.offset))]
        return Output(topics.VALID, record.partition, user.encode(), value, headers, (record.partition, record.offset))
    if isinstance(result, Candidate):
        reason = REFUSALS[verdict]
        return _rejected(record, reason, _detail(reason, result))
    if verdict != ALREADY_REJECTED:
        raise AssertionError(f"the state returned a verdict for a rejected record: {verdict!r}")
    return _rejected(record, result.reason, result.detail)


def _detail(reason: Reason, result: Candidate) -> str:
    session = result.session
    if reason is Reason.IMPOSSIBLE_PACE:
        return f"{session.clicks} clicks in {session.duration_s} s"
    if reason in (Reason.RATE_USER, Reason.RATE_NETWORK):
        return f"in the minute {utc(session.started_at):%Y-%m-%dT%H:%MZ}"
    return f"session {session.session_id}" if reason in (Reason.DUPLICATE, Reason.DEDUP_ENTRY_EXPIRED) else ""


def _rejected(record: Record, reason: Reason, detail: str) -> Output:
    headers = [
        (topics.HEADER_REASON, reason.value.encode()),
        (topics.HEADER_DETAIL, detail.encode(errors="replace")),
        (topics.HEADER_TOPIC, record.topic.encode()),
        (topics.HEADER_PARTITION, str(record.partition).encode()),
        (topics.HEADER_OFFSET, str(record.offset).encode()),
    ]
    # A record without key and value cannot be produced, so an empty value replaces the missing one.
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
