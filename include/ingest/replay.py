"""Real shop logs as records for `sessions.raw`, with the expected counts of every stage."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path

import msgspec
from msgspec import Struct

from include.contracts.errors import SourceFormatError, TerminalError
from include.contracts.reject_reasons import Reason
from include.contracts.session import Session
from include.ingest.distinct import DistinctCounter
from include.ingest.expected_counts import ExpectedCounts, Tally
from include.ingest.labelled_record import VALID, LabelledRecord, Verdict
from include.ingest.plan import EPOCH, Limits
from include.ingest.readers import FORMAT_MATCHERS, READERS
from include.ingest.readers.lines import BadLine, Line, ReaderStats, read_lines
from include.ingest.readers.visit import LoggedVisit

AUTO = "auto"
MAX_DISTINCT = 1_000_000
MAX_RATE_MINUTES = 180
_MINUTE = timedelta(minutes=1)


class ReplayReport(Struct, frozen=True, kw_only=True):
    """Contents of a log and the expected counts of each stage.

    `lines` are data lines without the header. `bad_lines` are invalid ones, the first of them with number and reason.
    `counts` are those of the reader: `cancelled` lines, and visits `split` or `closed_early`. `amount` is the exact
    value of all sessions, `expected.revenue` that of the admitted ones. `exact` is False beyond a million sessions,
    from which repeated ids and distinct users are no longer counted.
    """

    path: str
    format: str
    lines: int
    bad_lines: int
    first_bad_lines: list[BadLine]
    counts: dict[str, int]
    sessions: int
    amount: Decimal
    first_started_at: datetime | None
    last_started_at: datetime | None
    longest_value_bytes: int
    exact: bool
    expected: ExpectedCounts


class Replay:
    """The records of one log, in its order. `report` is available once an iteration has ended.

    Raises SourceFormatError during the iteration if the file is missing, empty, of another format, or broken gzip.
    """

    def __init__(self, path: Path, limits: Limits, format: str, limit: int | None, now: datetime) -> None:
        _check_format_name(format)
        self.path = path
        self._limits = limits
        self._format = format
        self._limit = limit
        self._now = now
        self._report: ReplayReport | None = None

    def __iter__(self) -> Iterator[LabelledRecord]:
        lines = read_lines(self.path)
        first = _read_first_line(self.path, lines)
        name = _resolve_format(self.path, self._format, first)
        stats = ReaderStats()
        predictor = _VerdictPredictor(self._limits, self._now)
        yield from map(predictor.label, islice(READERS[name](chain([first], lines), stats), self._limit))
        self._report = predictor.report(self.path, name, stats)

    @property
    def report(self) -> ReplayReport:
        """Return the report.

        Raises:
            TerminalError: The log has not been read to its end.
        """
        if self._report is None:
            raise TerminalError("the report is not complete", "iterate over all records first")
        return self._report


def replay(
    path: Path,
    limits: Limits,
    *,
    format: str = AUTO,
    limit: int | None = None,
    now: datetime | None = None,
) -> Replay:
    """Return a log as an iterable of `LabelledRecord` with a `report` at its end; at most `limit` sessions.

    `now` is the expected arrival time at the broker, by default the time of the call.
    """
    return Replay(path, limits, format, limit, now if now is not None else datetime.now(UTC))


def check_format(path: Path, format: str = AUTO) -> str:
    """Return the format of a log by its first line; reads no more than that line.

    Raises:
        SourceFormatError: The file is missing, unreadable, empty or of another format.
    """
    _check_format_name(format)
    if path.exists() and not path.is_file():
        raise SourceFormatError(f"{path} is not a regular file", "use the path of a file")
    return _resolve_format(path, format, _read_first_line(path, read_lines(path)))


def _read_first_line(path: Path, lines: Iterator[Line]) -> Line:
    for line in lines:
        return line
    raise SourceFormatError(f"{path} has no line with text", "use a file that contains a log")


def _check_format_name(format: str) -> None:
    if format != AUTO and format not in READERS:
        raise SourceFormatError(f"unknown format {format!r}", f"choose {', '.join(READERS)} or {AUTO}")


def _resolve_format(path: Path, format: str, first: Line) -> str:
    name = format if format != AUTO else _detect_format(path, first)
    if not FORMAT_MATCHERS[name](first.text or ""):
        raise SourceFormatError(f"{path} is not of format {name}", "select the correct format, or auto")
    return name


def _detect_format(path: Path, first: Line) -> str:
    for name, matches in FORMAT_MATCHERS.items():
        if first.text is not None and matches(first.text):
            return name
    raise SourceFormatError(f"{path} is not in a supported format", f"use {', '.join(READERS)}, plain or gzip")


class _VerdictPredictor:
    """Creates records of visits and predicts the gate's verdicts, with bounded memory."""

    def __init__(self, limits: Limits, now: datetime) -> None:
        self._limits = limits
        self._latest = now + timedelta(seconds=limits.max_future_s)
        self._oldest = now - timedelta(days=limits.max_past_days)
        self._tally = Tally()
        self._ids = DistinctCounter(MAX_DISTINCT)
        self._users = DistinctCounter(MAX_DISTINCT)
        self._rates: dict[int, Counter[str]] = {}
        self._encode = msgspec.json.Encoder().encode
        self._sessions = 0
        self._amount = Decimal(0)
        self._longest = 0
        self._span: tuple[datetime, datetime] | None = None

    def label(self, visit: LoggedVisit) -> LabelledRecord:
        session = visit.session
        value = self._encode(session)
        self._sessions += 1
        self._amount += visit.amount
        self._longest = max(self._longest, len(value))
        started = session.started_at
        low, high = self._span or (started, started)
        self._span = (min(low, started), max(high, started))
        verdict = self._verdict(session, len(value))
        if verdict == VALID:
            self._tally.count_admitted(session, visit.amount)
            self._users.add(session.user_id)
        else:
            self._tally.count_rejected(verdict)
        return LabelledRecord(
            key=session.user_id.encode(),
            value=value,
            arrives_at=started + timedelta(seconds=session.duration_s),
            session_id=session.session_id,
            verdict=verdict,
        )

    def _verdict(self, session: Session, length: int) -> Verdict:
        """Return the verdict that the gate must reach; a log has no injected faults."""
        if length > self._limits.max_record_bytes:
            return Reason.TOO_LONG
        if session.started_at > self._latest:
            return Reason.FUTURE_CLOCK
        if session.started_at < self._oldest:
            return Reason.PAST_CLOCK
        if not self._ids.add(session.session_id) and self._ids.is_exact:
            return Reason.DUPLICATE
        if self._exceeds_user_rate(session):
            return Reason.RATE_USER
        return VALID

    def _exceeds_user_rate(self, session: Session) -> bool:
        """Return whether a session exceeds the gate's rate limit of a user in its event minute."""
        minute = (session.started_at - EPOCH) // _MINUTE
        if minute not in self._rates:
            self._rates[minute] = Counter()
            while len(self._rates) > MAX_RATE_MINUTES:
                del self._rates[next(iter(self._rates))]
        self._rates[minute][session.user_id] += 1
        return self._rates[minute][session.user_id] > self._limits.max_user_sessions_per_minute

    def report(self, path: Path, name: str, stats: ReaderStats) -> ReplayReport:
        return ReplayReport(
            path=str(path),
            format=name,
            lines=stats.lines,
            bad_lines=stats.bad,
            first_bad_lines=stats.first_bad,
            counts=dict(sorted(stats.counts.items())),
            sessions=self._sessions,
            amount=self._amount,
            first_started_at=self._span[0] if self._span else None,
            last_started_at=self._span[1] if self._span else None,
            longest_value_bytes=self._longest,
            exact=self._ids.is_exact and self._users.is_exact,
            expected=self._tally.expected(self._users.count),
        )
