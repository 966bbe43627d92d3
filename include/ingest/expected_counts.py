"""Expected counts of every stage for the records of one source."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
from msgspec import Struct

from include.contracts.index_documents import KPI_ALL
from include.contracts.session import Session
from include.ingest.distinct import IntSet
from include.ingest.labelled_record import VALID, LabelledRecord, Verdict
from include.ingest.plan import EPOCH

MINUTE = timedelta(minutes=1)


class KpiTotal(Struct, frozen=True, kw_only=True):
    """Sums over all kpi_minute rows of one category. `revenue` is exact, in shop currency."""

    sessions: int = 0
    purchases: int = 0
    revenue: Decimal = Decimal(0)
    duration_s: int = 0

    def __add__(self, other: "KpiTotal") -> "KpiTotal":
        return KpiTotal(
            sessions=self.sessions + other.sessions,
            purchases=self.purchases + other.purchases,
            revenue=self.revenue + other.revenue,
            duration_s=self.duration_s + other.duration_s,
        )


class KpiRow(Struct, frozen=True, kw_only=True):
    """One (minute, category): the sums, and the number of distinct users."""

    total: KpiTotal
    users: int


class ExpectedCounts(Struct, frozen=True, kw_only=True):
    """Expected counts of the raw topic, the gate, the indices and the KPIs.

    `verdicts` contains `valid` and every reason that occurs. `unique_users` counts users with an admitted session; None
    if there are too many to count exactly. `documents` is by index. Its `kpi_minute` counts distinct (minute,
    category); there are more rows if they arrive on several days. `kpi` is by category and `all`.
    """

    produced: int
    verdicts: dict[str, int]
    unique_users: int | None
    documents: dict[str, int]
    kpi: dict[str, KpiTotal]
    purchases: int
    revenue: Decimal
    sentiments: dict[str, int]

    @property
    def valid(self) -> int:
        """Return the number of admitted records."""
        return self.verdicts.get(VALID, 0)

    @property
    def rejected(self) -> int:
        """Return the number of rejected records, duplicates included."""
        return self.produced - self.valid


class Tally:
    """Running totals of expected counts."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.sentiments: Counter[str] = Counter()
        self.views = 0
        self.reviews = 0
        self.rows: dict[str, IntSet] = defaultdict(IntSet)
        self._kpi: dict[str, list[Decimal | int]] = {}

    def count_rejected(self, verdict: Verdict) -> None:
        """Count a record that the gate must reject."""
        self.verdicts[verdict] += 1

    def count_admitted(self, session: Session, amount: Decimal, sentiments: Sequence[str] = ()) -> None:
        """Count a record that the gate must admit; `amount` is the exact value of its purchases."""
        self.verdicts[VALID] += 1
        self.views += len(session.views)
        self.reviews += sum(1 for view in session.views if view.review is not None)
        self.sentiments.update(sentiments)
        minute = (session.started_at - EPOCH) // MINUTE
        for category in categories(session):
            self.rows[category].add(minute)
            sums = self._kpi.get(category)
            if sums is None:
                sums = self._kpi[category] = [0, 0, Decimal(0), 0]
            sums[0] += 1
            sums[1] += session.purchase.made
            sums[2] += amount
            sums[3] += session.duration_s

    def expected(self, unique_users: int | None) -> ExpectedCounts:
        """Return the counts so far."""
        kpi = {
            category: KpiTotal(sessions=int(n), purchases=int(bought), revenue=Decimal(money), duration_s=int(seconds))
            for category, (n, bought, money, seconds) in sorted(self._kpi.items())
        }
        every = kpi.get(KPI_ALL, KpiTotal())
        return ExpectedCounts(
            produced=self.verdicts.total(),
            verdicts={str(verdict): count for verdict, count in sorted(self.verdicts.items())},
            unique_users=unique_users,
            documents={
                "session_summary": self.verdicts[VALID],
                "product_details": self.views,
                "product_sentiment": self.reviews,
                "kpi_minute": sum(len(minutes) for minutes in self.rows.values()),
            },
            kpi=kpi,
            purchases=every.purchases,
            revenue=every.revenue,
            sentiments=dict(sorted(self.sentiments.items())),
        )


def categories(session: Session) -> list[str]:
    """Return the kpi rows of a session: each distinct viewed category, then `all`."""
    return [*dict.fromkeys(view.category for view in session.views if view.category is not None), KPI_ALL]


def build_kpi_table(labelled_records: Iterable[LabelledRecord]) -> dict[tuple[datetime, str], KpiRow]:
    """Return the kpi_minute rows of the records that must be admitted, by (minute, category).

    Stores the whole table, and the users of each row, in memory: for tests only.
    """
    decoder = msgspec.json.Decoder(Session)
    totals: dict[tuple[datetime, str], KpiTotal] = defaultdict(KpiTotal)
    users: dict[tuple[datetime, str], set[str]] = defaultdict(set)
    for labelled in labelled_records:
        if labelled.verdict != VALID:
            continue
        session = decoder.decode(labelled.value)
        minute = session.started_at.replace(second=0, microsecond=0)
        one = KpiTotal(
            sessions=1,
            purchases=int(session.purchase.made),
            revenue=Decimal(str(session.purchase.amount)),
            duration_s=session.duration_s,
        )
        for category in categories(session):
            totals[minute, category] += one
            users[minute, category].add(session.user_id)
    return {key: KpiRow(total=total, users=len(users[key])) for key, total in totals.items()}
