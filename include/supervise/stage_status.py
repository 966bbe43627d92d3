"""The stages as the Stream page and the status show them: one row each."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from include.contracts.errors import TransientError
from include.contracts.metrics import Stage
from include.contracts.settings import Settings
from include.supervise.decision_log import Entry, Journal
from include.supervise.observation import Archive, Away, Gate, Kafka, Observation, Restore
from include.supervise.policy import Decision, Limits, decide
from include.supervise.probes import observe

State = Literal["ok", "waiting", "wrong", "away"]
SHOWN: tuple[Stage, ...] = ("ingest", "gate", "stream", "serving", "archive", "supervise")
RATE_OVER_S = 30.0
HISTORY = 120


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of a stage: `name` as in contracts.metrics or a plain word, with its unit ("" for none)."""

    name: str
    value: float | int | str | None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class StageRow:
    """One stage now. `rate` and `lag` in records a second and records, None where unknown; `note` for a person."""

    stage: Stage
    state: State
    note: str
    rate: float | None
    lag: int | None
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Now:
    """What is seen now and what the policy makes of it. `earlier`: for rates. `newest`: the last kept decision.

    `restarts`: times of the starts within the budget's window, Unix s.
    """

    seen: Observation
    decision: Decision
    earlier: Observation | None
    newest: Entry | None
    restarts: Sequence[float] = ()


def stages(settings: Settings, state: Path | None = None) -> list[StageRow]:
    """All stages but the batch, read now; never raises for a server that is away.

    `state` is Flink's data folder; without it the restore point is that of the newest kept decision. Rates are means
    since an observation of the journal that is at least RATE_OVER_S old.
    """
    return rows(observe_now(settings, state))


def observe_now(settings: Settings, state: Path | None = None) -> Now:
    """Observe and decide as a supervision cycle does, without acting, recording or alerting."""
    entries, restarts = _remembered(settings)
    newest = entries[0] if entries else None
    seen = observe(settings, newest.observation if newest else None, state=state)
    if state is None:
        known = newest.observation.restore if newest else Restore(None)
        seen = msgspec.structs.replace(seen, restore=known)
    now = time.time()
    history = [entry.observation for entry in entries]
    old = [past for past in history if seen.taken_at - past.taken_at >= RATE_OVER_S]
    decision = decide(seen, history, restarts, Limits.of(settings), now)
    return Now(seen=seen, decision=decision, earlier=old[0] if old else None, newest=newest, restarts=restarts)


def _remembered(settings: Settings) -> tuple[list[Entry], list[float]]:
    """The newest kept decisions, newest first, and the starts within the budget's window; none while Redis is away."""
    try:
        with Journal(settings) as journal:
            return journal.last(HISTORY), journal.restarts_since(time.time() - settings.supervise_window_s)
    except TransientError:
        return [], []


def decisions(settings: Settings, number: int) -> list[Entry]:
    """The supervisor's last decisions, newest first; none while its Redis is away."""
    try:
        with Journal(settings) as journal:
            return journal.last(number)
    except TransientError:
        return []


def rows(now: Now) -> list[StageRow]:
    """One row a stage: states by what is decided now, rates since the earlier observation."""
    rates, parts = _rates(now.seen, now.earlier), _parts(now.seen)
    wrong = _findings(now.decision)
    built: list[StageRow] = []
    for stage in SHOWN:
        away, lag, figures = parts[stage] if stage in parts else _supervision(now.newest)
        state, note = wrong.get(stage, ("ok", ""))
        if away is not None:
            state, note = "away", away
        built.append(StageRow(stage=stage, state=state, note=note, rate=rates.get(stage), lag=lag, figures=figures))
    return built


_Part = tuple[str | None, int | None, tuple[Figure, ...]]


def _parts(seen: Observation) -> dict[Stage, _Part]:
    kafka = seen.kafka if isinstance(seen.kafka, Kafka) else None
    away = seen.unknown
    return {
        "ingest": (away.get("kafka"), None, (Figure(name="records", value=None if kafka is None else kafka.raw_end),)),
        "gate": (away.get("gate"), None if kafka is None else kafka.gate_lag, _gate(seen.gate)),
        "stream": (away.get("flink"), None if kafka is None else kafka.stream_lag, _stream(seen)),
        "serving": (away.get("elasticsearch"), None, _serving(seen, kafka)),
        "archive": (away.get("archive"), seen.archive_lag, _archive(seen)),
    }


