"""The front door: from any folder, with help for everything, and one line for an error."""

import os
import subprocess
from pathlib import Path

import pytest

from cli import app
from local.project import ROOT

SHOWROOM = ROOT / "showroom"


def showroom(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    retained = {name: value for name, value in os.environ.items() if not name.startswith("SHOWROOM_")}
    return subprocess.run(
        [SHOWROOM, *arguments],
        cwd=folder,
        env=retained | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    ["", "up", "down", "status", "logs", "check", "test", "ingest", "archive", "dashboards", "screenshots", "docs"],
)
def test_every_command_has_help(command: str) -> None:
    done = showroom(*([command] if command else []), "--help")

    assert done.returncode == 0
    assert "Usage: showroom" in done.stdout


def test_it_works_from_any_folder_and_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(SHOWROOM)
    (tmp_path / "include.py").write_text("raise SystemExit('the wrong include')")

    done = subprocess.run([link, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr


def test_wrong_settings_are_one_line_that_names_them() -> None:
    done = showroom("status", SHOWROOM_KAFKA_PARTITIONS="none", SHOWROOM_TYPO="1")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "SHOWROOM_KAFKA_PARTITIONS" in done.stderr
    assert "SHOWROOM_TYPO" in done.stderr


def test_a_failed_command_is_one_line(tmp_path: Path) -> None:
    done = showroom("logs", "nothing", SHOWROOM_LOCAL_STATE_DIR=str(tmp_path / "s"))

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "'nothing'" in done.stderr


def test_what_nobody_foresaw_is_one_line_and_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("first\nsecond")

    trace = tmp_path / "trace.log"
    monkeypatch.setattr(app, "build", lambda: fail)
    monkeypatch.setattr(app, "TRACE", trace)
    monkeypatch.setattr(app, "ROOT", tmp_path)

    with pytest.raises(SystemExit) as ended:
        app.main()

    assert ended.value.code == 1
    assert capsys.readouterr().err == "showroom: RuntimeError: first second: see ./showroom status and trace.log\n"
    assert "Traceback" in trace.read_text()


def test_status_changes_nothing(tmp_path: Path) -> None:
    done = showroom("status", SHOWROOM_LOCAL_STATE_DIR=str(tmp_path / "s"))

    assert done.returncode == 0
    assert "stopped" in done.stdout
    assert not (tmp_path / "s").exists()


def test_purge_asks_first(tmp_path: Path) -> None:
    state = tmp_path / "s"
    (state / "data").mkdir(parents=True)
    (state / "mine").touch()

    request = showroom("down", "--volumes", SHOWROOM_LOCAL_STATE_DIR=str(state))
    assert request.returncode == 0
    assert "--yes" in request.stdout
    assert (state / "data").exists()

    assert showroom("down", "--volumes", "--yes", SHOWROOM_LOCAL_STATE_DIR=str(state)).returncode == 0
    assert [left.name for left in state.iterdir()] == ["mine"]


def test_version_is_that_of_the_project() -> None:
    done = showroom("--version")

    assert (done.returncode, done.stdout) == (0, "showroom 0.1.0\n")


@pytest.mark.parametrize(("logs", "code"), [(("gate-0",), 0), (("gate-0", "gate-1"), 1)])
def test_logs_of_gate_shows_the_only_gate_process(tmp_path: Path, logs: tuple[str, ...], code: int) -> None:
    (tmp_path / "s" / "log").mkdir(parents=True)
    for name in logs:
        (tmp_path / "s" / "log" / f"{name}.log").write_text(f"the log of {name}\n")

    done = showroom("logs", "gate", SHOWROOM_LOCAL_STATE_DIR=str(tmp_path / "s"))

    assert (done.returncode, "the log of gate-0" in done.stdout) == (code, code == 0), done


@pytest.mark.parametrize(("path", "cause"), [("nowhere.csv", "no file at"), ("odd.csv", "is of no format known here")])
def test_demo_with_a_log_that_is_none_ends_before_it_does_anything(tmp_path: Path, path: str, cause: str) -> None:
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    state = tmp_path / "s"

    done = showroom("demo", "--replay", str(tmp_path / path), SHOWROOM_LOCAL_STATE_DIR=str(state))

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert cause in done.stderr
    assert not state.exists()
