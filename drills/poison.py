"""`./showroom drill poison`: poison records under a steady load of ordinary sessions."""

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from elasticsearch import Elasticsearch
from kafka import KafkaProducer

from benchmarks.bench_stack import empty_stack, on_progress
from benchmarks.result import report
from drills.drill import RESULTS, drill_settings, start
from drills.live import RestartCounter, check_counts, combine_expected, count_differences, pause
from include.clients.elasticsearch import connect
from include.contracts.index_documents import MONTHS_APART, older_index
from include.contracts.reject_reasons import Reason
from include.contracts.session import Device, Location, Purchase, Session, User, View
from include.contracts.settings import KafkaSettings, Settings
from include.contracts.topics import RAW
from include.ingest.expected_counts import ExpectedCounts, Tally
from include.ingest.generator import synthesize
from include.ingest.ground_truth import GroundTruth
from include.ingest.labelled_record import LabelledRecord, partition_of
from include.ingest.plan import Plan
from include.ingest.publisher import publish
from include.serving import queries
from local.verification.count_check import StageCount, take_baseline
from local.verification.freshness import Freshness, FreshnessProbe

LOAD_DURATION_S = 150.0
POISON_INTERVAL_S = 20.0
SAMPLE_EVERY = 5
SEARCHABLE_TIMEOUT_S = 60.0
SESSIONS = "s-poison-"
MEGABYTE = 1_000_000
COMPRESSED_BYTES = (9 * MEGABYTE, 5 * MEGABYTE)
EMOJI_SESSIONS, REVIEWS_PER_SESSION, REVIEW_CHARACTERS = 20, 32, 4_000
MONTHS = 240
MONTH = timedelta(days=30, hours=10, minutes=30)
IDEOGRAPH = "\N{CJK UNIFIED IDEOGRAPH-5BB6}"
CATEGORIES = 20
CATEGORY_CHARACTERS = 200
SEND_TIMEOUT_S = 60.0
MAX_REQUEST_BYTES = 16 * MEGABYTE
WINDOW_S = 20.0
TARGETS = {
    "freshness_p95_s": ("at most", 5.0),
    "freshness_worst_window_p95_s": ("at most", 5.0),
    "doses_after_load": ("at most", 0.0),
    "ordinary_lost": ("at most", 0.0),
    "lost": ("at most", 0.0),
    "duplicated": ("at most", 0.0),
    "dead_letters": ("at most", 0.0),
    "restarts": ("at most", 0.0),
}


Send = Callable[[bytes, bytes], None]


class Poison:
    """Sender of poison records that counts the expected outcomes. `send` takes key and value."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._tally = Tally()
        self._sent = 0

    @property
    def expected(self) -> ExpectedCounts:
        """Return the expected counts of all sent records."""
        return self._tally.expected(None)

    def send_compressed(self) -> None:
        """Send records that are small when compressed and exceed the gate's size limits when decompressed."""
        for size in COMPRESSED_BYTES:
            self._send(b"u-poison", b"x" * size)
            self._tally.count_rejected(Reason.TOO_LONG)

    def send_emoji(self) -> None:
        """Send sessions whose reviews consist of emoji."""
        review = "\N{FACE WITH TEARS OF JOY}" * REVIEW_CHARACTERS
        for _ in range(EMOJI_SESSIONS):
            self._send_session([_view(review=review)] * REVIEWS_PER_SESSION)

    def send_back_dated(self) -> None:
        """Send one session of each of the last 240 months."""
        for number in range(MONTHS):
            self._send_session([_view()], before=number * MONTH)

    def send_long_categories(self) -> None:
        """Send sessions of a category whose name exceeds the maximum length of a document id."""
        for _ in range(CATEGORIES):
            self._send_session([_view(category=IDEOGRAPH * CATEGORY_CHARACTERS)])

    def _send_session(self, views: list[View], before: timedelta = timedelta(0)) -> None:
        self._sent += 1
        user = f"u-poison-{self._sent}"
        session = Session(
            v=1,
            session_id=f"{SESSIONS}{self._sent}",
            user_id=user,
            started_at=datetime.now(UTC) - before - timedelta(minutes=5),
            duration_s=60,
            user=User(name=None, email=None, gender=None),
            ip=None,
            device=Device(type="desktop", os=None, browser=None),
            location=Location(country=None, state=None, city=None, zip=None),
            referrer="direct",
            page_views=None,
            clicks=None,
            views=views,
            last_action="view_item",
            exit_page=None,
            purchase=Purchase(made=False, amount=0.0, payment=None),
        )
        self._send(user.encode(), msgspec.json.encode(session))
        self._tally.count_admitted(session, Decimal(0))


@contextmanager
def _sender(settings: KafkaSettings) -> Iterator[Send]:
    """Yield a function that sends with compression and accepts larger records than the platform's producers."""
    producer = KafkaProducer(
        bootstrap_servers=settings.bootstrap_servers.split(","),
        compression_type="gzip",
        max_request_size=MAX_REQUEST_BYTES,
        metrics_enabled=False,
    )

    def send(key: bytes, value: bytes) -> None:
        partition = partition_of(key, settings.partitions)
        producer.send(RAW, key=key, value=value, partition=partition).get(timeout=SEND_TIMEOUT_S)

    try:
        yield send
    finally:
        producer.close(timeout=SEND_TIMEOUT_S)


def _view(category: str | None = None, review: str | None = None) -> View:
    return View(product_id="p01", name=None, category=category, price=None, seconds=None, review=review)


