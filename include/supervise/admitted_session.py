"""An admitted session as reconciliation reads it, pure: its key, and its expected documents."""

from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from include.supervise.reconcile import Rows


class SessionKey(NamedTuple):
    """Key of a session in every store; a session_id alone is unique for one user only."""

    user_id: str
    session_id: str


class _View(msgspec.Struct):
    review: str | None


class AdmittedSession(msgspec.Struct):
    """The fields of a record of `sessions.valid` that reconciliation reads."""

    session_id: str
    user_id: str
    started_at: datetime
    received_at: datetime
    views: list[_View]

    @property
    def key(self) -> SessionKey:
        """Its key."""
        return SessionKey(self.user_id, self.session_id)

    @property
    def month(self) -> str:
        """Its event month, `YYYY-MM`."""
        started = self.started_at.astimezone(UTC)
        return f"{started.year:04d}-{started.month:02d}"

    @property
    def rows(self) -> Rows:
        """The documents that the stream indexes for it."""
        return Rows(
            session_summary=1,
            product_details=len(self.views),
            product_sentiment=sum(1 for view in self.views if view.review),
        )


_decoder = msgspec.json.Decoder(AdmittedSession)


def decode(value: bytes | None) -> AdmittedSession | None:
    """Decode a record of `sessions.valid`; None for a malformed one."""
    try:
        return _decoder.decode(value or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
