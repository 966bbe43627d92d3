"""Conditions of the supervision rules, pure: each returns its reason, or None if it is false."""

from collections.abc import Callable, Sequence

from include.contracts.health import check_flink, check_gate
from include.supervise.observation import (
    ArchiveState,
    ElasticsearchState,
    FlinkState,
    GateState,
    Job,
    KafkaState,
    Observation,
    Unavailable,
)
from include.supervise.rule_context import MAX_OBSERVATION_GAP_S, Limits, RuleContext, is_implausible_age

REDIS_MEMORY_HIGH = 0.8

Condition = Callable[[RuleContext], str | None]


def unavailable(part: str) -> Condition:
    """Return the condition that a part of the observation is unavailable."""

    def condition(context: RuleContext) -> str | None:
        state = getattr(context.observation, part)
        return state.reason if isinstance(state, Unavailable) else None

    return condition


def no_taskmanager(context: RuleContext) -> str | None:
    """The cluster has no slot for a job."""
    flink = context.observation.flink
    return check_flink(flink.slots) if isinstance(flink, FlinkState) else None


def write_blocked(context: RuleContext) -> str | None:
    """Elasticsearch is available but rejects writes."""
    search = context.observation.elasticsearch
    return search.write_block if isinstance(search, ElasticsearchState) else None


def duplicate_job(context: RuleContext) -> str | None:
    """More than one job has the stream's name: they write the same documents and commit the same offsets."""
    flink = context.observation.flink
    if isinstance(flink, Unavailable) or flink.jobs < 2:  # noqa: PLR2004
        return None
    return f"{flink.jobs} jobs write the same documents"


def job_clock_skew(context: RuleContext) -> str | None:
    """The ages of the job are implausible."""
    job = context.observation.job
    if job is None or not (is_implausible_age(job.age_s) or is_implausible_age(job.checkpoint_age_s)):
        return None
    return "the job's ages are implausible: its clock was changed"


def no_job(context: RuleContext) -> str | None:
    """The cluster is available and runs no stream job."""
    flink = context.observation.flink
    return "no stream job is running" if isinstance(flink, FlinkState) and flink.job is None else None


def restarting(context: RuleContext) -> str | None:
    """Flink restarts the job repeatedly: another start would not help."""
    job, limits = context.observation.job, context.limits
    if job is None:
        return None
    same = [
        (earlier.taken_at, earlier.job.restarts)
        for earlier in context.since(limits.window_s)
        if earlier.job is not None and earlier.job.id == job.id
    ]
    lowest = min((restarts for _, restarts in same), default=0 if job.age_s <= limits.window_s else job.restarts)
    recent = [restarts for taken_at, restarts in same if context.now - taken_at <= 2 * limits.grace_s]
    is_rising = min(recent, default=0 if not same else job.restarts) < job.restarts
    if job.restarts - lowest < limits.restarts or not is_rising:
        return None
    return f"{job.restarts - lowest} restarts within {limits.window_s:g} s: {job.failure or 'no failure reported'}"


def not_running(context: RuleContext) -> str | None:
    """The job exists and some of its tasks do not run."""
    job = context.observation.job
    if job is None or is_running(job):
        return None
    return f"the job is {job.state}, tasks that do not run: {job.idle_tasks or 'none'}"


def clock_skew(context: RuleContext) -> str | None:
    """Times lie in the future: a clock is incorrect, and ages are meaningless."""
    observation = context.observation
    beats = observation.gate.heartbeat_age_s.values() if isinstance(observation.gate, GateState) else ()
    newest = observation.elasticsearch.newest_at if isinstance(observation.elasticsearch, ElasticsearchState) else None
    is_skewed = any(map(is_implausible_age, beats)) or (
        newest is not None and is_implausible_age(observation.taken_at - newest)
    )
    if not is_skewed and abs(context.now - observation.taken_at) <= MAX_OBSERVATION_GAP_S:
        return None
    return "times lie in the future or far in the past"


def redis_memory_high(context: RuleContext) -> str | None:
    """Redis is near its memory limit: a full Redis makes the gate wait."""
    gate = context.observation.gate
    ratio = gate.redis_memory_ratio or 0.0 if isinstance(gate, GateState) else 0.0
    return f"Redis uses {ratio:.0%} of its memory limit" if ratio >= REDIS_MEMORY_HIGH else None


def heartbeat_missing(context: RuleContext) -> str | None:
    """A partition has had no heartbeat of a gate process for too long."""
    gate = context.observation.gate
    return (
        check_gate(gate.heartbeat_age_s, context.limits.gate_heartbeat_timeout_s)
        if isinstance(gate, GateState)
        else None
    )


def partition_stopped(context: RuleContext) -> str | None:
    """The gate does not read a partition, because its offsets expired or were truncated."""
    gate = context.observation.gate
    return None if isinstance(gate, Unavailable) else "; ".join(gate.stopped.values()) or None


def lagging(lag_of: Callable[[KafkaState], int], what: str) -> Condition:
    """Return the condition that a lag is above its threshold and, once it has been for the grace, does not fall."""

    def is_high(observation: Observation, limits: Limits) -> bool:
        return isinstance(observation.kafka, KafkaState) and lag_of(observation.kafka) > limits.lag_alert_threshold

    def condition(context: RuleContext) -> str | None:
        kafka, limits = context.observation.kafka, context.limits
        if isinstance(kafka, Unavailable) or not is_high(context.observation, limits):
            return None
        lag = lag_of(kafka)
        if context.duration(lambda past: is_high(past, limits)) < limits.grace_s:
            return f"{lag} {what}"
        base = context.observation_at(limits.grace_s)
        if base is None or isinstance(base.kafka, Unavailable):
            return f"{lag} {what}"
        earlier = lag_of(base.kafka)
        return f"{lag} {what} ({earlier} {context.now - base.taken_at:.0f} s ago)" if lag >= earlier else None

    return condition


