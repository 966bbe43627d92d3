"""The status of each stage for the Stream page, `./showroom status` and the metrics."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from include.contracts.errors import TransientError
from include.contracts.metrics import Stage
from include.contracts.settings import RedisSettings, Settings
from include.supervise.alerts import stage_of
from include.supervise.decision_log import DecisionLog, DecisionRecord
from include.supervise.observation import ArchiveState, GateState, KafkaState, Observation, RestoreState, Unavailable
from include.supervise.policy import Decision, Limits, decide
from include.supervise.probes import observe

State = Literal["ok", "waiting", "failing", "unavailable"]
SHOWN: tuple[Stage, ...] = ("ingest", "gate", "stream", "serving", "archive", "supervise")
RATE_WINDOW_S = 30.0
HISTORY = 120


@dataclass(frozen=True, kw_only=True)
class StageMetric:
    """One value of a stage: `name` as in contracts.metrics or a plain word, with its unit ("" for none)."""

    name: str
    value: float | int | str | None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """One stage now. `rate` in records/s and `lag` in records, None if unknown; `note`: reason of its state."""

    stage: Stage
    state: State
    note: str
    rate: float | None
    lag: int | None
    metrics: tuple[StageMetric, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CurrentStatus:
    """Current observation and decision.

    Attributes:
        observation: The present observation.
        decision: The decision about it.
        earlier: An earlier observation, for rates.
        newest: The newest record of the decision log.
        restarts: Times of the restarts within the window, Unix s.
    """

    observation: Observation
    decision: Decision
    earlier: Observation | None
    newest: DecisionRecord | None
    restarts: Sequence[float] = ()


def stages(settings: Settings, state: Path | None = None) -> list[StageRow]:
    """Return all stages but the batch, read now; never raises for an unavailable server.

    Args:
        settings: Addresses and limits.
        state: Flink's data folder; without it the restore point is that of the newest record.

    Returns:
        One row for each stage. Rates are means over at least RATE_WINDOW_S.
    """
    return rows(observe_now(settings, state))


def observe_now(settings: Settings, state: Path | None = None) -> CurrentStatus:
    """Observe and decide as a supervision cycle does, without acting, recording or alerting."""
    records, restarts = _read_log(settings)
    newest = records[0] if records else None
    observation = observe(settings, newest.observation if newest else None, state=state)
    if state is None:
        restore = newest.observation.restore if newest else RestoreState(None)
        observation = msgspec.structs.replace(observation, restore=restore)
    now = time.time()
    history = [record.observation for record in records]
    old = [past for past in history if observation.taken_at - past.taken_at >= RATE_WINDOW_S]
    decision = decide(observation, history, restarts, Limits.of(settings.supervise), now)
    return CurrentStatus(
        observation=observation, decision=decision, earlier=old[0] if old else None, newest=newest, restarts=restarts
    )


def _read_log(settings: Settings) -> tuple[list[DecisionRecord], list[float]]:
    """Return the newest records, newest first, and the restarts in the window; none while Redis is unavailable."""
    try:
        with DecisionLog(settings.redis) as decision_log:
            return decision_log.last(HISTORY), decision_log.restarts_since(
                time.time() - settings.supervise.restart_window_s
            )
    except TransientError:
        return [], []


def decisions(settings: RedisSettings, number: int) -> list[DecisionRecord]:
    """Return the supervisor's last decisions, newest first; none while its Redis is unavailable."""
    try:
        with DecisionLog(settings) as decision_log:
            return decision_log.last(number)
    except TransientError:
        return []


def rows(now: CurrentStatus) -> list[StageRow]:
    """Return one row for each stage: its state by the present decision, its rate since the earlier observation."""
    rates, parts = _rates(now.observation, now.earlier), _parts(now.observation)
    findings = _findings(now.decision)
    built: list[StageRow] = []
    for stage in SHOWN:
        unavailable, lag, metrics = parts[stage] if stage in parts else _supervision(now.newest)
        state, note = findings.get(stage, ("ok", ""))
        if unavailable is not None:
            state, note = "unavailable", unavailable
        built.append(StageRow(stage=stage, state=state, note=note, rate=rates.get(stage), lag=lag, metrics=metrics))
    return built


_Part = tuple[str | None, int | None, tuple[StageMetric, ...]]


def _parts(observation: Observation) -> dict[Stage, _Part]:
    kafka = observation.kafka if isinstance(observation.kafka, KafkaState) else None
    reasons = observation.unavailable
    return {
        "ingest": (
            reasons.get("kafka"),
            None,
            (StageMetric(name="records", value=None if kafka is None else kafka.raw_end),),
        ),
        "gate": (reasons.get("gate"), None if kafka is None else kafka.gate_lag, _gate(observation.gate)),
        "stream": (reasons.get("flink"), None if kafka is None else kafka.stream_lag, _stream(observation)),
        "serving": (reasons.get("elasticsearch"), None, _serving(observation, kafka)),
        "archive": (reasons.get("archive"), observation.archive_lag, _archive(observation)),
    }


