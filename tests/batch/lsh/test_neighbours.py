"""Tokens, neighbour search and published documents."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from include.batch import parameters
from include.batch.lsh import neighbours, publish, search, tokens
from include.batch.lsh.tokens import Users, gather
from include.batch.parameters import Parameters, Token
from include.batch.window import Window
from include.contracts.errors import TerminalError

KINDS: tuple[Token, ...] = ("product", "category", "device", "referrer", "state", "part_of_day")
STARTED = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
WINDOW = Window(STARTED, STARTED + timedelta(days=1))


@pytest.fixture
def nightly() -> Parameters:
    return parameters.load()


def visit(user: str, *products: str, **changes: Any) -> dict[str, Any]:
    document = {
        "user_id": user,
        "started_at": STARTED,
        "views": [{"product_id": product, "category": "beds"} for product in products],
        "device": {"type": "mobile"},
        "referrer": "google",
        "location": {"country": "US", "state": "CA"},
    }
    return document | changes


def test_tokens_are_namespaced_and_use_local_time() -> None:
    assert set(tokens.tokens_of(visit("a", "p1"), KINDS)) == {
        "product:p1",
        "category:beds",
        "device:mobile",
        "referrer:google",
        "state:CA",
        "part_of_day:evening",
    }
    nowhere = visit("a", location=None, device=None, referrer="not_collected", views=None)
    assert list(tokens.tokens_of(nowhere, KINDS)) == ["part_of_day:night"]


def test_tokens_of_unknown_values_are_omitted() -> None:
    document = visit("a", device={"type": "unknown"}, referrer="not_collected", location={"country": None})
    assert list(tokens.tokens_of(document, ("device", "referrer", "state"))) == []


def test_gather_is_independent_of_order_chunks_and_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    visits = [visit(f"u{number % 7}", f"p{number % 5}", f"p{number % 3}") for number in range(40)]
    whole = gather([visits], KINDS)
    monkeypatch.setattr(tokens, "MERGE_AT", 10)
    parts = gather([visits[::-1][start : start + 3] for start in range(0, 40, 3)], KINDS)
    assert whole.ids == parts.ids
    assert whole.tokens == parts.tokens
    assert whole.sets.tokens.tolist() == parts.sets.tokens.tolist()
    assert whole.sets.offsets.tolist() == parts.sets.offsets.tolist()
    assert (whole.sessions, parts.sessions) == (40, 40)


def test_projection_contains_no_field_of_the_outcome() -> None:
    assert not {name.split(".")[0] for name in tokens.PROJECTION} & {"purchase", "last_action", "exit_page"}


def example_users() -> Users:
    return gather(
        [
            [
                visit("twin-a", "p1", "p2", "p3"),
                visit("twin-b", "p1", "p2", "p3"),
                visit("near", "p1", "p2", "p3", "p4"),
                visit("else", "q1", "q2", "q3", device={"type": "tablet"}, referrer="direct", location=None),
                visit("little", device=None, location=None),
            ]
        ],
        KINDS,
    )


def published(users: Users, nightly: Parameters, folder: Path) -> dict[str, dict[str, Any]]:
    result, _ = search.search(users, nightly)
    neighbours.write(result, folder)
    return {row["user_id"]: publish.document(row, "run") for batch in publish.read(folder) for row in batch}


def test_published_neighbours_have_similarity_and_rarest_shared_tokens(nightly: Parameters, tmp_path: Path) -> None:
    rows = published(example_users(), nightly, tmp_path)
    near = rows["near"]
    assert [(entry["user_id"], entry["similarity"]) for entry in near["neighbours"]] == [
        ("twin-a", 8 / 9),
        ("twin-b", 8 / 9),
    ]
    assert near["nearest_similarity"] == 8 / 9
    assert near["neighbours"][0]["shared_tokens"] == 8
    # Three users have each of these tokens. Four users have the category and the referrer, so these rank lower.
    assert near["neighbours"][0]["shared"] == [
        "device:mobile",
        "part_of_day:evening",
        "product:p1",
        "product:p2",
        "product:p3",
    ]
    assert [entry["user_id"] for entry in rows["twin-a"]["neighbours"]] == ["twin-b", "near"]
    assert rows["twin-a"]["same_tokens"] == 1


def test_users_without_neighbours_have_a_status(nightly: Parameters, tmp_path: Path) -> None:
    rows = published(example_users(), nightly, tmp_path)
    assert {user: row["status"] for user, row in rows.items()} == {
        "twin-a": "alike",
        "twin-b": "alike",
        "near": "alike",
        "else": "nobody_alike",
        "little": "too_few_tokens",
    }
    assert rows["little"]["neighbours"] == []
    assert rows["little"]["nearest_similarity"] is None


def test_search_of_identical_users_returns_the_lowest_ids(nightly: Parameters, tmp_path: Path) -> None:
    users = gather([[visit(f"u{number:05d}", "p1", "p2") for number in range(3_000)]], KINDS)
    result, summary = search.search(users, nightly)
    assert (summary["distinct_sets"], summary["most_users_of_one_set"], summary["compared"]) == (1, 3_000, 0)
    assert result.ids[0].tolist() == list(range(1, 11))
    assert result.ids[2_999].tolist() == list(range(10))
    assert result.same.tolist() == [2_999] * 3_000


def test_search_with_equal_similarity_sorts_by_user_id(nightly: Parameters) -> None:
    visits = [visit("m", "p1", "p2", "p3")]
    visits += [visit(user, "p1", "p2", "p3", extra) for user, extra in (("z", "x1"), ("b", "x1"), ("c", "x2"))]
    users = gather([visits], KINDS)
    few = msgspec.structs.replace(nightly, similar=msgspec.structs.replace(nightly.similar, neighbours=2))
    result, _ = search.search(users, few)
    assert [users.ids[other] for other in result.ids[users.ids.index("m")]] == ["b", "c"]


def test_users_with_few_tokens_have_no_neighbours(nightly: Parameters, tmp_path: Path) -> None:
    rows = published(gather([[visit("a", device=None), visit("b", device=None)]], ("product",)), nightly, tmp_path)
    assert {row["status"] for row in rows.values()} == {"too_few_tokens"}


@pytest.mark.parametrize("content", [None, b"", b"no parquet at all, but long enough to look at"])
def test_read_of_a_missing_or_corrupt_file_raises(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / publish.FILE).write_bytes(content)
    with pytest.raises(TerminalError, match="run the step similar first"):
        list(publish.read(tmp_path))
