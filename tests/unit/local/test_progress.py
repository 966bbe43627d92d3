"""Progress of a long command: the current step and the time left."""

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
def lines_reported() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


def steps(lines_reported: list[str], clock: Clock, known: dict[str, float] | None = None) -> Steps:
    return Steps(PLAN, lines_reported.append, known, clock)


def test_steps_line_has_step_and_time_left(lines_reported: list[str], clock: Clock) -> None:
    run = steps(lines_reported, clock)
    run.begin("wash")
    clock.now += 5
    run("soap")
    run.begin("dry")
    assert [line.split("  ") for line in (" ".join(line.split()) for line in lines_reported)] == [
        ["0.0 s 1/3 about 4 min left washing"],
        ["5.0 s 1/3 about 4 min left soap"],
        ["5.0 s 2/3 about 4 min left drying"],
    ]


def test_steps_overdue_step_counts_later_steps_only(lines_reported: list[str], clock: Clock) -> None:
    run = steps(lines_reported, clock)
    run.begin("dry")
    clock.now += 205
    assert not run.overdue
    clock.now += 1_000
    assert run.left == 10
    run("wool")
    assert "longer than usual" in lines_reported[-1]
    run.begin("fold")
    assert run.left == 10
    run.end()
    assert run.left == 0


def test_steps_use_durations_of_same_size_only(lines_reported: list[str], clock: Clock) -> None:
    assert steps(lines_reported, clock, {"dry wool 3": 20, "fold": 1}).left == 51
    assert steps(lines_reported, clock, {"dry wool 4": 20}).left == 240


def test_save_durations_stores_by_size(lines_reported: list[str], clock: Clock, tmp_path: Path) -> None:
    run, path = steps(lines_reported, clock), tmp_path / "data" / "steps.json"
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


def test_save_durations_limits_entries(tmp_path: Path) -> None:
    path = tmp_path / "steps.json"
    save_durations(path, {f"step {number}": 1.0 for number in range(MAX_DURATIONS + 5)})
    save_durations(path, {"new": 2.0})
    assert len(load_durations(path)) == MAX_DURATIONS
    assert load_durations(path)["new"] == 2.0


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", '{"a": "b"}', '{"a": null}', "null"])
def test_load_durations_invalid_file_is_empty(tmp_path: Path, text: str) -> None:
    path = tmp_path / "steps.json"
    path.write_text(text)
    assert load_durations(path) == {}
    save_durations(path, {"a": 1.0})
    assert json.loads(path.read_text()) == {"a": 1.0}


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(0, "some seconds"), (14, "about 10 s"), (96, "about 100 s"), (121, "about 2 min"), (600, "about 10 min")],
)
def test_format_duration_rounds(seconds: float, message: str) -> None:
    assert format_duration(seconds) == message
