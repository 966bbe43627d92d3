"""Alarms to people: into the log and to a webhook, each once until it is due again, and once when it is over."""

import logging
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import redis

from include.contracts import keys
from include.contracts.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
REDIS_TIMEOUT_S = 3.0


class Alarms:
    """Raises and clears alarms. Never raises itself: an alarm that cannot be sent is logged and tried again."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self._webhook = settings.alert_webhook
        self._again_s = settings.alert_again_s
        self._redis = redis.Redis.from_url(
            settings.redis_url.reveal(), socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S
        )
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

        Without Redis it cannot be known whether they were, so they are.
        """
        try:
            due = self._redis.set(keys.alarm(identity), f"{time.time():.0f}", nx=True, ex=self._again_s)
        except redis.RedisError:
            due = True
        if not due:
            return False
        log.error("ALARM %s: %s: %s; %s", identity, title, detail, remedy)
        told = {"title": title, "detail": detail, "remedy": remedy}
        if not self._post(identity, "raised", told):
            self._forget(identity)
        return True

    def clear(self, *identities: str) -> list[str]:
        """Tell people, once, that these are over; returns those of which they had been told."""
        if not identities:
            return []
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for identity in identities:
                    pipe.getdel(keys.alarm(identity))
                answers: list[Any] = pipe.execute()
        except redis.RedisError as error:
            log.warning("alarms cannot be cleared: %s", type(error).__name__)
            return []
        over = [identity for identity, told in zip(identities, answers, strict=True) if told is not None]
        for identity in over:
            log.warning("RECOVERED %s", identity)
            self._post(identity, "recovered", {"title": f"{identity} is over"})
        return over

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

    def _forget(self, identity: str) -> None:
        try:
            self._redis.delete(keys.alarm(identity))
        except redis.RedisError as error:
            log.warning("the alarm %s cannot be forgotten: %s", identity, type(error).__name__)
