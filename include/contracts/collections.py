"""The MongoDB archive: collections and what a document of each holds."""

SESSIONS = "sessions"
PROGRESS = "progress"
UNREADABLE = "unreadable"
GAPS = "gaps"
LEDGERS = "ledgers"
RECONCILIATIONS = "reconciliations"
NEIGHBOURS = "neighbours"
PRIVACY = "privacy"
PROMOTIONS = "promotions"
LOAD_DAG = "archive_sessions"
LOAD_DEADLINE_S = 240.0
"""Time that one run of `archive_sessions` archives at most; the next run goes on."""

COLLECTIONS: dict[str, tuple[str, str]] = {
    SESSIONS: ("`user_id:session_id`", "an admitted session: the fields of ValidSession, times as dates (UTC, ms)"),
    PROGRESS: (
        "`topic:partition`",
        "how far the archive has read: `offset` the next to read, `topic_id` the broker's, `written_at`",
    ),
    UNREADABLE: (
        "`topic:partition:offset`",
        "a record of `sessions.valid` that is no session: `value` its bytes, `reason`, `written_at`",
    ),
    GAPS: (
        "`topic:partition:from`",
        "offsets that had expired before they were archived: `until` (not included), `found_at`",
    ),
    LEDGERS: ("the plan's tag", "truth about a produced synthetic interval: `ledger`, its JSON"),
    RECONCILIATIONS: (
        "the hour's start, ISO 8601",
        "the stage counts of one hour: `lines`, `balanced`, `owner`, `written_at`",
    ),
    NEIGHBOURS: ("the user's pseudonym", "those most like this user, nearest first: `neighbours`, `run`"),
    PRIVACY: (
        "the name of the release's noise, which depends on window, data, mechanism, seed and key",
        "what one private release was charged: `mechanism`, `epsilon`, `window`, `charged_at`",
    ),
    PROMOTIONS: (
        "the registered name and the run's key",
        "who became or stayed champion, and why: `decision`, `reasons`, `figures`, `decided_at`",
    ),
}
"""Collection -> what its `_id` is, and what one document holds."""


def progress_id(topic: str, partition: int) -> str:
    """The `_id` of a partition's watermark."""
    return f"{topic}:{partition}"