def dead_letters(context: RuleContext) -> str | None:
    """Elasticsearch refused documents within the window."""
    kafka, window_s = context.observation.kafka, context.limits.window_s
    past = [earlier.kafka.dead_end for earlier in context.since(window_s) if isinstance(earlier.kafka, KafkaState)]
    if isinstance(kafka, Unavailable) or not past or kafka.dead_end <= past[0]:
        return None
    return f"{kafka.dead_end - past[0]} documents were refused within {window_s:g} s"


def stale_data(context: RuleContext) -> str | None:
    """Sessions were admitted long enough ago, and none has become searchable since."""
    observation, base = context.observation, context.observation_at(context.limits.freshness_alert_s)
    if base is None or isinstance(observation.elasticsearch, Unavailable):
        return None
    for earlier in reversed(context.history):
        is_before = 0 < base.taken_at - earlier.taken_at <= MAX_OBSERVATION_GAP_S
        if not is_before or isinstance(earlier.elasticsearch, Unavailable):
            continue
        if _has_new_documents(earlier.elasticsearch, observation.elasticsearch):
            return None
        if _has_admitted(earlier, base):
            return f"sessions admitted {context.now - base.taken_at:.0f} s ago are not searchable"
    return None


def _has_new_documents(earlier: ElasticsearchState, now: ElasticsearchState) -> bool:
    """Return whether any session has become searchable; one of a slow partition need not be the newest."""
    return now.sessions > earlier.sessions or (now.newest_at or 0.0) > (earlier.newest_at or 0.0)


def _has_admitted(earlier: Observation, base: Observation) -> bool:
    """Return whether sessions were certainly admitted between two observations.

    Both the counter and the offsets must rise: the gate's counter runs ahead of its transactions, and aborted
    transactions take offsets.
    """
    if isinstance(earlier.gate, Unavailable) or isinstance(base.gate, Unavailable):
        return False
    if isinstance(earlier.kafka, Unavailable) or isinstance(base.kafka, Unavailable):
        return False
    is_counted = base.gate.verdicts.get("valid", 0) > earlier.gate.verdicts.get("valid", 0)
    is_decided = base.kafka.raw_end - base.kafka.gate_lag > earlier.kafka.raw_end - earlier.kafka.gate_lag
    return is_counted and is_decided and base.kafka.valid_end > earlier.kafka.valid_end


def archive_lagging(context: RuleContext) -> str | None:
    """Valid records arrive faster than they are archived, or none is archived any more."""
    limits, observation = context.limits, context.observation
    lag, base = observation.archive_lag, context.observation_at(limits.archive_stall_timeout_s)
    if not lag or base is None or not base.archive_lag:
        return None
    since = context.since(limits.archive_stall_timeout_s)
    past = [earlier.archive_lag for earlier in since if earlier.archive_lag is not None]
    age_s = context.now - base.taken_at
    # The minimum counts, because each run takes the lag down to almost nothing.
    if min([lag, base.archive_lag, *past]) > limits.archive_lag_alert_threshold and lag >= base.archive_lag:
        return f"{lag} valid records are not archived, {base.archive_lag} were {age_s:.0f} s ago"
    if _is_archive_stopped(base, observation):
        return f"nothing was archived for {age_s:.0f} s while {lag} valid records wait"
    return None


def _is_archive_stopped(base: Observation, observation: Observation) -> bool:
    """Return whether an archive that has run before has written nothing since."""
    if not isinstance(base.archive, ArchiveState) or not isinstance(observation.archive, ArchiveState):
        return False
    return observation.archive.written_at is not None and observation.archive == base.archive


def is_running(job: Job) -> bool:
    """Return whether all tasks of the job run."""
    return job.state == "RUNNING" and not job.idle_tasks


def progress(context: RuleContext) -> str | None:
    """Return which progress the job made within the limit of a stall, so that it is slow; None if it is stuck."""
    observation = context.observation
    if isinstance(observation.elasticsearch, ElasticsearchState) and observation.elasticsearch.has_reached_shard_limit:
        return "Elasticsearch has reached its limit of shards"
    past = context.since(context.limits.checkpoint_timeout_s)
    if not past:
        return None
    earlier = past[0]
    if isinstance(earlier.elasticsearch, ElasticsearchState) and isinstance(
        observation.elasticsearch, ElasticsearchState
    ):
        if observation.elasticsearch.rejections > earlier.elasticsearch.rejections:
            return "Elasticsearch rejects writes (429)"
        if observation.elasticsearch.sessions > earlier.elasticsearch.sessions:
            return "documents still become searchable"
    kafka, before = observation.kafka, earlier.kafka
    if isinstance(kafka, KafkaState) and isinstance(before, KafkaState) and kafka.stream_read > before.stream_read:
        return "its committed offsets still advance"
    return "its operators still emit records" if _emits_records(past, observation.job) else None


def _emits_records(past: Sequence[Observation], job: Job | None) -> bool:
    if job is None or job.records is None:
        return False
    counts = [earlier.job.records for earlier in past if earlier.job is not None and earlier.job.id == job.id]
    counted = [count for count in counts if count is not None]
    return bool(counted) and job.records > counted[0]
