"""What the Stream page shows: the stages, what the supervisor decided, and whether the counts agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from include.contracts.reasons import MEANING, Reason
from include.gate.rejected import RejectedRecord
from include.supervise.decision_log import DecisionRecord
from include.supervise.observation import KafkaState
from include.supervise.stage_status import Figure, StageRow
from showroom.pages import wording
from showroom.pages.sources import Away

SHOWN_DECISIONS = 20
DAY_ID = len("2026-11-23")


class StageCard(NamedTuple):
    """One stage: its state in one word, and its figures as name and value."""

    name: str
    state: str
    note: str
    rate: str
    lag: str
    figures: tuple[tuple[str, str], ...]


class DecisionRow(NamedTuple):
    """One decision of the supervisor; `times` it was taken in a row without a change."""

    at: str
    until: str
    action: str
    alert: str
    reason: str
    remedy: str
    outcome: str
    times: int


class RejectRow(NamedTuple):
    """One reason of the gate. `part` of the most frequent one, 0 to 1."""

    reason: str
    meaning: str
    records: str
    part: float


class RejectedRow(NamedTuple):
    """One rejected record, without personal data; `origin` is its place in the raw topic."""

    at: str
    reason: str
    detail: str
    session_id: str
    origin: str


class HourRow(NamedTuple):
    """One reconciled hour or day, its stage equation as lines of text."""

    hour: str
    state: str
    owner: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class StreamPage:
    """Everything the template needs; each part is its rows, or Away."""

    stages: tuple[StageCard, ...] | Away
    decisions: tuple[DecisionRow, ...] | Away
    rejects: tuple[RejectRow, ...] | Away
    newest: tuple[RejectedRow, ...] | Away
    hours: tuple[HourRow, ...] | Away
    charts: dict[str, dict[str, Any]]


def stream_page(
    stages: Sequence[StageRow] | Away,
    decisions: Sequence[DecisionRecord] | Away,
    rejected: Mapping[Reason, int] | Away,
    hours: Sequence[Mapping[str, Any]] | Away,
    newest: Sequence[RejectedRecord] | Away = (),
) -> StreamPage:
    """The page of what the sources answered; decisions, hours and rejected records newest first."""
    return StreamPage(
        stages=stages if isinstance(stages, Away) else tuple(_card(row) for row in stages),
        decisions=decisions if isinstance(decisions, Away) else tuple(_decisions(decisions)),
        rejects=rejected if isinstance(rejected, Away) else tuple(_rejects(rejected)),
        newest=newest if isinstance(newest, Away) else tuple(_rejected(record) for record in newest),
        hours=hours if isinstance(hours, Away) else tuple(_hour(document) for document in hours),
        charts={} if isinstance(decisions, Away) else {"lag": _lag(decisions)},
    )


def _card(row: StageRow) -> StageCard:
    rate = wording.UNKNOWN if row.rate is None else f"{row.rate:,.0f}" if row.rate >= 1 else f"{row.rate:.2g}"
    return StageCard(
        name=row.stage,
        state=row.state,
        note=row.note,
        rate=rate,
        lag=wording.whole(row.lag),
        figures=tuple((_name(row.stage, figure), _figure(figure)) for figure in row.figures),
    )


def _name(stage: str, figure: Figure) -> str:
    """The figure's name as words; its stage and its unit are said elsewhere."""
    bare = figure.name.removeprefix(f"{stage}.")
    return wording.label(bare.removesuffix("_s") if figure.unit == "s" else bare)


def _figure(figure: Figure) -> str:
    value = figure.value
    if value is None or isinstance(value, str):
        return value or wording.UNKNOWN
    if figure.unit == "s":
        return wording.span(value)
    text = wording.whole(value) if float(value).is_integer() else f"{value:,.2f}"
    return f"{text} {figure.unit}".strip()


def _decisions(entries: Sequence[DecisionRecord]) -> list[DecisionRow]:
    """Newest first; the same decision in a row is one line."""
    rows: list[DecisionRow] = []
    for entry in entries:
        row = _decision(entry)
        last = rows[-1] if rows else None
        if last is not None and not entry.is_restart and _sort(last) == _sort(row):
            rows[-1] = row._replace(until=last.until, times=last.times + 1)
        elif len(rows) < SHOWN_DECISIONS:
            rows.append(row)
        else:
            break
    return rows


def _sort(row: DecisionRow) -> tuple[str, str, str]:
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
        RejectRow(wording.label(reason), MEANING[reason], wording.whole(count), count / most)
        for reason, count in rejected.items()
    ]


def _rejected(record: RejectedRecord) -> RejectedRow:
    return RejectedRow(
        at=f"{record.rejected_at:%d %b %H:%M:%S}",
        reason=wording.label(record.reason),
        detail=record.detail or wording.UNKNOWN,
        session_id=record.session_id or wording.UNKNOWN,
        origin=f"{record.topic}[{record.partition}]@{record.offset}",
    )


def _hour(document: Mapping[str, Any]) -> HourRow:
    """One entry; that of a day has a date as its id."""
    identity = str(document["_id"])
    hour = f"{identity}, the day" if len(identity) == DAY_ID else wording.moment(datetime.fromisoformat(identity))
    return HourRow(
        hour=hour,
        state=str(document.get("state") or _state(document)),
        owner=str(document.get("owner") or ""),
        lines=tuple((str(line.get("name", "")), _line(line)) for line in document.get("lines", [])),
    )


def _state(document: Mapping[str, Any]) -> str:
    """The state of an entry of an earlier version."""
    return "pending" if document.get("pending") else "balanced" if document.get("balanced") else "difference"


def _line(line: Mapping[str, Any]) -> str:
    return str(line.get("text") or ", ".join(f"{key} {_value(value)}" for key, value in line.items() if key != "name"))


def _value(value: Any) -> str:
    return wording.whole(value) if isinstance(value, int | float) else str(value)


def _lag(entries: Sequence[DecisionRecord]) -> dict[str, Any]:
    read = [
        (datetime.fromtimestamp(entry.at, UTC).isoformat(), entry.observation.kafka, entry.observation.archive_lag)
        for entry in reversed(entries)
        if isinstance(entry.observation.kafka, KafkaState)
    ]
    lines: dict[str, list[tuple[str, int]]] = {
        "gate": [(at, kafka.gate_lag) for at, kafka, _ in read],
        "stream": [(at, kafka.stream_lag) for at, kafka, _ in read],
        "archive": [(at, lag) for at, _, lag in read if lag is not None],
    }
    traces = [
        {
            "type": "scatter",
            "name": name,
            "at": [at for at, _ in points],
            "values": [value for _, value in points],
            "texts": [f"{name}: {wording.whole(value)}" for _, value in points],
        }
        for name, points in lines.items()
        if points or name != "archive"
    ]
    return {"shape": "time", "mode": "unstacked", "traces": traces, "unit": "number"}
