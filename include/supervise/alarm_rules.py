"""Rules for what no start of the stream can repair: they wait, then page."""

from collections.abc import Callable

from include.supervise.observation import Archive, Away, Gate, Kafka, Observation, Restore, Search
from include.supervise.rule_context import GAP_S, Finding, Limits, Rule, View, absurd

REDIS_MEMORY_HIGH = 0.8


def clock(view: View) -> Finding | None:
    """Times that lie in the future: some clock is wrong, and ages mean nothing."""

    def holds(seen: Observation) -> bool:
        beats = seen.gate.heartbeat_age_s.values() if isinstance(seen.gate, Gate) else ()
        newest = seen.elasticsearch.newest_at if isinstance(seen.elasticsearch, Search) else None
        return any(map(absurd, beats)) or (newest is not None and absurd(seen.taken_at - newest))

    if not holds(view.seen) and abs(view.now - view.seen.taken_at) <= GAP_S:
        return None
    remedy = "synchronise the clocks of the machines"
    return view.patiently("supervise.clock", "times lie in the future or far in the past", remedy, holds)


def no_memory(view: View) -> Finding | None:
    """The gate's Redis does not answer: the gate waits."""
    gate = view.seen.gate
    if isinstance(gate, Gate):
        return None
    remedy = "./showroom status and ./showroom logs redis"
    return view.patiently("gate.no_memory", gate.reason, remedy, lambda past: isinstance(past.gate, Away))


def redis_memory_high(view: View) -> Finding | None:
    """Redis is near its memory limit: a full Redis makes the gate wait."""
    ratio = _redis_memory(view.seen)
    if ratio < REDIS_MEMORY_HIGH:
        return None
    reason = f"Redis uses {ratio:.0%} of its memory limit"
    remedy = "raise SHOWROOM_REDIS_MAX_MEMORY_MB or lower SHOWROOM_DUPLICATE_WINDOW_S, then restart Redis and the gate"
    return view.patiently(
        "gate.redis_memory_high", reason, remedy, lambda past: _redis_memory(past) >= REDIS_MEMORY_HIGH
    )


def gate_silent(view: View) -> Finding | None:
    """A partition no gate process has looked at for too long."""
    silent = _silent(view.seen, view.limits)
    if not silent:
        return None
    reason = f"no gate process looks at partition {', '.join(map(str, silent))}"
    remedy = "./showroom status and ./showroom logs gate-0"
    return view.patiently("gate.silent", reason, remedy, lambda past: bool(_silent(past, view.limits)))


def partition_stopped(view: View) -> Finding | None:
    """A partition whose offsets expired or were truncated: the gate waits for an operator's decision."""
    gate = view.seen.gate
    if isinstance(gate, Away) or not gate.stopped:
        return None
    partition = min(gate.stopped)
    command = f"./showroom gate resume --partition {partition}"
    # Not from earliest: after a truncation it reads records that may have been admitted longer ago than duplicates
    # are known.
    remedy = f"{command} --from gap, once the cause is known"
    return Finding("page", "gate.partition_stopped", "; ".join(gate.stopped.values()), remedy)


def gate_lagging(view: View) -> Finding | None:
    """Raw records come faster than they are decided."""
    remedy = "raise SHOWROOM_GATE_PROCESSES, at most one for each partition"
    return _lagging(view, "gate.lagging", "raw records wait for the gate", remedy, lambda kafka: kafka.gate_lag)


def stream_lagging(view: View) -> Finding | None:
    """Valid records come faster than they are indexed."""
    remedy = "see Elasticsearch's load; raise SHOWROOM_PARALLELISM"
    return _lagging(view, "stream.lagging", "valid records wait for the stream", remedy, lambda kafka: kafka.stream_lag)


def documents_refused(view: View) -> Finding | None:
    """Elasticsearch refused documents lately."""
    kafka = view.seen.kafka
    past = [
        earlier.kafka.dead_end
        for earlier in view.history
        if isinstance(earlier.kafka, Kafka) and view.now - earlier.taken_at <= view.limits.window_s
    ]
    if isinstance(kafka, Away) or not past or kafka.dead_end <= past[0]:
        return None
    reason = f"{kafka.dead_end - past[0]} documents were refused within {view.limits.window_s:g} s"
    return Finding("page", "serving.refused", reason, "read documents.dead: each letter says why")


def stale(view: View) -> Finding | None:
    """The canary: sessions were admitted long enough ago, and none has become searchable since."""
    base = view.before(view.limits.canary_stale_s)
    if base is None or isinstance(view.seen.elasticsearch, Away):
        return None
    for earlier in reversed(view.history):
        if not 0 < base.taken_at - earlier.taken_at <= GAP_S or isinstance(earlier.elasticsearch, Away):
            continue
        if _moved(earlier.elasticsearch, view.seen.elasticsearch):
            return None
        if _admitted(earlier, base):
            reason = f"sessions admitted {view.now - base.taken_at:.0f} s ago are not searchable"
            remedy = "./showroom stream status; documents.dead; ./showroom logs flink-taskmanager"
            return Finding("page", "serving.stale", reason, remedy)
    return None


