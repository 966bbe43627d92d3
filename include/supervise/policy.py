"""What to do about an observation: one pure function, which fails closed.

It restarts the job only if Flink, Kafka and Elasticsearch are available, the restore points can be read and the
budget of restarts is not spent. Every other condition waits for a grace and then pages.
"""

from collections.abc import Sequence

import msgspec

from include.supervise.observation import Observation
from include.supervise.rule_context import Action, Finding, Limits, RuleContext
from include.supervise.rules import ALERT_RULES, RESTART_RULES, evaluate

__all__ = ["HEALTHY", "RESTART_ACTIONS", "Action", "Decision", "Finding", "Limits", "decide"]

RESTART_ACTIONS: frozenset[Action] = frozenset({"submit", "resume"})
HEALTHY = "supervise.healthy"


class Decision(msgspec.Struct, frozen=True):
    """What to do now. `other_findings` do not change the action."""

    action: Action
    alert: str
    reason: str
    remedy: str
    other_findings: tuple[Finding, ...] = ()

    @property
    def should_restart(self) -> bool:
        """Whether the stream job is to be started."""
        return self.action in RESTART_ACTIONS

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, the decisive one first; empty when healthy."""
        if self.action == "healthy":
            return ()
        return (Finding(self.action, self.alert, self.reason, self.remedy), *self.other_findings)

    @property
    def alerts(self) -> tuple[Finding, ...]:
        """The findings that fire an alert."""
        return tuple(finding for finding in self.findings if finding.action == "page")


def decide(
    observation: Observation, history: Sequence[Observation], restarts: Sequence[float], limits: Limits, now: float
) -> Decision:
    """Return the decision at a time.

    The first finding of RESTART_RULES decides; without one a page of ALERT_RULES comes before a wait.

    Args:
        observation: The newest observation.
        history: Earlier observations in any order.
        restarts: Times of earlier restarts, Unix s. Those in the future, after a clock was set back, count as spent.
        limits: Thresholds.
        now: Unix s.
    """
    context = RuleContext(
        observation=observation,
        history=sorted((past for past in history if past.taken_at < now), key=lambda past: past.taken_at),
        restarts=[at for at in restarts if at > now - limits.window_s],
        limits=limits,
        now=now,
    )
    alerts = sorted(evaluate(ALERT_RULES, context), key=lambda finding: finding.action != "page")
    findings = [*evaluate(RESTART_RULES, context), *alerts]
    if not findings:
        return Decision("healthy", HEALTHY, _describe_health(observation), "none")
    first = findings[0]
    return Decision(first.action, first.alert, first.reason, first.remedy, tuple(findings[1:]))


def _describe_health(observation: Observation) -> str:
    flow = {True: "input flows", False: "input is idle", None: "the input's rate is unknown after one observation"}
    return f"the job runs and its checkpoints complete; {flow[observation.input_flowing]}"