def _gate(gate: GateState | Unavailable) -> tuple[StageMetric, ...]:
    if isinstance(gate, Unavailable):
        return ()
    ages = [age for age in gate.heartbeat_age_s.values() if age is not None]
    beat = max(ages) if len(ages) == len(gate.heartbeat_age_s) and ages else None
    ordered = sorted(gate.verdicts.items(), key=lambda pair: (pair[0] != "valid", -pair[1]))
    verdicts = (StageMetric(name=verdict, value=count, unit="records") for verdict, count in ordered)
    ratio = gate.redis_memory_ratio
    memory = () if ratio is None else (StageMetric(name="gate.redis_memory_ratio", value=round(ratio, 3)),)
    return (StageMetric(name="gate.heartbeat_age_s", value=beat, unit="s"), *memory, *verdicts)


def _stream(observation: Observation) -> tuple[StageMetric, ...]:
    job = observation.job
    if job is None:
        return (StageMetric(name="job", value=None),)
    return (
        StageMetric(name="job", value=job.id),
        StageMetric(name="state", value=job.state),
        StageMetric(name="stream.checkpoint_age_s", value=job.checkpoint_age_s, unit="s"),
        StageMetric(name="checkpoints", value=job.checkpoints),
        StageMetric(name="stream.restarts", value=job.restarts, unit="restarts"),
        StageMetric(name="failure", value=job.failure),
    )


def _serving(observation: Observation, kafka: KafkaState | None) -> tuple[StageMetric, ...]:
    search = observation.elasticsearch
    if isinstance(search, Unavailable):
        return ()
    age = None if search.newest_at is None else observation.taken_at - search.newest_at
    return (
        StageMetric(name="health", value=search.health),
        StageMetric(name="sessions", value=search.sessions, unit="documents"),
        StageMetric(name="newest session", value=age, unit="s"),
        StageMetric(name="serving.dead_letters", value=None if kafka is None else kafka.dead_end, unit="documents"),
    )


def _archive(observation: Observation) -> tuple[StageMetric, ...]:
    if not isinstance(observation.archive, ArchiveState):
        return ()
    age = None if observation.archive.written_at is None else observation.taken_at - observation.archive.written_at
    return (StageMetric(name="last write", value=age, unit="s"),)


def _supervision(newest: DecisionRecord | None) -> _Part:
    if newest is None:
        return "no decision is recorded, or Redis is unavailable", None, ()
    age = StageMetric(name="last decision", value=time.time() - newest.at, unit="s")
    return None, None, (age, StageMetric(name="action", value=newest.decision.action))


def _findings(decision: Decision) -> Mapping[str, tuple[State, str]]:
    """Return stage -> state and reason, the worst of each stage."""
    states: dict[str, tuple[State, str]] = {}
    for finding in decision.findings:
        state: State = "waiting" if finding.action == "wait" else "failing"
        stage = stage_of(finding.alert)
        if states.get(stage, ("waiting", ""))[0] == "waiting":
            states[stage] = (state, f"{finding.reason}; {finding.remedy}")
    return states


def _rates(observation: Observation, earlier: Observation | None) -> dict[str, float]:
    if earlier is None or isinstance(observation.kafka, Unavailable) or isinstance(earlier.kafka, Unavailable):
        return {}
    span, now, then = observation.taken_at - earlier.taken_at, observation.kafka, earlier.kafka

    def per_s(after: Sequence[int], before: Sequence[int]) -> float:
        return max(0, sum(after) - sum(before)) / span

    decided = (now.raw_end, -now.gate_lag), (then.raw_end, -then.gate_lag)
    passed = (now.valid_end, -now.stream_lag), (then.valid_end, -then.stream_lag)
    rates = {"ingest": per_s([now.raw_end], [then.raw_end]), "gate": per_s(*decided), "stream": per_s(*passed)}
    if not isinstance(observation.elasticsearch, Unavailable) and not isinstance(earlier.elasticsearch, Unavailable):
        rates["serving"] = per_s([observation.elasticsearch.sessions], [earlier.elasticsearch.sessions])
    if isinstance(observation.archive, ArchiveState) and isinstance(earlier.archive, ArchiveState):
        rates["archive"] = per_s([*observation.archive.offsets.values()], [*earlier.archive.offsets.values()])
    return rates