def run(per_s: float, seed: int) -> str:
    """Run the drill.

    Args:
        per_s: Ordinary sessions a second.
        seed: Seed of the synthetic shop.

    Returns:
        The result as one JSON line.
    """
    settings = drill_settings()
    with empty_stack(settings) as stack:
        start(stack)
        since = take_baseline(settings)
        load, ledger = _build_load(settings, per_s, seed)
        restart_counter = RestartCounter(settings)
        with (
            FreshnessProbe(settings.elasticsearch, SAMPLE_EVERY) as probe,
            ThreadPoolExecutor(1) as executor,
            _sender(settings.kafka) as sender,
        ):
            poison = Poison(sender)
            send = functools.partial(publish, settings.kafka, rate=per_s, on_acknowledged=probe.produced)
            publication = executor.submit(send, probe.watch(load))
            doses_after_load = 0
            for name, send_poison in _poison_senders(poison).items():
                pause(POISON_INTERVAL_S)
                on_progress(name)
                send_poison()
                doses_after_load += publication.done()
            publication.result()
            freshness = probe.result(SEARCHABLE_TIMEOUT_S)
        lines = check_counts(settings, combine_expected(ledger.expected, poison.expected), since)
        with connect(settings.elasticsearch) as client:
            effects = _count_effects(client, lines, ledger.expected)
        figures = _freshness_metrics(freshness, probe.delays.values(), probe.waiting.values()) | {
            "fault_effects": sum(count >= required for count, required in effects.values()),
            "effects": {name: count for name, (count, _) in effects.items()},
            "doses_after_load": doses_after_load,
            **count_differences(lines),
            "poison_records": poison.expected.produced,
            "restarts": restart_counter.restarts(),
            "decisions": restart_counter.decisions(),
            "sessions": ledger.expected.valid,
        }
    targets = TARGETS | {
        "fault_effects": ("at least", float(len(effects))),
        "ordinary_sampled": ("at least", float(ledger.expected.valid // SAMPLE_EVERY)),
    }
    config = {"sessions_per_s": per_s, "total_s": LOAD_DURATION_S, "sample_every": SAMPLE_EVERY}
    return report("poison", figures=figures, targets=targets, seed=seed, config=config, folder=RESULTS)


def _poison_senders(poison: Poison) -> dict[str, Callable[[], None]]:
    return {
        f"{EMOJI_SESSIONS} sessions with {REVIEWS_PER_SESSION} reviews of {REVIEW_CHARACTERS} emoji": poison.send_emoji,
        "gzip records of 9 and 5 MB": poison.send_compressed,
        f"{MONTHS} back-dated months": poison.send_back_dated,
        f"{CATEGORIES} sessions of a category of {CATEGORY_CHARACTERS} characters": poison.send_long_categories,
    }


def _freshness_metrics(
    freshness: Freshness, delays: Collection[tuple[float, float]], missing: Iterable[float]
) -> dict[str, Any]:
    """Return the figures of the ordinary sessions. A missing session counts as an infinite delay in its window."""
    return {
        "freshness_p50_s": round(freshness.p50_s, 2),
        "freshness_p95_s": round(freshness.p95_s, 2),
        "freshness_worst_window_p95_s": round(
            worst_window_p95([*delays, *((produced_at, math.inf) for produced_at in missing)]), 2
        ),
        "ordinary_sampled": freshness.sampled,
        "ordinary_lost": freshness.lost,
    }


def worst_window_p95(delays: Iterable[tuple[float, float]]) -> float:
    """Return the highest 95th percentile of all windows of 20 s; infinite without any delay.

    Args:
        delays: Time of production (Unix s) and delay (s) of each session.
    """
    windows: dict[float, list[float]] = defaultdict(list)
    for produced_at, delay in delays:
        windows[produced_at // WINDOW_S].append(delay)
    return max((sorted(window)[math.ceil(0.95 * len(window)) - 1] for window in windows.values()), default=math.inf)


def _count_effects(
    client: Elasticsearch, lines: list[StageCount], ordinary: ExpectedCounts
) -> dict[str, tuple[int, int]]:
    """Return the actual and the required count of records that reached the targeted stage, by kind of poison."""
    rejected = [line.actual for line in lines if line.what == f"rejected: {Reason.TOO_LONG}"]
    # Minus those of the ordinary load, which has faults of the same kind.
    compressed = round(sum(rejected)) - ordinary.verdicts.get(Reason.TOO_LONG, 0)
    scored_reviews = queries.count(client, "product_sentiment", {"prefix": {"session_id": SESSIONS}})
    older_sessions = queries.count(client, older_index("session_summary"))
    category_minutes = queries.count(client, "kpi_minute", {"prefix": {"category": IDEOGRAPH}})
    return {
        "compressed_rejected": (compressed, len(COMPRESSED_BYTES)),
        "emoji_reviews_scored": (scored_reviews, EMOJI_SESSIONS * REVIEWS_PER_SESSION),
        "sessions_in_older_index": (older_sessions, MONTHS - MONTHS_APART - 2),
        "long_category_minutes": (category_minutes, 1),
    }


def _build_load(settings: Settings, per_s: float, seed: int) -> tuple[list[LabelledRecord], GroundTruth]:
    now = datetime.now(UTC)
    sessions = round(per_s * LOAD_DURATION_S)
    synthesis = synthesize(Plan.of(settings, seed=seed, start=now - timedelta(days=1), end=now, sessions=sessions))
    return list(synthesis), synthesis.ground_truth
