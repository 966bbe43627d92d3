"""The MongoDB archive: collections and what a document of each holds."""

SESSIONS = "sessions"
"""Admitted sessions. `_id` is the session_id; the fields of ValidSession, times as dates."""

PROGRESS = "progress"
"""How far the archive has read. `_id` is `topic:partition`, `offset` the next record to read, `written_at`."""

UNREADABLE = "unreadable"
"""Records of sessions.valid that are no session. `_id` is `topic:partition:offset`; `value` bytes, `reason`."""

GAPS = "gaps"
"""Offsets that had expired from the topic before they were archived: `_id` `topic:partition:from`, `until`."""

LEDGERS = "ledgers"
"""Truth about produced synthetic intervals. `_id` is the plan's tag; `ledger` its JSON."""

RECONCILIATIONS = "reconciliations"
"""One document an hour. `_id` is the hour's start, ISO 8601; `lines`, `balanced`, `owner`, `written_at`."""


def progress_id(topic: str, partition: int) -> str:
    """The `_id` of a partition's watermark."""
    return f"{topic}:{partition}"
