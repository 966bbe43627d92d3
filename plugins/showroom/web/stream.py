"""View model of the Stream page: stages, decisions of the supervisor, reconciliation, rejected records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from include.contracts.reject_reasons import MEANING, Reason
from include.gate.rejected import RejectedRecord
from include.supervise.decision_log import DecisionRecord
from include.supervise.observation import KafkaState
from include.supervise.stage_status import StageMetric, StageRow
from showroom.web.data_sources import SourceFailure
from showroom.web.formatting import MISSING, format_count, format_duration, format_name, format_time

MAX_SHOWN_DECISIONS = 20
DAY_ID_LENGTH = len("2026-11-23")


class StageCard(NamedTuple):
    """One stage: its state, and its metrics as name and value."""

    name: str
    state: str
    note: str
    rate: str
    lag: str
    metrics: tuple[tuple[str, str], ...]


class DecisionRow(NamedTuple):
    """One decision of the supervisor; `times`: how often it was repeated without a change."""

    at: str
    until: str
    action: str
    alert: str
    reason: str
    remedy: str
    outcome: str
    times: int


class RejectRow(NamedTuple):
    """One reject reason. `share`: records relative to the most frequent reason, 0 to 1."""

    reason: str
    meaning: str
    records: str
    share: float


class RejectedRow(NamedTuple):
    """One rejected record, without personal data; `origin` is its topic, partition and offset."""

    at: str
    reason: str
    detail: str
    session_id: str
    origin: str


class HourRow(NamedTuple):
    """One reconciled hour or day, its counts as lines of text."""

    hour: str
    state: str
    owner: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class StreamPage:
    """Data of the template; each part is its rows, or the failure of its source."""

    stages: tuple[StageCard, ...] | SourceFailure
    decisions: tuple[DecisionRow, ...] | SourceFailure
    rejects: tuple[RejectRow, ...] | SourceFailure
    newest: tuple[RejectedRow, ...] | SourceFailure
    hours: tuple[HourRow, ...] | SourceFailure
    charts: dict[str, dict[str, Any]]


def stream_page(
    stages: Sequence[StageRow] | SourceFailure,
    decisions: Sequence[DecisionRecord] | SourceFailure,
    rejected: Mapping[Reason, int] | SourceFailure,
    hours: Sequence[Mapping[str, Any]] | SourceFailure,
    newest: Sequence[RejectedRecord] | SourceFailure = (),
) -> StreamPage:
    """Build the page from the results of the sources; decisions, hours and rejected records newest first."""
    return StreamPage(
        stages=stages if isinstance(stages, SourceFailure) else tuple(_card(row) for row in stages),
        decisions=decisions if isinstance(decisions, SourceFailure) else tuple(_decisions(decisions)),
        rejects=rejected if isinstance(rejected, SourceFailure) else tuple(_rejects(rejected)),
        newest=newest if isinstance(newest, SourceFailure) else tuple(_rejected(record) for record in newest),
        hours=hours if isinstance(hours, SourceFailure) else tuple(_hour(document) for document in hours),
        charts={} if isinstance(decisions, SourceFailure) else {"lag": _lag_chart(decisions)},
    )


def _card(row: StageRow) -> StageCard:
    rate = MISSING if row.rate is None else f"{row.rate:,.0f}" if row.rate >= 1 else f"{row.rate:.2g}"
    return StageCard(
        name=row.stage,
        state=row.state,
        note=row.note,
        rate=rate,
        lag=format_count(row.lag),
        metrics=tuple((_metric_name(row.stage, metric), _metric_value(metric)) for metric in row.metrics),
    )


def _metric_name(stage: str, metric: StageMetric) -> str:
    """Return the metric's name as words, without stage and unit, which the card shows in other places."""
    name = metric.name.removeprefix(f"{stage}.")
    return format_name(name.removesuffix("_s") if metric.unit == "s" else name)


