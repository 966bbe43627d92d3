"""Redis keys of the gate and of supervision.

Keys of the gate start with the partition as hash tag. Each user belongs to one partition, so that counts add up over
partitions.
"""

NAMESPACE = "gate"
SUB_WINDOWS = 24
"""Sub-windows of the duplicate window. Each is a separate hash, so that a whole window never expires at once."""

BOOKKEEPING = (b"applied", b"topic", b"epoch")
"""Fields of `counts` that are not verdicts."""


def tag(partition: int) -> str:
    """Return the prefix of the keys of one partition of `sessions.raw`, with the partition as hash tag."""
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
    """Return the length of a sub-window, in ms, of a duplicate window of `window_s` seconds."""
    return -(-window_s * 1000 // SUB_WINDOWS)


def bloom_items(partition: int) -> str:
    """Bloom filter of pseudonyms of admitted users."""
    return f"{tag(partition)}:users:bloom"


def users_unique(partition: int, day: str | None = None) -> str:
    """HyperLogLog of pseudonyms of admitted users, in total or on one event day (`YYYY-MM-DD`)."""
    return f"{tag(partition)}:users:unique" + (f":{day}" if day else "")


def counts(partition: int) -> str:
    """Hash verdict -> number of records, `valid` and each reason.

    Also `applied`, the last counted offset, of the topic id `topic`, which is topic number `epoch` of this partition.
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
    """String: set while a gate uses this library of Redis Functions; expires."""
    return f"{NAMESPACE}:function:{library}"


def stopped(partition: int) -> str:
    """String: JSON of the OffsetGap that stopped the partition; absent while the gate reads it."""
    return f"{tag(partition)}:stopped"


def gaps(partition: int) -> str:
    """List: JSON of the partition's resolved OffsetGaps, newest last."""
    return f"{tag(partition)}:gaps"


def pseudonym_check() -> str:
    """String: pseudonym of a fixed text, with which a command verifies that its key is the gate's."""
    return "gate:pseudonym_check"


def gate_lease(index: int) -> str:
    """String: the process that owns a gate index, `host:pid:random`; expires after the process ends."""
    return f"{{{NAMESPACE}-{index}}}:lease"


def decisions() -> str:
    """Stream of the supervisor's decisions, newest last: field `record`, the JSON of observation and decision."""
    return "{supervise}:decision_log"


def supervisor_lease() -> str:
    """String: token of the supervisor that holds the lease; expires."""
    return "{supervise}:lease"


def next_job() -> str:
    """String: Flink id of the next submission of the stream job; expires."""
    return "{supervise}:next_job"


def alert(alert_id: str) -> str:
    """String: when this alert was last sent, Unix seconds; expires after the repeat interval."""
    return f"{{supervise}}:alert:{alert_id}"
