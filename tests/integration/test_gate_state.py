"""The gate's state on a real Redis with RedisBloom: verdicts, idempotence by origin, bounded windows."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from include.contracts import redis_keys
from include.contracts.errors import TerminalError
from include.contracts.offset_gap import OffsetGap
from include.contracts.reject_reasons import Reason
from include.contracts.setting import Secret
from include.contracts.settings import Settings
from include.gate.block import block_network, block_user
from include.gate.gaps import GapStore
from include.gate.pseudonym import key_check, pseudonymizer
from include.gate.shutdown import ShutdownSignal
from include.gate.state import Batch, GateState, Row, refused_row
from include.gate.stats import GateStats, read_stats
from include.supervise.probes import probe_gate
from local.stack import Stack
from tests.polling import eventually

DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS + 1_000
FULL = 1 << 40


@pytest.fixture
def limited(stack: Stack) -> Iterator[Settings]:
    """Settings with small limits and an empty database."""
    url = stack.settings.redis.url.reveal().rsplit("/", 1)[0] + "/9"
    settings = stack.settings.replace(
        redis={"url": Secret(url)},
        kafka={"partitions": 2},
        gate={
            "max_user_sessions_per_minute": 3,
            "max_network_sessions_per_minute": 5,
            "bloom_capacity": 1_000,
            "pseudonym_key": Secret("k" * 32),
        },
    )
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield settings
        client.flushdb()


def row(
    offset: int,
    session: str,
    user: str = "ada",
    *,
    network: str = "",
    minute: int = 7,
    received_ms: int = NOW_MS,
    odd: str = "",
) -> Row:
    """Return a candidate's row; `odd` names its violation: fast, device or referrer."""
    flags = (odd == "fast", odd == "device", odd == "referrer")
    return (offset, session, user, network, minute, "2026-11-23", received_ms, *flags)


class Gatekeeper:
    """Sends rows to the state as the gate does."""

    def __init__(self, settings: Settings, topic: str = "t-1") -> None:
        self.settings = settings
        self.memory = GateState(settings, topic, ShutdownSignal())

    def __call__(self, *rows: Row, partition: int = 0) -> str:
        return self.memory.decide([Batch(partition, rows)])[0]

    def report(self) -> GateStats:
        with redis.Redis.from_url(self.settings.redis.url.reveal()) as client:
            return read_stats(client, self.settings, now=NOW_MS / 1000)


