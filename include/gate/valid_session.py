"""Build the session that leaves the gate: a candidate without its personal data."""

from datetime import UTC, datetime, timedelta

import msgspec

from include.contracts.session import ValidSession, View
from include.gate.masking import mask_page, mask_text, may_need_masks
from include.gate.validation import Candidate, utc

_encoder = msgspec.json.Encoder()


def build_valid_session(candidate: Candidate, user: str, *, returning: bool, received_ms: int) -> bytes:
    """Return the ValidSession as JSON; `user` is the pseudonym, `received_ms` the broker's time (Unix ms)."""
    session = candidate.session
    started_at = utc(session.started_at)
    return _encoder.encode(
        ValidSession(
            v=1,
            session_id=session.session_id,
            user_id=user,
            started_at=started_at,
            ended_at=started_at + timedelta(seconds=session.duration_s),
            received_at=datetime.fromtimestamp(received_ms / 1000, UTC),
            duration_s=session.duration_s,
            gender=session.user.gender,
            returning=returning,
            network=candidate.network,
            device=session.device,
            location=session.location,
            referrer=session.referrer,
            page_views=session.page_views,
            clicks=session.clicks,
            views=_masked(session.views),
            categories=list(dict.fromkeys(view.category for view in session.views if view.category is not None)),
            last_action=session.last_action,
            exit_page=mask_page(session.exit_page),
            purchase=session.purchase,
        )
    )


def _masked(views: list[View]) -> list[View]:
    """Return the views with masked reviews; the same list if no review changes."""
    if not may_need_masks("\n".join([view.review for view in views if view.review])):
        return views
    return [msgspec.structs.replace(view, review=mask_text(view.review)) if view.review else view for view in views]