def archive_unreachable(view: View) -> Finding | None:
    """MongoDB does not answer: the archive's progress is unknown."""
    archive = view.seen.archive
    if not isinstance(archive, Away):
        return None
    remedy = "./showroom status and ./showroom logs mongodb"
    return view.patiently("archive.unreachable", archive.reason, remedy, lambda past: isinstance(past.archive, Away))


def archive_lagging(view: View) -> Finding | None:
    """Valid records come faster than they are archived, or none is archived any more."""
    lag, wait_s, threshold = (
        view.seen.archive_lag,
        view.limits.archive_timeout_s,
        view.limits.archive_lag_alert_threshold,
    )
    base = view.before(wait_s)
    if not lag or base is None or not base.archive_lag:
        return None
    past = [earlier.archive_lag for earlier in view.since(wait_s) if earlier.archive_lag is not None]
    remedy = "see the runs of archive_sessions in Airflow"
    # Each run takes the lag down to almost nothing: what counts is the least of the last runs.
    if min([lag, base.archive_lag, *past]) > threshold and lag >= base.archive_lag:
        reason = f"{lag} valid records are not archived, {base.archive_lag} were {view.now - base.taken_at:.0f} s ago"
        return Finding("page", "archive.lagging", reason, remedy)
    if _stands_still(base, view.seen):
        reason = f"nothing was archived for {view.now - base.taken_at:.0f} s while {lag} valid records wait"
        return Finding("page", "archive.lagging", reason, remedy)
    return None


def restore_unknown(view: View) -> Finding | None:
    """The stream runs, but were it lost, nobody would know from where to resume it."""
    restore = view.seen.restore
    if isinstance(restore, Restore):
        return None
    remedy = "start Flink (./showroom up), or make its data folder readable to the supervisor"
    return view.patiently("stream.restore_unknown", restore.reason, remedy, lambda past: isinstance(past.restore, Away))


THEN: tuple[Rule, ...] = (
    clock,
    no_memory,
    redis_memory_high,
    gate_silent,
    partition_stopped,
    gate_lagging,
    stream_lagging,
    documents_refused,
    stale,
    archive_unreachable,
    archive_lagging,
    restore_unknown,
)
"""Nothing of these can be repaired by starting the stream."""


def _redis_memory(seen: Observation) -> float:
    """Share of Redis' memory limit in use; 0 where it is unknown."""
    return 0.0 if isinstance(seen.gate, Away) else seen.gate.redis_memory_ratio or 0.0


def _silent(seen: Observation, limits: Limits) -> list[int]:
    if isinstance(seen.gate, Away):
        return []
    ages = seen.gate.heartbeat_age_s
    return sorted(place for place, age in ages.items() if age is None or age > limits.gate_silent_s)


def _moved(earlier: Search, now: Search) -> bool:
    """Whether anything has become searchable; a session of a slow partition is new without being the newest."""
    return now.sessions > earlier.sessions or (now.newest_at or 0.0) > (earlier.newest_at or 0.0)


def _admitted(earlier: Observation, base: Observation) -> bool:
    """Whether sessions were admitted between the two, for certain.

    The gate's counter runs ahead of its transactions, and offsets also grow by aborted ones: both have to move.
    """
    if isinstance(earlier.gate, Away) or isinstance(base.gate, Away):
        return False
    if isinstance(earlier.kafka, Away) or isinstance(base.kafka, Away):
        return False
    counted = base.gate.verdicts.get("valid", 0) > earlier.gate.verdicts.get("valid", 0)
    decided = base.kafka.raw_end - base.kafka.gate_lag > earlier.kafka.raw_end - earlier.kafka.gate_lag
    return counted and decided and base.kafka.valid_end > earlier.kafka.valid_end


def _stands_still(base: Observation, seen: Observation) -> bool:
    """Whether an archive that has run before has written nothing since."""
    if not isinstance(base.archive, Archive) or not isinstance(seen.archive, Archive):
        return False
    return seen.archive.written_at is not None and seen.archive == base.archive


def _lagging(view: View, alarm: str, what: str, remedy: str, lag_of: Callable[[Kafka], int]) -> Finding | None:
    if isinstance(view.seen.kafka, Away):
        return None
    lag = lag_of(view.seen.kafka)
    if lag <= view.limits.lag_high:
        return None

    def holds(past: Observation) -> bool:
        return isinstance(past.kafka, Kafka) and lag_of(past.kafka) > view.limits.lag_high

    base = view.before(view.limits.grace_s)
    if view.lasted(holds) < view.limits.grace_s or base is None or isinstance(base.kafka, Away):
        # A load that came at once is no reason to wake anybody: it has the grace to become less.
        return Finding("wait", alarm, f"{lag} {what}", remedy)
    if lag < lag_of(base.kafka):
        return None
    return Finding(
        "page", alarm, f"{lag} {what}, {lag_of(base.kafka)} did {view.now - base.taken_at:.0f} s ago", remedy
    )
