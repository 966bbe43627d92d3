"""Verdicts become outputs: one per record, without personal data in admitted sessions."""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.contracts import topics
from include.contracts.reject_reasons import MEANING, Reason
from include.contracts.session import ValidSession
from include.contracts.settings import Settings
from include.gate.batch_processor import BatchProcessor, Output, Record
from include.gate.pseudonym import network_of, pseudonymizer
from include.gate.state import REFUSALS, Batch
from include.gate.validation import Limits
from tests.sessions import ARRIVED_MS, encoded, view

PSEUDONYM = pseudonymizer(b"k" * 32)


@dataclass
class Polled:
    offset: int
    key: bytes | None
    value: bytes | None
    partition: int = 2
    topic: str = topics.RAW
    timestamp: int = ARRIVED_MS


def decided(records: Sequence[Record], dead_letters: str) -> tuple[list[Output], list[Batch]]:
    requests: list[Batch] = []

    def remember(batches: Sequence[Batch]) -> list[str]:
        requests.extend(batches)
        return [dead_letters]

    processor = BatchProcessor(Limits.of(Settings().gate), PSEUDONYM, remember)
    return processor.decide([records]), requests


def test_admitted_session_has_no_personal_data() -> None:
    value = encoded(views=[view(), view(category="bedroom"), view(category=None), view()])
    (output,), _ = decided([Polled(7, b"u-4711", value)], "k")
    user = PSEUDONYM("u-4711")
    assert (output.topic, output.partition, output.key, output.headers) == (
        topics.VALID,
        2,
        user.encode(),
        [("origin", b"2:7")],
    )
    session = msgspec.json.decode(output.value, type=ValidSession)
    assert session.user_id == user
    assert session.network == "203.0.113.0/24"
    assert session.returning
    assert session.categories == ["living_room", "bedroom"]
    assert (session.ended_at - session.started_at).total_seconds() == session.duration_s
    assert session.received_at.timestamp() * 1000 == ARRIVED_MS
    for personal in (b"Ada", b"ada@example.com", b"203.0.113.7", b"u-4711"):
        assert personal not in output.value


def test_times_leave_in_utc() -> None:
    (output,), (batch,) = decided([Polled(7, b"u-4711", encoded(started_at="2026-11-24T01:00:00+14:00"))], "n")
    assert b'"started_at":"2026-11-23T11:00:00Z"' in output.value
    assert batch.rows[0][5] == "2026-11-23"


def test_rejected_record_retains_key_bytes_and_origin() -> None:
    (output,), (batch,) = decided([Polled(7, b"whoever", b"{broken")], "-")
    assert (output.topic, output.partition, output.key, output.value) == (topics.REJECTED, 2, b"whoever", b"{broken")
    headers = dict(output.headers)
    assert headers.pop("detail")
    assert headers == {"reason": b"malformed_json", "topic": b"sessions.raw", "partition": b"2", "offset": b"7"}
    assert batch.rows == [(7, "malformed_json")]


def test_record_without_key_and_value_is_rejected_as_empty() -> None:
    (output,), _ = decided([Polled(7, None, None)], "-")
    assert (output.key, output.value, dict(output.headers)["reason"]) == (None, b"", b"empty")


@pytest.mark.parametrize(("dead_letter", "reason"), REFUSALS.items())
def test_state_verdicts_become_rejections(dead_letter: str, reason: Reason) -> None:
    value = encoded()
    (output,), _ = decided([Polled(7, b"u-4711", value)], dead_letter)
    assert (output.topic, output.value, dict(output.headers)["reason"]) == (topics.REJECTED, value, reason.encode())


def test_outputs_follow_the_order_of_records() -> None:
    records = [Polled(n, b"u-4711", encoded(session_id=f"s-{n}")) for n in range(4)]
    outputs, (batch,) = decided(records, "nDkR")
    assert [output.topic == topics.VALID for output in outputs] == [True, False, True, False]
    assert [row[0] for row in batch.rows] == [0, 1, 2, 3]


def test_reject_reasons_have_a_description_and_a_stage() -> None:
    assert set(MEANING) == set(Reason)
    assert set(REFUSALS.values()) == {reason for reason in Reason if list(Reason).index(reason) >= 11}


def test_pseudonyms_depend_on_the_key_only() -> None:
    assert PSEUDONYM("u-1") == pseudonymizer(b"k" * 32)("u-1") != pseudonymizer(b"l" * 32)("u-1")
    # RFC 4231, test case 2, cut to 128 bits
    assert pseudonymizer(b"Jefe")("what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7"


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2::7", "2001:db8:1::/48"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2002:cb00:7107::1", "203.0.113.0/24"),
        ("2001:0:c633:6401:0:fbff:34ff:8ef8", "203.0.113.0/24"),
        ("64:ff9b::203.0.113.7", "203.0.113.0/24"),
        ("64:ff9b:1::203.0.113.7", "64:ff9b:1::/48"),
    ],
)
def test_addresses_become_networks(ip: str, network: str) -> None:
    assert network_of(ip) == network


@given(st.ip_addresses(v=4))
def test_network_of_an_embedded_ipv4_address_reveals_its_24_bits_only(address: ipaddress.IPv4Address) -> None:
    bits = int(address)
    forms = {
        "mapped": 0xFFFF << 32 | bits,
        "6to4": 0x2002 << 112 | bits << 80 | 0xABCD << 64 | 1,
        "Teredo": 0x20010000 << 96 | 0xC6336401 << 64 | bits ^ 0xFFFF_FFFF,
        "NAT64": 0x64FF9B << 96 | bits,
    }

    networks = {form: network_of(str(ipaddress.IPv6Address(whole))) for form, whole in forms.items()}

    assert networks == dict.fromkeys(forms, str(ipaddress.ip_network((bits, 24), strict=False)))


EMBEDDING = [ipaddress.ip_network(text) for text in ("::ffff:0:0/96", "2002::/16", "2001::/32", "64:ff9b::/96")]


@given(st.ip_addresses().filter(lambda address: not any(address in network for network in EMBEDDING)))
def test_address_is_in_its_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    network = ipaddress.ip_network(network_of(str(address)))
    assert address in network
    assert network.prefixlen == (24 if address.version == 4 else 48)


def test_process_long_value_stores_prefix_length_and_digest() -> None:
    value = b"x" * 600_000
    (output,), _ = decided([Polled(7, b"u-4711", value)], "-")
    headers = dict(output.headers)
    assert (output.value, headers["reason"], headers["length"]) == (value[:4096], b"too_long", b"600000")
    assert headers["sha256"] == hashlib.sha256(value).hexdigest().encode()


def test_process_long_key_is_truncated_with_its_length() -> None:
    (output,), _ = decided([Polled(7, b"k" * 1_000_000, b"{")], "-")
    assert (output.key, dict(output.headers)["key_length"]) == (b"k" * 4096, b"1000000")


def test_process_oversize_origin_becomes_too_long() -> None:
    processor = BatchProcessor(Limits.of(Settings().gate), PSEUDONYM, lambda _: ["-"], {(2, 7)})
    (output,) = processor.decide([[Polled(7, b"u-4711", encoded())]])
    assert (output.topic, dict(output.headers)["reason"]) == (topics.REJECTED, b"too_long")
