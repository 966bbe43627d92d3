"""The supervision rules: one row for each alert, action and condition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from include.contracts.metrics import Stage
from include.supervise import conditions, stall
from include.supervise.alerts import ALERTS
from include.supervise.conditions import Condition, unavailable
from include.supervise.observation import GateState, Observation, Unavailable
from include.supervise.rule_context import Finding, Limits, RuleContext

AUTOMATIC = "no action needed, the supervisor repairs this"


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Attributes:
        alert: Id of its alert.
        when: Condition; returns the reason, None if the condition is false.
        remedy: Remedy for the operator.
        action: Action of the supervisor once the condition has held for `hold`; until then it waits.
        hold: Duration in seconds, from the limits; None: the action is taken immediately.
    """

    alert: str
    when: Condition
    remedy: str | Callable[[RuleContext], str] = ""
    action: Literal["wait", "page", "restart"] = "page"
    hold: Callable[[Limits], float] | None = None

    @property
    def summary(self) -> str:
        """Title of the alert."""
        return ALERTS[self.alert].summary

    @property
    def runbook(self) -> Stage:
        """Stage whose runbook describes the alert."""
        return ALERTS[self.alert].runbook

    def evaluate(self, context: RuleContext) -> Finding | None:
        """Return what to do, None if the condition is false."""
        reason = self.when(context)
        if reason is None:
            return None
        remedy = self.remedy if isinstance(self.remedy, str) else self.remedy(context)
        if self.hold is not None:
            held_s = context.duration(lambda past: self._was_pending(context, past))
            reason = f"{reason}, for {held_s:.0f} s" if held_s else reason
            if held_s < self.hold(context.limits):
                return Finding("wait", self.alert, reason, remedy)
        if self.action == "restart":
            return _restart(context, self.alert, reason)
        return Finding(self.action, self.alert, reason, remedy)

    def _was_pending(self, context: RuleContext, past: Observation) -> bool:
        """Return whether the condition held in an earlier observation; for a restart, of the same job."""
        if self.action == "restart" and past.job_id != context.observation.job_id:
            return False
        return self.when(context.at(past)) is not None


def _grace(limits: Limits) -> float:
    return limits.grace_s


def _resume_command(context: RuleContext) -> str:
    gate = context.observation.gate
    partition = min(gate.stopped) if isinstance(gate, GateState) and gate.stopped else 0
    # Not from earliest, because after a truncation it reads records whose duplicates are no longer detected.
    return f"./showroom gate resume --partition {partition} --from gap, once the cause is known"


RESTART_RULES: tuple[Rule, ...] = (
    Rule(
        "flink.unreachable",
        unavailable("flink"),
        "./showroom status; supervisord starts a dead JobManager again",
        hold=_grace,
    ),
    Rule(
        "stream.no_taskmanager",
        conditions.no_taskmanager,
        "./showroom status and ./showroom logs flink-taskmanager; supervisord starts a dead one again",
        hold=_grace,
    ),
    Rule("kafka.unreachable", unavailable("kafka"), "./showroom status and ./showroom logs kafka", hold=_grace),
    Rule(
        "elasticsearch.unreachable",
        unavailable("elasticsearch"),
        "./showroom status and ./showroom logs elasticsearch",
        hold=_grace,
    ),
    Rule(
        "elasticsearch.write_blocked",
        conditions.write_blocked,
        "free its disk and remove the block, or open the index; see the runbook of serving",
        hold=_grace,
    ),
    Rule("stream.duplicate_job", conditions.duplicate_job, "./showroom stream cancel until one is left"),
    Rule(
        "stream.clock_skew",
        conditions.job_clock_skew,
        "set the clock of the JobManager's machine",
        hold=_grace,
    ),
    Rule("stream.no_job", conditions.no_job, AUTOMATIC, action="restart"),
    Rule(
        "stream.restarting",
        conditions.restarting,
        "./showroom stream status; ./showroom logs flink-taskmanager",
    ),
    Rule(
        "stream.not_running",
        conditions.not_running,
        "no action needed yet: Flink may start the tasks by itself",
        action="restart",
        hold=_grace,
    ),
    Rule(
        "stream.checkpoints_stalled",
        stall.stalled_after_outage,
        "no action needed yet: Kafka and Elasticsearch have only just recovered",
        action="wait",
    ),
    Rule("stream.slow", stall.slow_for_long, "see Elasticsearch's load and the records' size"),
    Rule("stream.slow", stall.slow, "see Elasticsearch's load and the records' size", action="wait"),
    Rule("stream.checkpoints_stalled", stall.stuck, AUTOMATIC, action="restart"),
    Rule("stream.checkpoints_stalled", stall.stuck_after_restart, "./showroom stream status; Flink's logs"),
)
"""Conditions that require a restart of the stream, or forbid it. Order matters: preconditions come before restarts."""

