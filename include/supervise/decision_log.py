"""The log of decisions in Redis, and the lock that lets one supervisor at a time change the stream job."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import msgspec
import redis

from include.clients.redis import connect, translate_errors
from include.contracts import redis_keys
from include.contracts.errors import TransientError
from include.contracts.settings import RedisSettings
from include.supervise.observation import Observation
from include.supervise.policy import Decision

MAX_RECORDS = 10_000
REPEAT_INTERVAL_S = 60.0
# Renewed while its owner runs, because a call to Flink has no fixed duration; a dead owner loses it after this.
LOCK_MS = 60_000
RENEW_INTERVAL_S = 15.0
# Longer than any submission takes to reach Flink, so that one whose response was lost cannot use an old id.
JOB_ID_MS = 900_000
TIMEOUT_S = 3.0
FIELD = b"record"
# Records carry the supervisor's time, the ids of the Redis stream that of the server.
MAX_CLOCK_SKEW_S = 3_600.0

_DELETE_IF_EQUAL = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_EXTEND = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"


class DecisionRecord(msgspec.Struct, frozen=True):
    """One record of the log.

    Attributes:
        at: Unix s.
        observation: What was observed.
        decision: What was decided.
        is_restart: Whether it spends one of the budgeted restarts.
        outcome: Result of the restart.
    """

    at: float
    observation: Observation
    decision: Decision
    is_restart: bool = False
    outcome: str | None = None

    def is_repeat_of(self, other: "DecisionRecord") -> bool:
        """Return whether this repeats `other`, the record shortly before it."""
        has_outcome = self.is_restart or other.is_restart or self.outcome is not None or other.outcome is not None
        is_same = [(finding.action, finding.alert) for finding in self.decision.findings] == [
            (finding.action, finding.alert) for finding in other.decision.findings
        ]
        return is_same and not has_outcome and 0 <= self.at - other.at < REPEAT_INTERVAL_S


class DecisionLog:
    """The decisions of all supervisors, in order. Every call raises TransientError while Redis is unavailable."""

    def __init__(self, settings: RedisSettings) -> None:
        self._redis = _connect(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._redis.close()

    def append(self, record: DecisionRecord) -> bool:
        """Append a record, repeats once a minute; return whether it was appended."""
        before = self.last(1)
        if before and record.is_repeat_of(before[0]):
            return False
        with translate_errors("write to the decision log"):
            self._redis.xadd(
                redis_keys.decisions(), {FIELD: msgspec.json.encode(record)}, maxlen=MAX_RECORDS, approximate=True
            )
        return True

    def last(self, number: int) -> list[DecisionRecord]:
        """Return the newest records, newest first, without those of another version that cannot be decoded."""
        with translate_errors("read of the decision log"):
            rows: Any = self._redis.xrevrange(redis_keys.decisions(), count=number)
        return [record for _, fields in rows if (record := _decode(fields)) is not None]

    def restarts_since(self, unix: float) -> list[float]:
        """Return the times of restarts since then, Unix s, oldest first. An undecodable record counts as a restart."""
        with translate_errors("read of the decision log"):
            oldest = max(0, int((unix - MAX_CLOCK_SKEW_S) * 1_000))
            rows: Any = self._redis.xrange(redis_keys.decisions(), min=oldest)
        times: list[float] = []
        for stream_id, fields in rows:
            record = _decode(fields)
            if record is None:
                times.append(int(stream_id.split(b"-")[0]) / 1_000)
            elif record.is_restart:
                times.append(record.at)
        return sorted(at for at in times if at >= unix)


class LockLease:
    """The lock for a limited time, and the id under which its owner submits the job."""

    def __init__(self, client: "redis.Redis", token: str) -> None:
        self._redis = client
        self._token = token

    def extend(self) -> None:
        """Extend the lease by its whole duration. Raises TransientError if the lock was lost."""
        with translate_errors("renewal of the supervisor's lock"):
            extended: Any = self._redis.eval(_EXTEND, 1, redis_keys.supervisor_lease(), self._token, str(LOCK_MS))
        if not extended:
            raise TransientError("another supervisor has taken over", "none: it continues with the stream")

    def job_id(self) -> str:
        """Return the Flink id of the next submission: the same for every caller until it is spent.

        Flink refuses a second job of one id. So of two concurrent submissions, after a lost lock or a lost
        response, only one starts a job.
        """
        with translate_errors("read of the next job id"):
            self._redis.set(redis_keys.next_job(), secrets.token_hex(16), nx=True, px=JOB_ID_MS)
            value: Any = self._redis.get(redis_keys.next_job())
        if not value:
            raise TransientError("the id of the next job expired during the read", "try again")
        return str(value.decode())

    def spend(self, job_id: str) -> None:
        """Discard this id: Flink has a job of it."""
        with translate_errors("deletion of the next job id"):
            self._redis.eval(_DELETE_IF_EQUAL, 1, redis_keys.next_job(), job_id)


@contextmanager
def supervisor_lock(settings: RedisSettings) -> Iterator[LockLease | None]:
    """Yield the lock, or None while another supervisor has it. Raises TransientError while Redis is unavailable.

    The lock is renewed until the block ends. A supervisor that dies loses it after LOCK_MS.
    """
    token = secrets.token_hex(16)
    with _connect(settings) as client:
        with translate_errors("request of the supervisor's lock"):
            is_acquired = client.set(redis_keys.supervisor_lease(), token, nx=True, px=LOCK_MS)
        if not is_acquired:
            yield None
            return
        lease = LockLease(client, token)
        try:
            with _renewed(lease):
                yield lease
        finally:
            # A lock that cannot be released expires.
            with suppress(TransientError), translate_errors("release of the supervisor's lock"):
                client.eval(_DELETE_IF_EQUAL, 1, redis_keys.supervisor_lease(), token)


@contextmanager
def require_supervisor_lock(settings: RedisSettings) -> Iterator[LockLease]:
    """Yield the lock, for the commands of a person and for Airflow's operators.

    Raises TransientError while another supervisor has it or Redis is unavailable.
    """
    with supervisor_lock(settings) as lease:
        if lease is None:
            message = "the stream job is being changed by supervise_stream or by another command"
            raise TransientError(message, "try again in a minute")
        yield lease


@contextmanager
def _renewed(lease: LockLease) -> Iterator[None]:
    """Renew the lock in the background. The owner's next `extend` raises if the lock was lost."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(RENEW_INTERVAL_S):
            with suppress(TransientError):
                lease.extend()

    thread = threading.Thread(target=renew, name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _decode(fields: dict[bytes, bytes]) -> DecisionRecord | None:
    try:
        return msgspec.json.decode(fields.get(FIELD, b""), type=DecisionRecord)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _connect(settings: RedisSettings) -> "redis.Redis":
    return connect(settings.url.reveal(), timeout_s=TIMEOUT_S)