def _metric_value(metric: StageMetric) -> str:
    value = metric.value
    if value is None or isinstance(value, str):
        return value or MISSING
    if metric.unit == "s":
        return format_duration(value)
    text = format_count(value) if float(value).is_integer() else f"{value:,.2f}"
    return f"{text} {metric.unit}".strip()


def _decisions(entries: Sequence[DecisionRecord]) -> list[DecisionRow]:
    """Return the decisions, newest first; repetitions of a decision are one row."""
    rows: list[DecisionRow] = []
    for entry in entries:
        row = _decision(entry)
        last = rows[-1] if rows else None
        if last is not None and not entry.is_restart and _decision_key(last) == _decision_key(row):
            rows[-1] = row._replace(until=last.until, times=last.times + 1)
        elif len(rows) < MAX_SHOWN_DECISIONS:
            rows.append(row)
        else:
            break
    return rows


def _decision_key(row: DecisionRow) -> tuple[str, str, str]:
    return row.action, row.alert, row.outcome


def _decision(entry: DecisionRecord) -> DecisionRow:
    at = f"{datetime.fromtimestamp(entry.at, UTC):%d %b %H:%M:%S}"
    decision = entry.decision
    return DecisionRow(
        at, at, decision.action, decision.alert, decision.reason, decision.remedy, entry.outcome or "", times=1
    )


def _rejects(rejected: Mapping[Reason, int]) -> list[RejectRow]:
    most = max(rejected.values(), default=0)
    return [
        RejectRow(format_name(reason), MEANING[reason], format_count(count), count / most)
        for reason, count in rejected.items()
    ]


def _rejected(record: RejectedRecord) -> RejectedRow:
    return RejectedRow(
        at=f"{record.rejected_at:%d %b %H:%M:%S}",
        reason=format_name(record.reason),
        detail=record.detail or MISSING,
        session_id=record.session_id or MISSING,
        origin=f"{record.topic}[{record.partition}]@{record.offset}",
    )


def _hour(document: Mapping[str, Any]) -> HourRow:
    """Return one hour or day; a day has a date as its id."""
    document_id = str(document["_id"])
    hour = (
        f"{document_id}, the day"
        if len(document_id) == DAY_ID_LENGTH
        else format_time(datetime.fromisoformat(document_id))
    )
    return HourRow(
        hour=hour,
        state=str(document.get("state") or _state(document)),
        owner=str(document.get("owner") or ""),
        lines=tuple((str(line.get("name", "")), _line_text(line)) for line in document.get("lines", [])),
    )


def _state(document: Mapping[str, Any]) -> str:
    """Return the state of a document that an earlier version wrote."""
    return "pending" if document.get("pending") else "balanced" if document.get("balanced") else "difference"


def _line_text(line: Mapping[str, Any]) -> str:
    return str(line.get("text") or ", ".join(f"{key} {_value(value)}" for key, value in line.items() if key != "name"))


def _value(value: Any) -> str:
    return format_count(value) if isinstance(value, int | float) else str(value)


def _lag_chart(entries: Sequence[DecisionRecord]) -> dict[str, Any]:
    observations = [
        (datetime.fromtimestamp(entry.at, UTC).isoformat(), entry.observation.kafka, entry.observation.archive_lag)
        for entry in reversed(entries)
        if isinstance(entry.observation.kafka, KafkaState)
    ]
    lines: dict[str, list[tuple[str, int]]] = {
        "gate": [(at, kafka.gate_lag) for at, kafka, _ in observations],
        "stream": [(at, kafka.stream_lag) for at, kafka, _ in observations],
        "archive": [(at, lag) for at, _, lag in observations if lag is not None],
    }
    traces = [
        {
            "type": "scatter",
            "name": name,
            "x": [at for at, _ in points],
            "values": [value for _, value in points],
            "texts": [f"{name}: {format_count(value)}" for _, value in points],
        }
        for name, points in lines.items()
        if points or name != "archive"
    ]
    return {"shape": "time", "mode": "unstacked", "traces": traces, "unit": "number"}
