"""Alarms to people: into the log and to a webhook, each once until it is due again, and once when it is over."""

import logging
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import redis

from include.clients.redis import connect
from include.contracts import keys
from include.contracts.settings import Settings
from include.supervise.state_file import AlertRecord, StateFile, SupervisorState

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
REDIS_TIMEOUT_S = 3.0
POSTING_S = 60.0
"""An alert whose sender has not come back for so long was not sent."""


class Alarms:
    """Raises and clears alarms. Never raises itself: an alarm that cannot be sent is logged and tried again."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self._webhook = settings.alert_webhook
        self._again_s = settings.alert_again_s
        self._file = StateFile(settings)
        self._redis = connect(settings.redis_url.reveal(), timeout_s=REDIS_TIMEOUT_S)
        self._http = httpx.Client(timeout=TIMEOUT_S, transport=transport)
        # It logs addresses, and that of a webhook is a secret.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self._redis.close()

    def raise_(self, identity: str, title: str, detail: str, remedy: str) -> bool:
        """Tell people, unless they were told of `identity` within SHOWROOM_ALERT_AGAIN_S; whether it was sent.

        What they were told of is kept on this machine and in Redis, which other machines see; one of them is enough.
        """
        if not self._claim(identity, time.time()):
            return False
        log.error("ALARM %s: %s: %s; %s", identity, title, detail, remedy)
        is_delivered = self._post(identity, "raised", {"title": title, "detail": detail, "remedy": remedy})
        with self._file.edit() as state:
            record = state.alerts.get(identity)
            if record is not None:
                record.is_delivered = is_delivered
                record.sent_at = record.sent_at if is_delivered else 0.0
        if not is_delivered:
            self._forget([identity])
        return True

    def clear(self, *identities: str, grace_s: float = 0.0) -> list[str]:
        """Tell people, once, that these are over; returns those of which they had been told.

        An alert that fired less than `grace_s` ago is kept: one that comes and goes is one alert.
        """
        if not identities:
            return []
        now = time.time()
        with self._file.edit() as state:
            for identity in self._raised_elsewhere(identities):
                if identity not in state.alerts and identity not in state.to_forget:
                    state.alerts[identity] = AlertRecord(sent_at=now, fired_at=now, is_delivered=True)
            known = {name: record for name in identities if (record := state.alerts.get(name)) is not None}
        over = [name for name, record in known.items() if not 0 <= now - record.fired_at < grace_s]
        ended = [identity for identity in over if self._end(identity, known[identity])]
        self._forget(ended)
        return [identity for identity in ended if known[identity].is_delivered]

    def _end(self, identity: str, record: AlertRecord) -> bool:
        """Whether the alert is over for good; False where its message has to be sent again."""
        if record.is_delivered:
            log.warning("RECOVERED %s", identity)
            if not self._post(identity, "recovered", {"title": f"{identity} is over"}):
                return False
        with self._file.edit() as state:
            state.alerts.pop(identity, None)
        return True

    def _claim(self, identity: str, now: float) -> bool:
        """Whether this process is to send it now; for others it then counts as sent."""
        with self._file.edit() as state:
            record = state.alerts.get(identity)
            if record is not None:
                record.fired_at = now
                patience_s = self._again_s if record.is_delivered else POSTING_S
                if 0 <= now - record.sent_at < patience_s:
                    return False
            remaining_s = self._remaining_s(identity, state)
            if remaining_s is not None and (record is None or record.is_delivered):
                sent_at = now - self._again_s + remaining_s
                state.alerts[identity] = AlertRecord(sent_at=sent_at, fired_at=now, is_delivered=True)
                return False
            state.alerts[identity] = AlertRecord(sent_at=now, fired_at=now)
            return True

    def _remaining_s(self, identity: str, state: SupervisorState) -> float | None:
        """For how long the alert another machine has sent is not to be repeated; None where none has, or is known."""
        key = keys.alarm(identity)
        try:
            if identity in state.to_forget:
                self._redis.delete(key)
                state.to_forget.discard(identity)
            if self._redis.set(key, f"{time.time():.0f}", nx=True, ex=self._again_s):
                return None
            remaining: Any = self._redis.pttl(key)
        except redis.RedisError:
            return None
        return max(0.0, float(remaining) / 1_000)

    def _raised_elsewhere(self, identities: Sequence[str]) -> list[str]:
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for identity in identities:
                    pipe.exists(keys.alarm(identity))
                answers: list[Any] = pipe.execute()
        except redis.RedisError as error:
            log.warning("alarms of other machines are unknown: %s", type(error).__name__)
            return []
        return [identity for identity, is_raised in zip(identities, answers, strict=True) if is_raised]

    def _post(self, identity: str, state: Literal["raised", "recovered"], told: Mapping[str, str]) -> bool:
        """Whether it arrived, or there is nowhere to send it to."""
        address = self._webhook.reveal()
        if not address:
            return True
        body = {"identity": identity, "state": state, "at": round(time.time(), 3), **told}
        try:
            answer = self._http.post(address, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("the alert webhook does not answer (%s)", type(error).__name__)
            return False
        if answer.is_error:
            log.warning("the alert webhook answered %d", answer.status_code)
        return not answer.is_error

    def _forget(self, identities: Sequence[str]) -> None:
        """Take alerts out of Redis; where it is away, later."""
        if not identities:
            return
        try:
            self._redis.delete(*map(keys.alarm, identities))
        except redis.RedisError as error:
            log.warning("%d alarms cannot be forgotten: %s", len(identities), type(error).__name__)
            with self._file.edit() as state:
                state.to_forget |= set(identities)