def test_user_is_new_once(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    assert ask(row(0, "a"), row(1, "b"), row(2, "c", "bob")) == "nkn"
    assert ask(row(3, "d")) == "k"
    report = ask.report()
    assert report.verdicts == {"valid": 4}
    assert (report.users_unique, report.bloom_items, report.claims) == (2, 2, 4)


def test_second_claim_is_a_duplicate_within_and_across_batches(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    assert ask(row(0, "a"), row(1, "a")) == "nD"
    assert ask(row(2, "a", "bob")) == "D"
    assert ask.report().verdicts == {"valid": 1, "duplicate": 2}


def test_redelivered_batch_gets_its_first_verdicts_and_changes_nothing(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    batch = (
        row(0, "a"),
        row(1, "a"),
        refused_row(2, Reason.EMPTY),
        row(3, "b", "new", odd="device"),
        row(4, "c", "bot"),
        row(5, "d", "bot"),
        row(6, "e", "bot"),
        row(7, "f", "bot"),
        row(8, "g", odd="fast"),
    )
    first = ask(*batch)
    before = ask.report()
    assert first == "nD-VnkkRP"
    assert ask(*batch) == first
    # redelivered in other batches, with new records after them
    assert ask(*batch[:4]) == first[:4]
    assert ask(*batch[4:], row(9, "h", "eve")) == first[4:] + "n"
    after = ask.report()
    assert before.verdicts == {
        "valid": 4,
        "duplicate": 1,
        "empty": 1,
        "unknown_device": 1,
        "rate_user": 1,
        "impossible_pace": 1,
    }
    assert after.verdicts == before.verdicts | {"valid": 5}
    assert after.users_unique == before.users_unique + 1


def test_recreated_topic_restarts_its_offsets(limited: Settings) -> None:
    assert Gatekeeper(limited)(row(0, "a"), row(1, "b")) == "nk"
    again = Gatekeeper(limited, topic="t-2")
    # the same ids at the same offsets of another topic are duplicates, not redeliveries; new ids are counted
    assert again(row(0, "a"), row(1, "c")) == "Dk"
    assert again.report().verdicts == {"valid": 3, "duplicate": 1}


def test_claims_last_for_the_window_and_are_bounded(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    assert ask(row(0, "a", received_ms=NOW_MS)) == "n"
    assert ask(row(1, "a", received_ms=NOW_MS + DAY_MS)) == "D"
    assert ask(row(2, "a", received_ms=NOW_MS + DAY_MS + 1)) == "k"
    assert ask(row(3, "a", received_ms=NOW_MS + 2 * DAY_MS + 1)) == "D"
    first, second = (
        redis_keys.seen(0, 20_000 * redis_keys.SUB_WINDOWS),
        redis_keys.seen(0, 20_001 * redis_keys.SUB_WINDOWS),
    )
    with redis.Redis.from_url(limited.redis.url.reveal()) as client:
        claims = {name.decode() for name in client.scan_iter("*:seen:*", _type="hash")}
        assert claims == {first, second}
        for name in client.scan_iter("*:seen:*"):
            assert DAY_MS / 1000 < client.ttl(name) <= 2 * DAY_MS / 1000


@pytest.mark.parametrize("window_s", [60, 86_400, 100_003])
def test_claim_applies_in_each_sub_window_and_not_beyond_the_window(limited: Settings, window_s: int) -> None:
    ask = Gatekeeper(limited.replace(gate={"duplicate_window_s": window_s}))
    step = redis_keys.sub_window_ms(window_s)
    assert ask(row(0, "a")) == "n"
    later = [
        row(n, "a", received_ms=NOW_MS + min(n * step, window_s * 1000)) for n in range(1, redis_keys.SUB_WINDOWS + 1)
    ]
    assert ask(*later) == "D" * redis_keys.SUB_WINDOWS
    # the broker's clock is set back across a window's boundary
    assert (
        ask(row(30, "b", "bob", received_ms=NOW_MS // step * step), row(31, "b", received_ms=NOW_MS // step * step - 1))
        == "nD"
    )
    beyond = NOW_MS + window_s * 1000 + 1
    assert ask(row(32, "a", received_ms=beyond), row(33, "a", received_ms=beyond)) == "kD"


def test_redelivered_backlog_longer_than_the_window_gets_its_first_verdicts(limited: Settings) -> None:
    ask = Gatekeeper(limited.replace(gate={"duplicate_window_s": 60}))
    # the same id repeatedly in one batch, at times within the window and beyond it
    batch = [row(n, "abc"[n % 3], minute=n, received_ms=NOW_MS + n * 25_000) for n in range(200)]
    first = ask(*batch)
    assert "D" not in first
    again = [row(n, "abc"[n % 3], minute=n, received_ms=NOW_MS + n * 15_000 + 9_000_000) for n in range(200, 400)]
    second = ask(*again)
    assert {"D", "k"} == set(second)
    assert ask(*batch, *again) == first + second
    assert ask(*again[50:]) == second[50:]


def test_rates_are_judged_by_event_minute(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    assert ask(*(row(n, f"m7-{n}") for n in range(5))) == "nkkRR"
    assert ask(row(5, "m8", minute=8)) == "k"
    assert ask(row(6, "m7-late", minute=7)) == "R"


def test_networks_are_rated_over_admissible_sessions_only(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    rows = [row(n, f"s{n}", f"u{n}", network="203.0.113.0/24") for n in range(7)]
    assert ask(*rows) == "nnnnnWW"
    assert ask(row(7, "other", "u8", network="198.51.100.0/24")) == "n"
    # another partition has its own count
    assert ask(row(0, "s9", "u9", network="203.0.113.0/24"), partition=1) == "n"


@pytest.mark.parametrize(("odd", "dead_letter"), [("device", "V"), ("referrer", "F")])
def test_unknown_device_and_referrer_of_new_users_are_rejected(limited: Settings, odd: str, dead_letter: str) -> None:
    ask = Gatekeeper(limited)
    # a rejected user is not stored
    rows = (row(0, "a", minute=1, odd=odd), row(1, "b", minute=2, odd=odd), row(2, "c"), row(3, "d", odd=odd))
    assert ask(*rows) == f"{dead_letter}{dead_letter}nk"


def test_blocked_users_and_networks_are_refused_until_lifted(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    user = pseudonymizer(limited.gate.require_pseudonym_key())("u-1")
    with redis.Redis.from_url(limited.redis.url.reveal()) as client:
        assert block_user(client, limited, "u-1") == (user, True)
        assert block_network(client, limited.kafka, "203.0.113.9") == ("203.0.113.0/24", True)
        assert ask(row(0, "a", user), row(1, "b", network="203.0.113.0/24"), row(2, "c")) == "UNn"
        assert ask(row(0, "d", user), partition=1) == "U"
        block_user(client, limited, "u-1", lift=True)
        block_network(client, limited.kafka, "203.0.113.9", lift=True)
    assert ask(row(3, "e", user), row(4, "f", network="203.0.113.0/24")) == "nk"


def test_block_with_another_key_than_the_gate_s_is_refused(limited: Settings) -> None:
    other = limited.replace(gate={"pseudonym_key": Secret("another key of at least thirty-two characters")})
    with redis.Redis.from_url(limited.redis.url.reveal()) as client:
        client.set(redis_keys.pseudonym_check(), key_check(pseudonymizer(limited.gate.require_pseudonym_key())))
        with pytest.raises(TerminalError, match="another SHOWROOM_GATE_PSEUDONYM_KEY"):
            block_user(client, other, "u-1")
        assert block_user(client, limited, "u-1").changed
        block_user(client, limited, "u-1", lift=True)


def test_resume_from_elsewhere_than_requested_is_refused(limited: Settings) -> None:
    gap = OffsetGap(partition=1, kind="expired", from_offset=5, to_offset=9, detected_at=1.0, topic_id="t")
    with redis.Redis.from_url(limited.redis.url.reveal()) as client:
        gaps = GapStore(client)
        gaps.stop(gap)
        try:
            gaps.request_resume(1, "gap")
            gaps.request_resume(1, "gap")
            with pytest.raises(TerminalError, match="--from gap is requested already"):
                gaps.request_resume(1, "latest")
            assert probe_gate(limited).stopped == {1: f"{gap.description}; --from gap is requested"}
        finally:
            client.delete(redis_keys.stopped(1))


def test_large_batches_pass(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    rows = [row(n, f"s{n}", f"u{n}", minute=n) for n in range(12_000)]
    # With more users than its capacity the filter grows, and a new user counts as known at its error rate.
    assert ask(*rows).count("n") >= 12_000 * 0.997
    report = ask.report()
    assert report.bloom_items == pytest.approx(12_000, rel=0.003)
    assert report.users_unique == pytest.approx(12_000, rel=0.03)


@pytest.fixture
def memory_limit(limited: Settings) -> Iterator[Callable[[int | None], None]]:
    """Set Redis' limit to the memory in use plus some bytes; None removes it."""
    with redis.Redis.from_url(limited.redis.url.reveal()) as client:
        before = client.config_get("maxmemory")["maxmemory"]

        def limit(spare: int | None) -> None:
            used = int(client.info("memory")["used_memory"])
            client.config_set("maxmemory", 0 if spare is None else max(1, used + spare))

        yield limit
        client.config_set("maxmemory", before)


def contents(settings: Settings) -> dict[bytes, bytes]:
    """Return every key of the database with its value."""
    with redis.Redis.from_url(settings.redis.url.reveal()) as client:
        return {name: client.dump(name) for name in client.scan_iter()}


def refused_calls(settings: Settings) -> int:
    """Return the number of function calls that failed in Redis."""
    with redis.Redis.from_url(settings.redis.url.reveal()) as client:
        calls = client.info("commandstats").get("cmdstat_fcall", {})
        return int(calls.get("rejected_calls", 0)) + int(calls.get("failed_calls", 0))


def test_state_with_full_redis_waits_and_changes_nothing(
    limited: Settings, memory_limit: Callable[[int | None], None]
) -> None:
    ask = Gatekeeper(limited)
    assert ask(row(0, "a")) == "n"
    before, refused = contents(limited), refused_calls(limited)
    memory_limit(-FULL)
    with ThreadPoolExecutor(1) as background:
        waiting = background.submit(ask, row(1, "b"), row(2, "c", "bob"), row(3, "d", odd="fast"))
        try:
            eventually(lambda: refused_calls(limited) >= refused + 2)
            assert contents(limited) == before
            assert not waiting.done()
        finally:
            memory_limit(None)
        assert waiting.result(timeout=30) == "knP"
    assert ask.report().verdicts == {"valid": 3, "impossible_pace": 1}


def test_redis_that_fills_within_a_batch_stores_the_complete_batch(
    limited: Settings, memory_limit: Callable[[int | None], None]
) -> None:
    ask = Gatekeeper(limited)
    assert ask(row(0, "a")) == "n"
    # the call itself is within the limit, its writes exceed it
    batch = [row(n, f"s{n}", f"u{n}", minute=n) for n in range(1, 10_001)]
    memory_limit(1_100_000)
    refused = refused_calls(limited)
    first = ask(*batch)
    assert refused_calls(limited) == refused
    assert probe_gate(limited).redis_memory_ratio > 1.0  # type: ignore[operator]
    memory_limit(None)
    report = ask.report()
    assert (report.verdicts, report.claims) == ({"valid": 10_001}, 10_001)
    assert ask(*batch) == first


def test_lost_function_is_loaded_again(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    with redis.Redis.from_url(limited.redis.url.reveal()) as client:
        client.function_flush("SYNC")
    assert ask(row(0, "a")) == "n"


def test_gates_of_two_releases_decide_side_by_side(limited: Settings) -> None:
    old = "#!lua name=showroom_gate_older\nredis.register_function('gate_decide_older', function() return 'old' end)"
    unused = old.replace("older", "unused")
    with redis.Redis.from_url(limited.redis.url.reveal()) as client:
        client.function_load(old, replace=True)
        client.function_load(unused, replace=True)
        client.set(redis_keys.function_used("showroom_gate_older"), 1)
        ask = Gatekeeper(limited)
        assert ask(row(0, "a")) == "n"
        assert client.fcall("gate_decide_older", 0) == b"old"
        with pytest.raises(redis.ResponseError, match="Function not found"):
            client.fcall("gate_decide_unused", 0)
        client.delete(redis_keys.function_used("showroom_gate_older"))
        Gatekeeper(limited)
        with pytest.raises(redis.ResponseError, match="Function not found"):
            client.fcall("gate_decide_older", 0)
    assert ask(row(1, "b")) == "k"


def test_heartbeat_is_recent(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    ask(row(0, "a"))
    ask.memory.beat([1])
    with redis.Redis.from_url(limited.redis.url.reveal()) as client:
        report = read_stats(client, limited)
        assert report.max_heartbeat_age_s < 5
        client.delete(redis_keys.heartbeat(1))
        assert read_stats(client, limited).max_heartbeat_age_s == float("inf")


def forget_claims(settings: Settings) -> None:
    """Delete every dedup entry, as expiry does."""
    with redis.Redis.from_url(settings.redis.url.reveal()) as client:
        for name in client.scan_iter("*:seen:*"):
            client.delete(name)


def test_redelivery_after_claim_expiry_never_admits_and_counts_nothing(limited: Settings) -> None:
    ask = Gatekeeper(limited)
    batch = (
        row(0, "a"),
        row(1, "a"),
        row(2, "b", odd="fast"),
        row(3, "c", "new", odd="device"),
        row(4, "d", "eve", network="203.0.113.0/24"),
        refused_row(5, Reason.EMPTY),
    )
    assert ask(*batch) == "nDPVn-"
    before = ask.report().verdicts
    forget_claims(limited)
    with redis.Redis.from_url(limited.redis.url.reveal()) as client:
        client.sadd(redis_keys.blocked_users(0), "new")
        client.sadd(redis_keys.blocked_networks(0), "203.0.113.0/24")
    assert ask(*batch) == "EEPUN-"
    assert ask.report().verdicts == before
    assert ask(row(6, "a")) == "k"
