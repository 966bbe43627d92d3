"""Ground truth of one or more plans: the injected faults and the expected counts of each stage."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec import Struct, field

from include.contracts.errors import SourceFormatError
from include.ingest.distinct import IntSet
from include.ingest.expected_counts import ExpectedCounts, KpiTotal
from include.ingest.plan import GENERATOR, Plan
from include.ingest.purchase_model import Intent, describe


class GroundTruth(Struct, frozen=True, kw_only=True):
    """Ground truth of the records of `plans`, all made by generator version `generator`.

    `injected` counts records by fault. `users` and `rows` are packed exact sets (admitted people by seed,
    minutes of kpi rows by category), so that several intervals merge without double counting;
    `transient_users` are admitted users of one plan only (bots).
    """

    generator: str
    plans: list[Plan]
    expected: ExpectedCounts
    injected: dict[str, int] = field(name="planted")  # the stored name of earlier versions
    intent: Intent
    users: dict[str, str]
    rows: dict[str, str]
    transient_users: int

    def save(self, path: Path) -> None:
        """Write the ground truth as JSON, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".new")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> "GroundTruth":
        """Read a ground truth.

        Raises:
            SourceFormatError: The file is missing or has another format.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError as error:
            raise SourceFormatError(f"no ledger at {path}", str(error.strerror)) from None
        except msgspec.DecodeError as error:
            raise SourceFormatError(f"{path} is not a ledger", str(error)) from None


def merge(ground_truths: Sequence[GroundTruth]) -> GroundTruth:
    """Merge ground truths; users and kpi rows are merged exactly, all other counts are summed.

    Raises SourceFormatError for none, for another generator version, and for a plan that occurs twice.
    """
    if not ground_truths:
        raise SourceFormatError("no ledger to merge", "name at least one")
    plans = [plan for ground_truth in ground_truths for plan in ground_truth.plans]
    twice = [tag for tag, count in Counter(plan.tag for plan in plans).items() if count > 1]
    if twice:
        names = ", ".join(twice)
        raise SourceFormatError(
            f"the same seed and interval twice ({names})", "its records are duplicates; merge it once"
        )
    if {ground_truth.generator for ground_truth in ground_truths} != {ground_truths[0].generator}:
        raise SourceFormatError("ledgers of different generator versions", "generate them again with one version")
    users = _unite_sets([ground_truth.users for ground_truth in ground_truths])
    rows = _unite_sets([ground_truth.rows for ground_truth in ground_truths])
    transient_users = sum(ground_truth.transient_users for ground_truth in ground_truths)
    buckets: dict[int, tuple[int, int]] = {}
    for ground_truth in ground_truths:
        for bucket, (sessions, purchases) in ground_truth.intent.buckets.items():
            before = buckets.get(int(bucket), (0, 0))
            buckets[int(bucket)] = (before[0] + sessions, before[1] + purchases)
    return GroundTruth(
        generator=GENERATOR,
        plans=plans,
        expected=_sum_expected([ground_truth.expected for ground_truth in ground_truths], users, rows, transient_users),
        injected=_sum_counts([ground_truth.injected for ground_truth in ground_truths]),
        intent=describe(buckets),
        users={seed: people.pack() for seed, people in users.items()},
        rows={category: minutes.pack() for category, minutes in rows.items()},
        transient_users=transient_users,
    )


def _sum_expected(
    parts: list[ExpectedCounts], users: dict[str, IntSet], rows: dict[str, IntSet], transient_users: int
) -> ExpectedCounts:
    kpi: dict[str, KpiTotal] = {}
    for part in parts:
        for category, total in part.kpi.items():
            kpi[category] = kpi.get(category, KpiTotal()) + total
    documents = _sum_counts([part.documents for part in parts])
    documents["kpi_minute"] = sum(len(minutes) for minutes in rows.values())
    return ExpectedCounts(
        produced=sum(part.produced for part in parts),
        verdicts=_sum_counts([part.verdicts for part in parts]),
        unique_users=sum(len(people) for people in users.values()) + transient_users,
        documents=documents,
        kpi=dict(sorted(kpi.items())),
        purchases=sum(part.purchases for part in parts),
        revenue=sum((part.revenue for part in parts), Decimal(0)),
        sentiments=_sum_counts([part.sentiments for part in parts]),
    )


def _sum_counts(parts: list[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items()))


def _unite_sets(parts: list[dict[str, str]]) -> dict[str, IntSet]:
    united: dict[str, IntSet] = {}
    for part in parts:
        for name, packed in sorted(part.items()):
            united.setdefault(name, IntSet()).update(IntSet.unpack(packed))
    return united