ALERT_RULES: tuple[Rule, ...] = (
    Rule("supervise.clock_skew", conditions.clock_skew, "synchronise the clocks of the machines", hold=_grace),
    Rule("gate.redis_unreachable", unavailable("gate"), "./showroom status and ./showroom logs redis", hold=_grace),
    Rule(
        "gate.redis_memory_high",
        conditions.redis_memory_high,
        "raise SHOWROOM_REDIS_MAX_MEMORY_MB or lower SHOWROOM_GATE_DUPLICATE_WINDOW_S, then restart Redis and the gate",
        hold=_grace,
    ),
    Rule(
        "gate.heartbeat_missing",
        conditions.heartbeat_missing,
        "./showroom status and ./showroom logs gate-0",
        hold=_grace,
    ),
    Rule("gate.partition_stopped", conditions.partition_stopped, _resume_command),
    Rule(
        "gate.lagging",
        conditions.lagging(lambda kafka: kafka.gate_lag, "raw records wait for the gate"),
        "raise SHOWROOM_GATE_PROCESSES, at most one for each partition",
        hold=_grace,
    ),
    Rule(
        "stream.lagging",
        conditions.lagging(lambda kafka: kafka.stream_lag, "valid records wait for the stream"),
        "see Elasticsearch's load; raise SHOWROOM_STREAM_PARALLELISM",
        hold=_grace,
    ),
    Rule("serving.dead_letters", conditions.dead_letters, "read documents.dead: each dead letter has its reason"),
    Rule(
        "serving.stale_data",
        conditions.stale_data,
        "./showroom stream status; documents.dead; ./showroom logs flink-taskmanager",
    ),
    Rule(
        "archive.unreachable",
        unavailable("archive"),
        "./showroom status and ./showroom logs mongodb",
        hold=_grace,
    ),
    Rule("archive.lagging", conditions.archive_lagging, "see the runs of archive_sessions in Airflow"),
    Rule(
        "stream.restore_unknown",
        unavailable("restore"),
        "start Flink (./showroom up), or make its data folder readable to the supervisor",
        hold=_grace,
    ),
)
"""Conditions that a restart of the stream cannot repair."""


def evaluate(rules: Sequence[Rule], context: RuleContext) -> list[Finding]:
    """Return the findings in the order of the rules; of several rows with one alert the first match decides."""
    findings: dict[str, Finding] = {}
    for rule in rules:
        if rule.alert not in findings and (finding := rule.evaluate(context)) is not None:
            findings[rule.alert] = finding
    return list(findings.values())


def _restart(context: RuleContext, alert: str, reason: str) -> Finding:
    """Resume the job from its newest restore point, submit it if there is none; page where both are forbidden."""
    restore, spent, limits = context.observation.restore, len(context.restarts), context.limits
    if isinstance(restore, Unavailable):
        return Finding(
            "page",
            "stream.restore_unknown",
            f"{reason}; checkpoints cannot be read: {restore.reason}",
            "start Flink (./showroom up) or make its data folder readable, then ./showroom stream resume",
        )
    if spent >= limits.restarts:
        return Finding(
            "page",
            "stream.restart_limit_reached",
            f"{reason}; {spent} starts within {limits.window_s:g} s did not help",
            "./showroom stream status and ./showroom logs flink-taskmanager; repair, then ./showroom stream resume",
        )
    if restore.path is None:
        return Finding("submit", alert, f"{reason}; there is no checkpoint yet", f"{AUTOMATIC}: it submits the job")
    # Only the name, because the outcome has the whole path.
    newest = PurePath(restore.path).name
    return Finding("resume", alert, f"{reason}; the newest checkpoint is {newest}", f"{AUTOMATIC}: it resumes the job")
