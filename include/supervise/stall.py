"""Conditions of a job whose tasks run and whose checkpoints do not complete; at most one of them holds."""

from include.supervise.conditions import is_running, progress
from include.supervise.observation import ElasticsearchState, KafkaState, Observation
from include.supervise.rule_context import RuleContext

SLOW_FACTOR = 5.0
"""A job that is slow for this many times the limit of a stall pages."""


def stalled_after_outage(context: RuleContext) -> str | None:
    """Kafka and Elasticsearch have not been available for the whole grace."""
    age_s = _stall_age_s(context)
    return None if age_s is None or not _is_recovering(context) else _describe(age_s)


def slow(context: RuleContext) -> str | None:
    """The job makes progress: a restart would only repeat its work."""
    age_s = _stall_age_s(context)
    if age_s is None or _is_recovering(context) or (why := progress(context)) is None:
        return None
    return f"{_describe(age_s)}; but {why}"


def slow_for_long(context: RuleContext) -> str | None:
    """The job is slow for many times the limit."""
    age_s = _stall_age_s(context)
    is_long = age_s is not None and age_s > SLOW_FACTOR * context.limits.checkpoint_timeout_s
    return slow(context) if is_long else None


def stuck(context: RuleContext) -> str | None:
    """The job makes no progress for the limit, which each restart within the window doubles."""
    age_s = _stuck_age_s(context)
    return _describe(age_s) if age_s is not None and age_s > _restart_limit_s(context) else None


def stuck_after_restart(context: RuleContext) -> str | None:
    """The job makes no progress, but it was restarted so recently that another restart is too early."""
    age_s, limit_s = _stuck_age_s(context), _restart_limit_s(context)
    if age_s is None or age_s > limit_s:
        return None
    number = len(context.restarts)
    return f"{_describe(age_s)}, after {number} restarts; the limit for the next restart is {limit_s:.0f} s"


def _describe(age_s: float) -> str:
    return f"no checkpoint has completed for {age_s:.0f} s"


def _stall_age_s(context: RuleContext) -> float | None:
    """Return the age of the newest checkpoint of a running job, None below the limit."""
    job = context.observation.job
    if job is None or not is_running(job):
        return None
    age_s = job.age_s if job.checkpoint_age_s is None else min(job.checkpoint_age_s, job.age_s)
    return age_s if age_s > context.limits.checkpoint_timeout_s else None


def _stuck_age_s(context: RuleContext) -> float | None:
    age_s = _stall_age_s(context)
    return None if age_s is None or _is_recovering(context) or progress(context) is not None else age_s


def _restart_limit_s(context: RuleContext) -> float:
    return float(context.limits.checkpoint_timeout_s * 2 ** len(context.restarts))


def _is_recovering(context: RuleContext) -> bool:
    return context.duration(_has_healthy_dependencies) < context.limits.grace_s


def _has_healthy_dependencies(observation: Observation) -> bool:
    search = observation.elasticsearch
    is_healthy = (
        isinstance(observation.kafka, KafkaState)
        and isinstance(search, ElasticsearchState)
        and search.write_block is None
    )
    return is_healthy and (observation.job is None or is_running(observation.job))
