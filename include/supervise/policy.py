"""What to do about an observation: one pure function, which fails closed.

Acts (submit, resume) only on what it knows: Flink, Kafka and Elasticsearch answer, the restore points could be
read, and the budget of restarts is not spent. Everything else waits for a grace and then pages.
"""

from collections.abc import Sequence

import msgspec

from include.supervise import alarm_rules, start_rules
from include.supervise.observation import Observation
from include.supervise.rule_context import Action, Finding, Limits, View

__all__ = ["ACTING", "HEALTHY", "Action", "Decision", "Finding", "Limits", "decide"]

ACTING: frozenset[Action] = frozenset({"submit", "resume"})
HEALTHY = "supervise.healthy"


class Decision(msgspec.Struct, frozen=True):
    """What to do now. `also` holds what else is wrong and does not change the action."""

    action: Action
    alarm: str
    reason: str
    remedy: str
    also: tuple[Finding, ...] = ()

    @property
    def acts(self) -> bool:
        """Whether the stream is to be started."""
        return self.action in ACTING

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that is wrong, what decides first; empty when healthy."""
        if self.action == "healthy":
            return ()
        return (Finding(self.action, self.alarm, self.reason, self.remedy), *self.also)

    @property
    def pages(self) -> tuple[Finding, ...]:
        """Of the findings those a person must be told of."""
        return tuple(finding for finding in self.findings if finding.action == "page")


def decide(
    observation: Observation, history: Sequence[Observation], restarts: Sequence[float], limits: Limits, now: float
) -> Decision:
    """The decision at `now` (Unix s). `history`: earlier observations; `restarts`: times of earlier acts, Unix s.

    The first finding about the stream's start decides; without one a page comes before a wait. Restarts in the
    future, by a clock that was set back, count as spent.
    """
    view = View(
        seen=observation,
        history=sorted((past for past in history if past.taken_at < now), key=lambda past: past.taken_at),
        restarts=[at for at in restarts if at > now - limits.window_s],
        limits=limits,
        now=now,
    )
    first = [found for rule in start_rules.FIRST if (found := rule(view)) is not None]
    then = [found for rule in alarm_rules.THEN if (found := rule(view)) is not None]
    wrong = [*first, *sorted(then, key=lambda finding: finding.action != "page")]
    if not wrong:
        return Decision("healthy", HEALTHY, _healthy(observation), "none")
    decisive, also = wrong[0], tuple(wrong[1:])
    return Decision(decisive.action, decisive.alarm, decisive.reason, decisive.remedy, also)


def _healthy(observation: Observation) -> str:
    flowing = {True: "input flows", False: "input is idle", None: "one look says nothing of the input"}
    return f"the job runs and its checkpoints complete; {flowing[observation.input_flowing]}"
