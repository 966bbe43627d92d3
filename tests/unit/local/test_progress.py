"""Steps say where a long command is and how long it will still take."""

import json
from pathlib import Path

import pytest

from local.demo.progress import MAX_DURATIONS, Step, Steps, format_duration, load_durations, save_durations

PLAN = (
    Step(name="wash", title="washing", seconds=30),
    Step(name="dry", title="drying", seconds=200, size="wool 3"),
    Step(name="fold", title="folding", seconds=10),
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


def steps(said: list[str], clock: Clock, known: dict[str, float] | None = None) -> Steps:
    return Steps(PLAN, said.append, known, clock)


def test_each_line_has_its_step_and_what_is_left(said: list[str], clock: Clock) -> None:
    run = steps(said, clock)
    run.begin("wash")
    clock.now += 5
    run("soap")
    run.begin("dry")
    assert [line.split("  ") for line in (" ".join(line.split()) for line in said)] == [
        ["0.0 s 1/3 about 4 min left washing"],
        ["5.0 s 1/3 about 4 min left soap"],
        ["5.0 s 2/3 about 4 min left drying"],
    ]


def test_a_step_that_takes_longer_leaves_those_to_come(said: list[str], clock: Clock) -> None:
    run = steps(said, clock)
    run.begin("dry")
    clock.now += 205
    assert not run.overdue
    clock.now += 1_000
    assert run.left == 10
    run("wool")
    assert "longer than usual" in said[-1]
    run.begin("fold")
    assert run.left == 10
    run.end()
    assert run.left == 0


def test_what_was_measured_is_believed_for_the_same_size_only(said: list[str], clock: Clock) -> None:
    assert steps(said, clock, {"dry wool 3": 20, "fold": 1}).left == 51
    assert steps(said, clock, {"dry wool 4": 20}).left == 240


def test_durations_are_kept_by_size(said: list[str], clock: Clock, tmp_path: Path) -> None:
    run, path = steps(said, clock), tmp_path / "data" / "steps.json"
    run.begin("wash")
    clock.now += 7
    run.begin("dry")
    clock.now += 70
    run.end()
    assert run.durations == {"wash": 7, "dry wool 3": 70}
    assert run.seconds == 77
    save_durations(path, run.durations)
    save_durations(path, {"wash": 8})
    assert load_durations(path) == {"dry wool 3": 70, "wash": 8}


def test_no_more_is_kept_than_needed(tmp_path: Path) -> None:
    path = tmp_path / "steps.json"
    save_durations(path, {f"step {number}": 1.0 for number in range(MAX_DURATIONS + 5)})
    save_durations(path, {"new": 2.0})
    assert len(load_durations(path)) == MAX_DURATIONS
    assert load_durations(path)["new"] == 2.0


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", '{"a": "b"}', '{"a": null}', "null"])
def test_a_broken_file_is_no_obstacle(tmp_path: Path, text: str) -> None:
    path = tmp_path / "steps.json"
    path.write_text(text)
    assert load_durations(path) == {}
    save_durations(path, {"a": 1.0})
    assert json.loads(path.read_text()) == {"a": 1.0}


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(0, "some seconds"), (14, "about 10 s"), (96, "about 100 s"), (121, "about 2 min"), (600, "about 10 min")],
)
def test_guesses_are_round(seconds: float, message: str) -> None:
    assert format_duration(seconds) == message
