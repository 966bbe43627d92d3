"""What was seen, decided and done, kept in Redis; and the lock that lets one supervisor act at a time."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import msgspec
import redis

from include.clients.redis import connect, translate_errors
from include.contracts import keys
from include.contracts.errors import TransientError
from include.contracts.settings import Settings
from include.supervise.observation import Observation
from include.supervise.policy import Decision

KEPT = 10_000
REPEATED_AFTER_S = 60.0
# The lock is renewed while its owner lives, however long a call to Flink takes; a dead owner loses it after this.
LOCK_MS = 60_000
RENEW_S = 15.0
# Longer than any submission can take to reach Flink, so that one whose answer was lost cannot land under an old id.
JOB_ID_MS = 900_000
TIMEOUT_S = 3.0
FIELD = b"record"
# Entries carry the supervisor's own time, the stream's ids the server's.
CLOCKS_APART_S = 3_600.0

_DELETE_IF_EQUAL = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_EXTEND = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"


class Entry(msgspec.Struct, frozen=True):
    """One record of the journal. `acted`: it spends one of the budgeted restarts. `outcome`: what came of it."""

    at: float
    observation: Observation
    decision: Decision
    acted: bool = False
    outcome: str | None = None

    def says_as(self, other: "Entry") -> bool:
        """Whether this adds nothing to `other`, which came shortly before."""
        told = self.acted or other.acted or self.outcome is not None or other.outcome is not None
        same = [(found.action, found.alarm) for found in self.decision.findings] == [
            (found.action, found.alarm) for found in other.decision.findings
        ]
        return same and not told and 0 <= self.at - other.at < REPEATED_AFTER_S


class Journal:
    """The decisions of all supervisors, in their order. Every call raises TransientError while Redis is away."""

    def __init__(self, settings: Settings) -> None:
        self._redis = _connect(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._redis.close()

    def record(self, entry: Entry) -> bool:
        """Keep an entry; what only repeats the one before it is kept once a minute. Tells whether it was kept."""
        before = self.last(1)
        if before and entry.says_as(before[0]):
            return False
        with translate_errors("write to the journal"):
            self._redis.xadd(keys.decisions(), {FIELD: msgspec.json.encode(entry)}, maxlen=KEPT, approximate=True)
        return True

    def last(self, number: int) -> list[Entry]:
        """The newest entries, newest first; those of another version that cannot be read are left out."""
        with translate_errors("read of the journal"):
            found: Any = self._redis.xrevrange(keys.decisions(), count=number)
        return [entry for _, fields in found if (entry := _entry(fields)) is not None]

    def restarts_since(self, unix: float) -> list[float]:
        """When the stream was started since then, Unix s, oldest first. An entry that cannot be read counts as one."""
        with translate_errors("read of the journal"):
            oldest = max(0, int((unix - CLOCKS_APART_S) * 1_000))
            found: Any = self._redis.xrange(keys.decisions(), min=oldest)
        times: list[float] = []
        for identity, fields in found:
            entry = _entry(fields)
            if entry is None:
                times.append(int(identity.split(b"-")[0]) / 1_000)
            elif entry.acted:
                times.append(entry.at)
        return sorted(at for at in times if at >= unix)


class Turn:
    """The right to act, for a time, and the id that Flink is to give the job which is submitted by it."""

    def __init__(self, client: "redis.Redis", token: str) -> None:
        self._redis = client
        self._token = token

    def extend(self) -> None:
        """Ask for as much time again. Raises TransientError when the right was lost meanwhile."""
        with translate_errors("renewal of the supervisor's lock"):
            kept: Any = self._redis.eval(_EXTEND, 1, keys.supervising(), self._token, str(LOCK_MS))
        if not kept:
            raise TransientError("another supervisor has taken over", "none: it goes on with the stream")

    def job_id(self) -> str:
        """Return the Flink id of the next submission: the same for everybody until it is spent.

        Flink refuses a second job of one id. So of two submissions that do not see each other, because one lost
        its lock or the answer to it was lost, only one starts a job.
        """
        with translate_errors("read of the next job id"):
            self._redis.set(keys.next_job(), secrets.token_hex(16), nx=True, px=JOB_ID_MS)
            found: Any = self._redis.get(keys.next_job())
        if not found:
            raise TransientError("the id of the next job expired while it was read", "try again")
        return str(found.decode())

    def spend(self, job_id: str) -> None:
        """Never submit under this id again: Flink knows a job of it."""
        with translate_errors("deletion of the next job id"):
            self._redis.eval(_DELETE_IF_EQUAL, 1, keys.next_job(), job_id)


@contextmanager
def acting(settings: Settings) -> Iterator[Turn | None]:
    """The right to act, or None while another supervisor has it. Raises TransientError while Redis is away.

    It is renewed until the block ends. A supervisor that dies loses it after LOCK_MS.
    """
    token = secrets.token_hex(16)
    with _connect(settings) as client:
        with translate_errors("request of the supervisor's lock"):
            mine = client.set(keys.supervising(), token, nx=True, px=LOCK_MS)
        if not mine:
            yield None
            return
        turn = Turn(client, token)
        try:
            with _renewed(turn):
                yield turn
        finally:
            # What was done is done; a lock that cannot be released expires.
            with suppress(TransientError), translate_errors("release of the supervisor's lock"):
                client.eval(_DELETE_IF_EQUAL, 1, keys.supervising(), token)


@contextmanager
def my_turn(settings: Settings) -> Iterator[Turn]:
    """The right to act on the stream job, for people's commands and Airflow's operators.

    Raises TransientError while another has it or Redis is away.
    """
    with acting(settings) as turn:
        if turn is None:
            message = "the stream job is being changed by supervise_stream or by another command"
            raise TransientError(message, "try again in a minute")
        yield turn


@contextmanager
def _renewed(turn: Turn) -> Iterator[None]:
    """Renew the lock in the background. A lost lock shows at the owner's next `extend`."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(RENEW_S):
            with suppress(TransientError):
                turn.extend()

    thread = threading.Thread(target=renew, name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _entry(fields: dict[bytes, bytes]) -> Entry | None:
    try:
        return msgspec.json.decode(fields.get(FIELD, b""), type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _connect(settings: Settings) -> "redis.Redis":
    return connect(settings.redis_url.reveal(), timeout_s=TIMEOUT_S)
