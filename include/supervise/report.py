"""The stages as the Stream page and the status show them: one row each."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from include.contracts.errors import TransientError
from include.contracts.metrics import Stage
from include.contracts.settings import Settings
from include.supervise.journal import Entry, Journal
from include.supervise.observation import Away, Gate, Kafka, Observation
from include.supervise.probes import observe

State = Literal["ok", "waiting", "wrong", "away"]
SHOWN: tuple[Stage, ...] = ("ingest", "gate", "stream", "serving", "supervise")
RATE_OVER_S = 30.0


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


def stages(settings: Settings) -> list[StageRow]:
    """Ingest, gate, stream, serving and supervise, read now; never raises for a server that is away.

    Rates are means since an observation of the journal that is at least RATE_OVER_S old; states follow the
    newest decision.
    """
    entries = decisions(settings, 20)
    seen = observe(settings)
    old = [entry.observation for entry in entries if seen.taken_at - entry.at >= RATE_OVER_S]
    return rows(seen, old[0] if old else None, entries[0] if entries else None)


def decisions(settings: Settings, number: int) -> list[Entry]:
    """The supervisor's last decisions, newest first; none while its Redis is away."""
    try:
        with Journal(settings) as journal:
            return journal.last(number)
    except TransientError:
        return []


def rows(seen: Observation, earlier: Observation | None, newest: Entry | None) -> list[StageRow]:
    """One row a stage: `seen` now, rates since `earlier`, states by the `newest` decision."""
    rates, parts = _rates(seen, earlier), _parts(seen)
    wrong = _findings(newest)
    built: list[StageRow] = []
    for stage in SHOWN:
        away, lag, figures = parts[stage] if stage in parts else _supervision(newest)
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


def _supervision(newest: Entry | None) -> _Part:
    if newest is None:
        return "no decision is kept, or Redis is away", None, ()
    age = Figure(name="last decision", value=time.time() - newest.at, unit="s")
    return None, None, (age, Figure(name="action", value=newest.decision.action))


def _findings(newest: Entry | None) -> Mapping[str, tuple[State, str]]:
    """Stage -> state and why, the worst of each stage."""
    found: dict[str, tuple[State, str]] = {}
    for finding in () if newest is None else newest.decision.findings:
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
    return rates