def _gate(gate: Gate | Away) -> tuple[Figure, ...]:
    if isinstance(gate, Away):
        return ()
    ages = [age for age in gate.heartbeat_age_s.values() if age is not None]
    beat = max(ages) if len(ages) == len(gate.heartbeat_age_s) and ages else None
    ordered = sorted(gate.verdicts.items(), key=lambda pair: (pair[0] != "valid", -pair[1]))
    verdicts = (Figure(name=verdict, value=count, unit="records") for verdict, count in ordered)
    ratio = gate.redis_memory_ratio
    memory = () if ratio is None else (Figure(name="gate.redis_memory_ratio", value=round(ratio, 3)),)
    return (Figure(name="gate.heartbeat_age_s", value=beat, unit="s"), *memory, *verdicts)


def _stream(seen: Observation) -> tuple[Figure, ...]:
    job = seen.job
    if job is None:
        return (Figure(name="job", value=None),)
    return (
        Figure(name="job", value=job.id),
        Figure(name="state", value=job.state),
        Figure(name="stream.checkpoint_age_s", value=job.checkpoint_age_s, unit="s"),
        Figure(name="checkpoints", value=job.checkpoints),
        Figure(name="stream.restarts", value=job.restarts, unit="restarts"),
        Figure(name="failure", value=job.failure),
    )


def _serving(seen: Observation, kafka: Kafka | None) -> tuple[Figure, ...]:
    search = seen.elasticsearch
    if isinstance(search, Away):
        return ()
    age = None if search.newest_at is None else seen.taken_at - search.newest_at
    return (
        Figure(name="health", value=search.health),
        Figure(name="sessions", value=search.sessions, unit="documents"),
        Figure(name="newest session", value=age, unit="s"),
        Figure(name="serving.refused", value=None if kafka is None else kafka.dead_end, unit="documents"),
    )


def _archive(seen: Observation) -> tuple[Figure, ...]:
    if not isinstance(seen.archive, Archive):
        return ()
    age = None if seen.archive.written_at is None else seen.taken_at - seen.archive.written_at
    return (Figure(name="last write", value=age, unit="s"),)


def _supervision(newest: Entry | None) -> _Part:
    if newest is None:
        return "no decision is kept, or Redis is away", None, ()
    age = Figure(name="last decision", value=time.time() - newest.at, unit="s")
    return None, None, (age, Figure(name="action", value=newest.decision.action))


def _findings(decision: Decision) -> Mapping[str, tuple[State, str]]:
    """Stage -> state and why, the worst of each stage."""
    found: dict[str, tuple[State, str]] = {}
    for finding in decision.findings:
        state: State = "waiting" if finding.action == "wait" else "wrong"
        stage = finding.alarm.split(".", maxsplit=1)[0]
        if found.get(stage, ("waiting", ""))[0] == "waiting":
            found[stage] = (state, f"{finding.reason}; {finding.remedy}")
    return found


def _rates(seen: Observation, earlier: Observation | None) -> dict[str, float]:
    if earlier is None or isinstance(seen.kafka, Away) or isinstance(earlier.kafka, Away):
        return {}
    span, now, then = seen.taken_at - earlier.taken_at, seen.kafka, earlier.kafka

    def per_s(after: Sequence[int], before: Sequence[int]) -> float:
        return max(0, sum(after) - sum(before)) / span

    decided = (now.raw_end, -now.gate_lag), (then.raw_end, -then.gate_lag)
    passed = (now.valid_end, -now.stream_lag), (then.valid_end, -then.stream_lag)
    rates = {"ingest": per_s([now.raw_end], [then.raw_end]), "gate": per_s(*decided), "stream": per_s(*passed)}
    if not isinstance(seen.elasticsearch, Away) and not isinstance(earlier.elasticsearch, Away):
        rates["serving"] = per_s([seen.elasticsearch.sessions], [earlier.elasticsearch.sessions])
    if isinstance(seen.archive, Archive) and isinstance(earlier.archive, Archive):
        rates["archive"] = per_s([*seen.archive.offsets.values()], [*earlier.archive.offsets.values()])
    return rates
