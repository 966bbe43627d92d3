"""Redis keys of the gate and of supervision.

Those of the gate begin with their partition in braces, so that partitions never contend. Users are keyed to
partitions; counts per partition therefore add up over partitions.
"""

NAMESPACE = "gate"
SUB_WINDOWS = 24
"""Parts of the duplicate window. Each is a hash of its own, so that a whole window never expires at once."""

BOOKKEEPING = (b"applied", b"topic", b"epoch")
"""Fields of `counts` that are no verdicts."""


def tag(partition: int) -> str:
    """The prefix of every key of one partition of `sessions.raw`, with the partition in braces."""
    return f"{{{partition}}}:{NAMESPACE}"


def seen(partition: int, sub_window: int) -> str:
    """Hash session_id -> claim, one for each sub-window of broker time.

    A claim is 12 bytes, big-endian: offset (6), epoch (1), ms since the start of the sub-window (4), verdict (1).
    """
    return f"{tag(partition)}:seen:{sub_window}"


def seen_filter(partition: int, window: int) -> str:
    """Bloom filter of the session_ids claimed in one duplicate window of broker time."""
    return f"{tag(partition)}:seen:filter:{window}"


def sub_window_ms(window_s: int) -> int:
    """Length of a sub-window of a duplicate window of `window_s` seconds."""
    return -(-window_s * 1000 // SUB_WINDOWS)


def users_known(partition: int) -> str:
    """Bloom filter of pseudonyms of admitted users."""
    return f"{tag(partition)}:users:known"


def users_unique(partition: int, day: str | None = None) -> str:
    """HyperLogLog of pseudonyms of admitted users, in all or on one event day (`YYYY-MM-DD`)."""
    return f"{tag(partition)}:users:unique" + (f":{day}" if day else "")


def counts(partition: int) -> str:
    """Hash verdict -> number of records, `valid` and each reason.

    Also `applied`, the last offset counted, of `topic`, the `epoch`-th this partition has seen.
    """
    return f"{tag(partition)}:counts"


def rates(partition: int, kind: str, hour: int) -> str:
    """Hash `minute:pseudonym` or `minute:network` -> sessions in that event minute; `kind` is user or network."""
    return f"{tag(partition)}:rate:{kind}:{hour}"


def heartbeat(partition: int) -> str:
    """String: Unix time in ms of the last batch or idle poll of the partition's gate process."""
    return f"{tag(partition)}:heartbeat"


def blocked_users(partition: int) -> str:
    """Set of blocked pseudonyms, the same in each partition."""
    return f"{tag(partition)}:blocked:users"


def blocked_networks(partition: int) -> str:
    """Set of blocked networks (`203.0.113.0/24`), the same in each partition."""
    return f"{tag(partition)}:blocked:networks"


def function_used(library: str) -> str:
    """String: set while some gate uses this library of Redis Functions; expires."""
    return f"{NAMESPACE}:function:{library}"


def stopped(partition: int) -> str:
    """String: JSON of the OffsetGap that stopped the partition; absent while the gate reads it."""
    return f"{tag(partition)}:stopped"


def gaps(partition: int) -> str:
    """List: JSON of the partition's resolved OffsetGaps, newest last."""
    return f"{tag(partition)}:gaps"


def pseudonym_check() -> str:
    """String: a pseudonym of no user, by which a command sees whether its key is the gate's."""
    return "gate:pseudonym_check"


def gate_lease(index: int) -> str:
    """String: the process that owns a gate index, `host:pid:random`; expires when the process is gone."""
    return f"{{{NAMESPACE}-{index}}}:lease"


def decisions() -> str:
    """Stream of the supervisor's decisions, newest last: field `record`, the JSON of what was seen and decided."""
    return "{supervise}:decisions"


def supervising() -> str:
    """String: token of the one supervisor that may act now; expires."""
    return "{supervise}:acting"


def next_job() -> str:
    """String: Flink id of the next submission of the stream job; expires."""
    return "{supervise}:next_job"


def alert(alert_id: str) -> str:
    """String: when this alert was last sent, Unix seconds; expires when it may be sent again."""
    return f"{{supervise}}:alarm:{alert_id}"
