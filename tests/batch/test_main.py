"""Windows, parameters and the command line: invalid input."""

import subprocess
import sys
from pathlib import Path

import pytest

from include.batch import parameters
from include.batch.window import Window
from include.contracts.errors import SettingsError

PROJECT = Path(__file__).parents[2]


def test_window_round_trips_through_text() -> None:
    window = Window.parse("2026-11-09/2026-11-23T02:00:00+02:00")

    assert str(window) == "2026-11-09T00:00:00+00:00/2026-11-23T00:00:00+00:00"
    assert Window.parse(str(window)) == window
    assert window.cut(4).isoformat() == "2026-11-19T00:00:00+00:00"


@pytest.mark.parametrize("text", ["2026-11-09", "a/b", "2026-11-23/2026-11-09", "2026-11-09/2026-11-09", "1/2/3"])
def test_parse_of_an_invalid_window_raises(text: str) -> None:
    with pytest.raises(SettingsError, match="window"):
        Window.parse(text)


def test_cut_of_a_short_window_raises() -> None:
    with pytest.raises(SettingsError, match="not longer than its test part of 4 days"):
        Window.parse("2026-11-19/2026-11-23").cut(4)


def altered(folder: Path, old: str, new: str) -> Path:
    text = parameters.FILE.read_text()
    assert old in text
    path = folder / "parameters.yaml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("test_days: 4", "test_day: 4", "test_day"),
        ("test_users: 0.4", "test_users: 1.4", "split.test_users"),
        ("seed: 20261", "sed: 20261", "sed"),
        ("epsilon: 1.0", "epsilon: .nan", "private.epsilon"),
        ("bands: 32", "bands: 64", "similar.bands"),
        ("tokens: [product", "tokens: [price", "similar.tokens"),
        ("metric: pr_auc", "metric: accuracy", "promotion.metric"),
    ],
)
def test_load_names_invalid_parameters(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named.replace(".", r"\.?")):
        parameters.load(altered(tmp_path, old, new))


def test_load_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        parameters.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("arguments", "summary"),
    [
        (["nap", "--window", "2026-11-09/2026-11-23"], "unknown step 'nap'"),
        (["train", "--window", "yesterday"], "window 'yesterday'"),
    ],
)
def test_invalid_arguments_exit_with_code_2_and_one_line(tmp_path: Path, arguments: list[str], summary: str) -> None:
    command = [sys.executable, "-m", "include.batch", *arguments, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("batch: ")
    assert done.stderr.count("\n") == 1
    assert summary in done.stderr
