"""Environments of the tests, and their counts."""

from pathlib import Path

import pytest

from include.contracts.errors import TerminalError
from local.project import ROOT
from tools import test_runner
from tools.test_runner import FOLDERS, Counts, Run, counts, execute_all, plan


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "test_it.py").touch()
    return tmp_path


def test_tests_run_by_folder_in_their_environment(project: Path) -> None:
    assert plan([], project) == [
        Run("dev", ("tests/unit",)),
        Run("dev", ("tests/compose",)),
        Run("ml", ("tests/batch",)),
        Run("flink", ("tests/stream",)),
        Run("airflow", ("tests/dags",)),
        Run("airflow", ("tests/pages",)),
        Run("dev", ("tests/integration",)),
        Run("dev", ("tests/browser",)),
        Run("dev", ("tests/e2e",)),
    ]


def test_paths_of_one_folder_share_a_run(project: Path) -> None:
    (project / "tests/unit/test_other.py").touch()

    assert plan(["tests/unit/test_it.py", "tests/unit/test_other.py"], project) == [
        Run("dev", ("tests/unit/test_it.py", "tests/unit/test_other.py"))
    ]


def test_folder_without_tests_is_skipped_in_a_complete_run(project: Path) -> None:
    (project / "tests/compose/test_it.py").unlink()

    assert plan([], project)[1] == Run("ml", ("tests/batch",))


def test_single_test_runs_in_the_environment_of_its_folder(project: Path) -> None:
    assert plan(["tests/stream/test_it.py::test_one"], project) == [
        Run("flink", ("tests/stream/test_it.py::test_one",))
    ]


@pytest.mark.parametrize("path", ["tests/unit/test_missing.py", "elsewhere", "tests/unitary"])
def test_missing_path_raises_with_its_name(project: Path, path: str) -> None:
    with pytest.raises(TerminalError, match=path):
        plan([path], project)


def test_test_files_are_in_folders_that_are_run() -> None:
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]

    assert files
    assert [path for path in files if not path.startswith(tuple(f"{folder}/" for folder in FOLDERS))] == []


def report(folder: Path, **numbers: int) -> Path:
    attributes = " ".join(f'{name}="{number}"' for name, number in numbers.items())
    path = folder / "report.xml"
    path.write_text(f"<testsuites><testsuite {attributes}/></testsuites>")
    return path


def test_failures_and_errors_are_failed(tmp_path: Path) -> None:
    result = counts(report(tmp_path, tests=10, failures=2, errors=1, skipped=3), exit_code=1)

    assert result == Counts(passed=4, failed=3, skipped=3)
    assert str(result) == "4 passed, 3 failed, 3 skipped"


def test_crashed_run_without_report_counts_as_failure(tmp_path: Path) -> None:
    assert counts(tmp_path / "missing.xml", exit_code=-9) == Counts(failed=1)
    assert counts(report(tmp_path, tests=5), exit_code=5) == Counts(passed=5, failed=1)


def test_counts_add_up_to_the_closing_line() -> None:
    assert str(Counts(3, 0) + Counts(4, 1)) == "7 passed, 1 failed"


def made(place: Path, name: str, line: str) -> str:
    (place / f"test_{name}.py").write_text(f"def test_{name}():\n    {line}\n")
    return str(place / f"test_{name}.py")


def test_lanes_are_counted_and_captured_output_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_runner, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(test_runner, "ON_SERVERS", (str(tmp_path / "servers"),))
    (tmp_path / "servers").mkdir()
    runs = [
        Run("dev", (made(tmp_path, "aside", "assert False, 'shown in full'"),)),
        Run("dev", (made(tmp_path / "servers", "ahead", "pass"),)),
    ]
    said: list[str] = []

    assert execute_all(runs, [], said.append) == Counts(passed=1, failed=1)
    assert any("shown in full" in line for line in said)


def test_failure_ends_a_lane_with_x(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_runner, "RESULTS", tmp_path / "results")
    runs = [
        Run("dev", (made(tmp_path, "first", "assert False"),)),
        Run("dev", (made(tmp_path, "second", "pass"),)),
    ]

    assert execute_all(runs, ["-x"], lambda _: None) == Counts(failed=1)
    assert execute_all(runs, [], lambda _: None) == Counts(passed=1, failed=1)
