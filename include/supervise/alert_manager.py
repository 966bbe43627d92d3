"""Send alerts to the log and to a webhook: once per repeat interval, and once when an alert is resolved."""

import logging
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import httpx
import redis

from include.clients.redis import connect
from include.contracts import redis_keys
from include.contracts.settings import Settings
from include.supervise.state_file import AlertRecord, StateFile, SupervisorState

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
REDIS_TIMEOUT_S = 3.0
SEND_TIMEOUT_S = 60.0
"""An alert whose sender has not reported for this long was not sent."""


class AlertManager:
    """Fire and resolve alerts. Never raises: an alert that cannot be sent is logged and retried by the next cycle."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self._webhook = settings.supervise.alert_webhook
        self._repeat_interval_s = settings.supervise.alert_repeat_interval_s
        self._file = StateFile(settings)
        self._redis = connect(settings.redis.url.reveal(), timeout_s=REDIS_TIMEOUT_S)
        self._http = httpx.Client(timeout=TIMEOUT_S, transport=transport)
        # httpx logs addresses, and that of a webhook is a secret.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self._redis.close()

    def fire(self, alert_id: str, title: str, detail: str, remedy: str) -> bool:
        """Send an alert, unless it was sent within the repeat interval; return whether it was sent.

        Sent alerts are stored on this machine and in Redis, which other machines read; one of the two is sufficient.
        """
        if not self._claim(alert_id, time.time()):
            return False
        log.error("ALERT %s: %s: %s; %s", alert_id, title, detail, remedy)
        is_delivered = self._post(alert_id, "raised", {"title": title, "detail": detail, "remedy": remedy})
        with self._file.edit() as state:
            record = state.alerts.get(alert_id)
            if record is not None:
                record.is_delivered = is_delivered
                record.sent_at = record.sent_at if is_delivered else 0.0
        if not is_delivered:
            self._remove([alert_id])
        return True

    def resolve(self, *alert_ids: str, grace_s: float = 0.0) -> list[str]:
        """Send one recovery for each of these alerts; return those that had been sent.

        An alert that fired less than `grace_s` ago is retained: a flapping condition is one alert.
        """
        if not alert_ids:
            return []
        now = time.time()
        with self._file.edit() as state:
            for alert_id in self._fired_elsewhere(alert_ids):
                if alert_id not in state.alerts and alert_id not in state.to_remove:
                    state.alerts[alert_id] = AlertRecord(sent_at=now, fired_at=now, is_delivered=True)
            already_sent = {name: record for name in alert_ids if (record := state.alerts.get(name)) is not None}
        over = [name for name, record in already_sent.items() if not 0 <= now - record.fired_at < grace_s]
        ended = [alert_id for alert_id in over if self._resolve(alert_id, already_sent[alert_id])]
        self._remove(ended)
        return [alert_id for alert_id in ended if already_sent[alert_id].is_delivered]

    def _resolve(self, alert_id: str, record: AlertRecord) -> bool:
        """Send the recovery and remove the alert; return False if the message has to be sent again."""
        if record.is_delivered:
            log.warning("RECOVERED %s", alert_id)
            if not self._post(alert_id, "recovered", {"title": f"{alert_id} is over"}):
                return False
        with self._file.edit() as state:
            state.alerts.pop(alert_id, None)
        return True

    def _claim(self, alert_id: str, now: float) -> bool:
        """Return whether this process sends the alert now; for other processes it then counts as sent."""
        with self._file.edit() as state:
            record = state.alerts.get(alert_id)
            if record is not None:
                record.fired_at = now
                interval_s = self._repeat_interval_s if record.is_delivered else SEND_TIMEOUT_S
                if 0 <= now - record.sent_at < interval_s:
                    return False
            remaining_s = self._remaining_s(alert_id, state)
            if remaining_s is not None and (record is None or record.is_delivered):
                sent_at = now - self._repeat_interval_s + remaining_s
                state.alerts[alert_id] = AlertRecord(sent_at=sent_at, fired_at=now, is_delivered=True)
                return False
            state.alerts[alert_id] = AlertRecord(sent_at=now, fired_at=now)
            return True

    def _remaining_s(self, alert_id: str, state: SupervisorState) -> float | None:
        """Return the seconds until the alert of another machine may be repeated; None without one, or without Redis."""
        key = redis_keys.alert(alert_id)
        try:
            if alert_id in state.to_remove:
                self._redis.delete(key)
                state.to_remove.discard(alert_id)
            if self._redis.set(key, f"{time.time():.0f}", nx=True, ex=self._repeat_interval_s):
                return None
            remaining: Any = self._redis.pttl(key)
        except redis.RedisError:
            return None
        return max(0.0, float(remaining) / 1_000)

    def _fired_elsewhere(self, alert_ids: Sequence[str]) -> list[str]:
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for alert_id in alert_ids:
                    pipe.exists(redis_keys.alert(alert_id))
                responses: list[Any] = pipe.execute()
        except redis.RedisError as error:
            log.warning("read alerts of other machines failed: %s", type(error).__name__)
            return []
        return [alert_id for alert_id, is_firing in zip(alert_ids, responses, strict=True) if is_firing]

    def _post(self, alert_id: str, state: Literal["raised", "recovered"], content: Mapping[str, str]) -> bool:
        """Return whether the webhook accepted the message; True without a webhook."""
        address = self._webhook.reveal()
        if not address:
            return True
        body = {"identity": alert_id, "state": state, "at": round(time.time(), 3), **content}
        try:
            response = self._http.post(address, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("the alert webhook is unavailable (%s)", type(error).__name__)
            return False
        if response.is_error:
            log.warning("the alert webhook returned %d", response.status_code)
        return not response.is_error

    def _remove(self, alert_ids: Sequence[str]) -> None:
        """Remove alerts from Redis; while Redis is unavailable, a later cycle does."""
        if not alert_ids:
            return
        try:
            self._redis.delete(*map(redis_keys.alert, alert_ids))
        except redis.RedisError as error:
            log.warning("remove %d alerts from Redis failed: %s", len(alert_ids), type(error).__name__)
            with self._file.edit() as state:
                state.to_remove |= set(alert_ids)
