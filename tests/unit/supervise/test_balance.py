"""The stage equation of one hour: what differs, and whose it is."""

from datetime import UTC, datetime
from typing import Any

import pytest

from include.supervise.reconcile import HourCounts, balance

HOUR = datetime(2026, 11, 23, 8, tzinfo=UTC)


def counts(**different: Any) -> HourCounts:
    """An hour that adds up, and what is to be different about it."""
    base: dict[str, Any] = {
        "hour": HOUR,
        "raw": 100,
        "rejected": {"duplicate": 15, "empty": 5},
        "undecided": 0,
        "in_elasticsearch": 80,
        "dead": 0,
        "stream_lag": 0,
        "in_mongodb": 80,
    }
    return HourCounts(**(base | different))


@pytest.mark.parametrize(
    ("what", "different", "owner", "pending"),
    [
        ("all is well", {}, None, False),
        ("an hour without input", {"raw": 0, "rejected": {}, "in_elasticsearch": 0, "in_mongodb": 0}, None, False),
        ("all refused", {"rejected": {"empty": 100}, "in_elasticsearch": 0, "in_mongodb": 0}, None, False),
        ("refused by Elasticsearch", {"in_elasticsearch": 79, "dead": 1}, None, False),
        ("no archive was asked", {"in_mongodb": None}, None, False),
        ("one lost by the stream", {"in_elasticsearch": 79}, "stream", False),
        ("one in flight to Elasticsearch", {"in_elasticsearch": 79, "stream_lag": 5}, None, True),
        ("more missing than in flight", {"in_elasticsearch": 74, "stream_lag": 5}, "stream", False),
        ("one too many in Elasticsearch", {"in_elasticsearch": 81, "stream_lag": 5}, "stream", False),
        ("ten lost by the archive", {"in_mongodb": 70}, "archive", False),
        ("ten in flight to the archive", {"in_mongodb": 70, "archive_lag": 10}, None, True),
        ("both lost some", {"in_elasticsearch": 79, "in_mongodb": 79}, "stream", False),
        ("the gate lost two", {"valid": 78, "in_elasticsearch": 78, "in_mongodb": 78}, "gate", False),
        ("the gate made one up", {"valid": 81, "in_elasticsearch": 81, "in_mongodb": 81}, "gate", False),
        ("the gate did its part", {"valid": 80, "in_elasticsearch": 78}, "stream", False),
        ("not all decided", {"undecided": 10, "in_elasticsearch": 70, "in_mongodb": 70}, None, True),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_the_equation(what: str, different: dict[str, Any], owner: str | None, pending: bool) -> None:
    found = balance(counts(**different))
    assert (found.owner, found.pending, found.balanced) == (owner, pending, owner is None), what


def test_a_line_says_what_was_expected_and_what_was_found() -> None:
    found = balance(counts(in_elasticsearch=70, dead=4, stream_lag=3))
    assert [(line.stage, line.expected, line.found, line.in_flight, line.difference) for line in found.lines] == [
        ("stream", 80, 74, 3, -6),
        ("archive", 80, 80, 0, 0),
    ]
