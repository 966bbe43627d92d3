"""Search of rejected records on a real Kafka by session, user and age, with personal data masked."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import redis
from kafka import KafkaProducer
from typer.testing import CliRunner

from cli.app import build
from include.contracts import topics
from include.contracts.errors import TransientError
from include.contracts.settings import Settings
from include.gate.rejected import FIRST_WINDOW, Query, RejectedRecord, find_rejected, partition_of
from local.stack import Stack
from tests.sessions import encoded

BURST = 3 * FIRST_WINDOW
SOURCE = "u-many"
PERSONAL = ("ada@example.com", "Ada Example", "203.0.113.7", "San Jose")


def send(producer: KafkaProducer, user: str, value: bytes, offset: int, partition: int, detail: str = "") -> None:
    headers = {
        topics.HEADER_REASON: "duplicate",
        topics.HEADER_DETAIL: detail,
        topics.HEADER_TOPIC: topics.RAW,
        topics.HEADER_PARTITION: str(partition),
        topics.HEADER_OFFSET: str(offset),
    }
    encoded_headers = [(name, text.encode()) for name, text in headers.items()]
    producer.send(topics.REJECTED, key=user.encode(), value=value, partition=partition, headers=encoded_headers)


@pytest.fixture(scope="module")
def rejected(stack: Stack) -> Settings:
    """Produce transactions with single records, a burst, an aborted record, and a user in another partition."""
    settings = stack.settings
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id="rejected-test", compression_type="lz4"
    )
    producer.init_transactions()
    own = partition_of("u-own", settings.kafka.partitions)
    foreign = (partition_of("u-foreign", settings.kafka.partitions) + 1) % settings.kafka.partitions
    oldest = encoded(user_id="u-own", session_id="s-oldest")
    single = [("u-own", oldest, 1, own, "session ada@example.com")]
    single.append(("u-foreign", encoded(user_id="u-foreign", session_id="s-foreign"), 2, foreign, ""))
    single.append(("u-own", b'{"session_id": "s-broken", ', 3, own, "truncated"))
    single.append(("u-wrong", encoded(user_id="u-mine", session_id="s-wrong-key"), 6, foreign, "another's key"))
    for record in single:
        producer.begin_transaction()
        send(producer, *record)
        producer.commit_transaction()
    producer.begin_transaction()
    for number in range(BURST):
        partition = number % settings.kafka.partitions
        value = encoded(user_id=SOURCE, session_id=f"s-burst-{number:05}", exit_page="s-oldest")
        send(producer, SOURCE, value, 1_000 + number, partition)
    producer.commit_transaction()
    producer.begin_transaction()
    send(producer, "u-own", encoded(user_id="u-own", session_id="s-aborted"), 4, own)
    producer.flush()
    producer.abort_transaction()
    producer.begin_transaction()
    send(producer, "u-own", encoded(user_id="u-own", session_id="s-newest"), 5, own, "the newest")
    producer.commit_transaction()
    producer.close()
    return settings


def ids(records: list[RejectedRecord]) -> list[str]:
    return [record.session_id for record in records]


def test_search_over_many_windows_returns_session_once_with_origin(rejected: Settings) -> None:
    result = find_rejected(rejected.kafka, Query(session_id="s-oldest"))
    (record,) = result.records
    own = partition_of("u-own", rejected.kafka.partitions)
    assert (record.reason, record.topic, record.partition, record.offset) == ("duplicate", topics.RAW, own, 1)
    assert record.detail == "session <email>"
    assert abs(datetime.now(UTC) - record.rejected_at) < timedelta(minutes=10)
    assert (result.complete, result.scanned > BURST) == (True, True)


def test_search_matches_session_in_malformed_record_by_bytes(rejected: Settings) -> None:
    (record,) = find_rejected(rejected.kafka, Query(session_id="s-broken")).records
    assert (record.session_id, record.detail) == ("", "truncated")


def test_search_omits_sessions_of_aborted_transactions(rejected: Settings) -> None:
    result = find_rejected(rejected.kafka, Query(session_id="s-aborted"))
    assert (result.records, result.complete) == ([], True)


def test_last_returns_the_newest_of_all_partitions_and_reads_little(rejected: Settings) -> None:
    result = find_rejected(rejected.kafka, Query(last=11))
    assert ids(result.records)[0] == "s-newest"
    # Kafka sets one time per batch, so records of two partitions can have equal times: each partition returns its
    # newest.
    for partition in range(rejected.kafka.partitions):
        results = [record.offset for record in result.records[1:] if record.partition == partition]
        newest = 1_000 + BURST - rejected.kafka.partitions + partition
        assert results == list(
            range(newest, newest - len(results) * rejected.kafka.partitions, -rejected.kafka.partitions)
        )
    assert len(result.records) == 11
    assert result.scanned <= FIRST_WINDOW * rejected.kafka.partitions


def test_search_matches_user_in_any_partition(rejected: Settings) -> None:
    own = find_rejected(rejected.kafka, Query(user_id="u-own"))
    assert ids(own.records) == ["s-newest", "", "s-oldest"]
    foreign = find_rejected(rejected.kafka, Query(user_id="u-foreign"))
    assert ids(foreign.records) == ["s-foreign"]
    enough = find_rejected(rejected.kafka, Query(user_id="u-own", last=3))
    assert (ids(enough.records), enough.scanned < foreign.scanned) == (ids(own.records), True)


def test_search_matches_user_in_record_with_another_key(rejected: Settings) -> None:
    assert ids(find_rejected(rejected.kafka, Query(user_id="u-mine")).records) == ["s-wrong-key"]


def test_search_since_omits_older_records(rejected: Settings) -> None:
    ahead = Query(since=datetime.now(UTC) + timedelta(hours=1))
    assert find_rejected(rejected.kafka, ahead) == ([], 0, True, None)
    assert find_rejected(rejected.kafka, Query(session_id="s-oldest", since=datetime(1970, 1, 1, tzinfo=UTC))).records


def test_search_at_time_limit_is_incomplete(rejected: Settings) -> None:
    assert not find_rejected(rejected.kafka, Query(session_id="s-oldest"), timeout_s=0.0).complete


def test_search_without_kafka_raises_with_remedy(rejected: Settings) -> None:
    with pytest.raises(TransientError, match=r"is unavailable .*: check that it runs"):
        find_rejected(rejected.replace(kafka={"bootstrap_servers": "127.0.0.1:9"}).kafka, Query())


@pytest.fixture
def run(rejected: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run the command on this stack; return its output."""
    for name, value in rejected.to_env().items():
        monkeypatch.setenv(name, value)

    def invoke(*arguments: str) -> str:
        done = CliRunner().invoke(build(), ["gate", *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return invoke


def test_command_prints_the_record_without_personal_data(rejected: Settings, run: Callable[..., str]) -> None:
    printed = run("rejected", "--session", "s-oldest", "--record")
    own = partition_of("u-own", rejected.kafka.partitions)
    assert f"UTC  duplicate  session s-oldest  sessions.raw[{own}]@1\n" in printed
    assert '"ip":"203.0.113.0/24"' in printed
    assert not [text for text in PERSONAL if text in printed]


def test_block_reports_the_change_and_list_shows_it(rejected: Settings, run: Callable[..., str]) -> None:
    steps = [
        ("blocked network 198.51.100.0/24", "block", "--network", "198.51.100.9"),
        ("network 198.51.100.0/24 was already blocked: nothing changed", "block", "--network", "198.51.100.0/24"),
        ("network 198.51.100.0/24", "list"),
        ("unblocked network 198.51.100.0/24", "unblock", "--network", "198.51.100.9"),
        ("network 198.51.100.0/24 was not blocked: nothing changed", "unblock", "--network", "198.51.100.9"),
    ]
    try:
        for expected, *arguments in steps:
            assert expected in run(*arguments).splitlines()
    finally:
        with suppress(redis.ConnectionError), redis.Redis.from_url(rejected.redis.url.reveal()) as client:
            client.delete(*(f"{{{partition}}}:gate:blocked:networks" for partition in range(rejected.kafka.partitions)))
