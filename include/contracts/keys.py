"""Redis keys of the gate and of supervision.

Those of the gate carry their partition as hash tag, so that partitions never contend. Users are keyed to
partitions; counts per partition therefore add up over partitions.
"""

NAMESPACE = "gate"


def tag(partition: int) -> str:
    """The prefix of every key of one partition of `sessions.raw`; braces make it a cluster hash tag."""
    return f"{{{partition}}}:{NAMESPACE}"


def seen(partition: int, generation: int) -> str:
    """Hash session_id -> `epoch.offset:verdict`, one for each duplicate window of broker time."""
    return f"{tag(partition)}:seen:{generation}"


def users_known(partition: int) -> str:
    """Bloom filter of pseudonyms of admitted users."""
    return f"{tag(partition)}:users:known"


def users_unique(partition: int, day: str | None = None) -> str:
    """HyperLogLog of pseudonyms of admitted users, in all or on one event day (`YYYY-MM-DD`)."""
    return f"{tag(partition)}:users:unique" + (f":{day}" if day else "")


def users_sessions(partition: int) -> str:
    """Hash pseudonym -> number of admitted sessions."""
    return f"{tag(partition)}:users:sessions"


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


def decisions() -> str:
    """Stream of the supervisor's decisions, newest last: field `record`, the JSON of what was seen and decided."""
    return "{supervise}:decisions"


def supervising() -> str:
    """String: token of the one supervisor that may act now; expires."""
    return "{supervise}:acting"


def next_job() -> str:
    """String: Flink id of the next submission of the stream job; expires."""
    return "{supervise}:next_job"


def alarm(identity: str) -> str:
    """String: when this alarm was last sent, Unix seconds; expires when it may be sent again."""
    return f"{{supervise}}:alarm:{identity}"
