"""The collections of the MongoDB archive."""

SESSIONS = "sessions"
WATERMARKS = "watermarks"
UNDECODABLE = "undecodable"
EXPIRED_OFFSETS = "expired_offsets"
LEDGERS = "ledgers"
RECONCILIATIONS = "reconciliations"
NEIGHBOURS = "neighbours"
PRIVACY = "privacy"
PROMOTIONS = "promotions"
LOAD_DAG = "archive_sessions"
LOAD_DEADLINE_S = 240.0
"""Maximum duration of one run of `archive_sessions`; the next run continues."""

COLLECTIONS: dict[str, tuple[str, str]] = {
    SESSIONS: ("`user_id:session_id`", "an admitted session: the fields of ValidSession, times as dates (UTC, ms)"),
    WATERMARKS: (
        "`topic:partition`",
        "the watermark: `offset` is the next to read, `topic_id` is the broker's; `written_at`",
    ),
    UNDECODABLE: (
        "`topic:partition:offset`",
        "a record of `sessions.valid` that could not be decoded: `value` (its bytes), `reason`, `written_at`",
    ),
    EXPIRED_OFFSETS: (
        "`topic:partition:from`",
        "offsets that expired before they were archived: `until` (exclusive), `detected_at`",
    ),
    LEDGERS: ("the plan's tag", "ground truth of a synthetic interval: `ledger`, its JSON"),
    RECONCILIATIONS: (
        "the hour's start, ISO 8601",
        "the stage counts of one hour: `lines`, `balanced`, `owner`, `written_at`",
    ),
    NEIGHBOURS: ("the user's pseudonym", "the most similar users, nearest first: `neighbours`, `run`"),
    PRIVACY: (
        "the name of the release's noise, which depends on window, data, mechanism, seed and key",
        "the privacy cost of one release: `mechanism`, `epsilon`, `window`, `charged_at`",
    ),
    PROMOTIONS: (
        "the registered name and the run's key",
        "a promotion decision and its reasons: `decision`, `reasons`, `figures`, `decided_at`",
    ),
}
"""Collection -> meaning of its `_id`, meaning of one document."""


def watermark_id(topic: str, partition: int) -> str:
    """Return the `_id` of a partition's watermark."""
    return f"{topic}:{partition}"
