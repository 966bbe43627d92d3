"""From visits to everyone's neighbours, and into the file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from include.batch import parameters
from include.batch.context import Context
from include.batch.parameters import Parameters, Token
from include.batch.similar import find, neighbours, publish, tokens
from include.batch.similar.tokens import Users, gather
from include.batch.window import Window
from include.contracts.errors import TerminalError
from include.contracts.settings import Settings

KINDS: tuple[Token, ...] = ("product", "category", "device", "referrer", "state", "part_of_day")
STARTED = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
WINDOW = Window(STARTED, STARTED + timedelta(days=1))


@pytest.fixture
def chosen() -> Parameters:
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


def test_tokens_are_namespaced_and_know_the_visitors_own_time() -> None:
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


def test_what_nobody_knows_makes_nobody_alike() -> None:
    document = visit("a", device={"type": "unknown"}, referrer="not_collected", location={"country": None})
    assert list(tokens.tokens_of(document, ("device", "referrer", "state"))) == []


def test_gathering_does_not_depend_on_order_chunks_or_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    visits = [visit(f"u{number % 7}", f"p{number % 5}", f"p{number % 3}") for number in range(40)]
    whole = gather([visits], KINDS)
    monkeypatch.setattr(tokens, "MERGE_AT", 10)
    parts = gather([visits[::-1][start : start + 3] for start in range(0, 40, 3)], KINDS)
    assert whole.ids == parts.ids
    assert whole.tokens == parts.tokens
    assert whole.sets.tokens.tolist() == parts.sets.tokens.tolist()
    assert whole.sets.offsets.tolist() == parts.sets.offsets.tolist()
    assert (whole.sessions, parts.sessions) == (40, 40)


def test_no_field_that_tells_the_outcome_is_asked_for() -> None:
    assert not {name.split(".")[0] for name in tokens.PROJECTION} & {"purchase", "last_action", "exit_page"}


def people() -> Users:
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


def published(users: Users, chosen: Parameters, folder: Path) -> dict[str, dict[str, Any]]:
    found, _ = find.search(users, chosen)
    neighbours.write(found, folder)
    return {row["user_id"]: publish.document(row, "run") for batch in publish.read(folder) for row in batch}


def test_each_neighbour_comes_with_its_similarity_and_the_rarest_shared_tokens(
    chosen: Parameters, tmp_path: Path
) -> None:
    rows = published(people(), chosen, tmp_path)
    near = rows["near"]
    assert [(entry["user_id"], entry["similarity"]) for entry in near["neighbours"]] == [
        ("twin-a", 8 / 9),
        ("twin-b", 8 / 9),
    ]
    assert near["nearest_similarity"] == 8 / 9
    assert near["neighbours"][0]["shared_tokens"] == 8
    # Three users have each of these; the category and the referrer, which four have, come behind them.
    assert near["neighbours"][0]["shared"] == [
        "device:mobile",
        "part_of_day:evening",
        "product:p1",
        "product:p2",
        "product:p3",
    ]
    assert [entry["user_id"] for entry in rows["twin-a"]["neighbours"]] == ["twin-b", "near"]
    assert rows["twin-a"]["same_tokens"] == 1


def test_a_user_without_neighbours_is_told_why(chosen: Parameters, tmp_path: Path) -> None:
    rows = published(people(), chosen, tmp_path)
    assert {user: row["status"] for user, row in rows.items()} == {
        "twin-a": "alike",
        "twin-b": "alike",
        "near": "alike",
        "else": "nobody_alike",
        "little": "too_few_tokens",
    }
    assert rows["little"]["neighbours"] == []
    assert rows["little"]["nearest_similarity"] is None


def test_thousands_of_the_same_are_one_set_and_get_the_lowest_ids(chosen: Parameters, tmp_path: Path) -> None:
    users = gather([[visit(f"u{number:05d}", "p1", "p2") for number in range(3_000)]], KINDS)
    found, told = find.search(users, chosen)
    assert (told["distinct_sets"], told["most_users_of_one_set"], told["compared"]) == (1, 3_000, 0)
    assert found.ids[0].tolist() == list(range(1, 11))
    assert found.ids[2_999].tolist() == list(range(10))
    assert found.same.tolist() == [2_999] * 3_000


def test_equal_similarity_is_broken_by_the_user_across_sets(chosen: Parameters) -> None:
    visits = [visit("m", "p1", "p2", "p3")]
    visits += [visit(user, "p1", "p2", "p3", extra) for user, extra in (("z", "x1"), ("b", "x1"), ("c", "x2"))]
    users = gather([visits], KINDS)
    few = msgspec.structs.replace(chosen, similar=msgspec.structs.replace(chosen.similar, neighbours=2))
    found, _ = find.search(users, few)
    assert [users.ids[other] for other in found.ids[users.ids.index("m")]] == ["b", "c"]


def test_nobody_has_enough_tokens(chosen: Parameters, tmp_path: Path) -> None:
    rows = published(gather([[visit("a", device=None), visit("b", device=None)]], ("product",)), chosen, tmp_path)
    assert {row["status"] for row in rows.values()} == {"too_few_tokens"}


def context(folder: Path, chosen: Parameters) -> Context:
    return Context(window=WINDOW, out=folder, parameters=chosen, settings=Settings(), say=lambda _: None)


def test_the_step_writes_the_file_and_the_same_figures_again(
    chosen: Parameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits = [visit(f"u{number:03d}", *(f"p{number % part}" for part in (3, 5, 7))) for number in range(200)]
    monkeypatch.setattr(find, "stream", lambda *_: iter([visits]))
    first = dict(find.run(context(tmp_path, chosen)))
    monkeypatch.setattr(find, "stream", lambda *_: iter([visits[100:][::-1], visits[:100]]))
    second = dict(find.run(context(tmp_path, chosen)))
    for told in (first, second):
        told.pop("seconds")
    assert first == second
    assert msgspec.json.decode(msgspec.json.encode(first))["users"] == 200
    assert first["recall"] == 1.0
    assert (tmp_path / publish.FILE).exists()
    assert not list(tmp_path.glob("*.partial"))


def test_an_empty_window_is_told(chosen: Parameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "stream", lambda *_: iter([]))
    with pytest.raises(TerminalError, match="no visit began"):
        find.run(context(tmp_path, chosen))


@pytest.mark.parametrize("content", [None, b"", b"no parquet at all, but long enough to look at"])
def test_a_missing_or_broken_file_is_told(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / publish.FILE).write_bytes(content)
    with pytest.raises(TerminalError, match="run the step similar first"):
        list(publish.read(tmp_path))
