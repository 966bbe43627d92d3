"""`./showroom` from any folder, with help for every command and one line for an error."""

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
def test_help_of_every_command_shows_its_usage(command: str) -> None:
    done = showroom(*([command] if command else []), "--help")

    assert done.returncode == 0
    assert "Usage: showroom" in done.stdout


def test_showroom_through_a_link_from_another_folder_runs(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(SHOWROOM)
    (tmp_path / "include.py").write_text("raise SystemExit('incorrect include')")

    done = subprocess.run([link, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr


def test_invalid_settings_print_one_line_that_names_them() -> None:
    done = showroom("status", SHOWROOM_KAFKA_PARTITIONS="none", SHOWROOM_TYPO="1")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "SHOWROOM_KAFKA_PARTITIONS" in done.stderr
    assert "SHOWROOM_TYPO" in done.stderr


def test_failed_command_prints_one_line(tmp_path: Path) -> None:
    done = showroom("logs", "nothing", SHOWROOM_LOCAL_STATE_DIR=str(tmp_path / "s"))

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "'nothing'" in done.stderr


def test_unexpected_error_prints_one_line_and_stores_the_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("first\nsecond")

    trace = tmp_path / "trace.log"
    monkeypatch.setattr(app, "build", lambda: fail)
    monkeypatch.setattr(app, "TRACEBACK_LOG", trace)
    monkeypatch.setattr(app, "ROOT", tmp_path)

    with pytest.raises(SystemExit) as raised:
        app.main()

    assert raised.value.code == 1
    assert capsys.readouterr().err == "showroom: RuntimeError: first second: see ./showroom status and trace.log\n"
    assert "Traceback" in trace.read_text()


def test_status_of_a_new_stack_creates_no_files(tmp_path: Path) -> None:
    done = showroom("status", SHOWROOM_LOCAL_STATE_DIR=str(tmp_path / "s"))

    assert done.returncode == 0
    assert "stopped" in done.stdout
    assert not (tmp_path / "s").exists()


def test_down_with_volumes_deletes_only_with_yes(tmp_path: Path) -> None:
    state = tmp_path / "s"
    (state / "data").mkdir(parents=True)
    (state / "mine").touch()

    dry_run = showroom("down", "--volumes", SHOWROOM_LOCAL_STATE_DIR=str(state))
    assert dry_run.returncode == 0
    assert "--yes" in dry_run.stdout
    assert (state / "data").exists()

    assert showroom("down", "--volumes", "--yes", SHOWROOM_LOCAL_STATE_DIR=str(state)).returncode == 0
    assert [entry.name for entry in state.iterdir()] == ["mine"]


def test_version_option_prints_the_project_version() -> None:
    done = showroom("--version")

    assert (done.returncode, done.stdout) == (0, "showroom 0.1.0\n")


@pytest.mark.parametrize(("logs", "code"), [(("gate-0",), 0), (("gate-0", "gate-1"), 1)])
def test_logs_of_gate_shows_the_only_gate_process(tmp_path: Path, logs: tuple[str, ...], code: int) -> None:
    (tmp_path / "s" / "log").mkdir(parents=True)
    for name in logs:
        (tmp_path / "s" / "log" / f"{name}.log").write_text(f"the log of {name}\n")

    done = showroom("logs", "gate", SHOWROOM_LOCAL_STATE_DIR=str(tmp_path / "s"))

    assert (done.returncode, "the log of gate-0" in done.stdout) == (code, code == 0), done


@pytest.mark.parametrize(("path", "cause"), [("nowhere.csv", "no file at"), ("odd.csv", "a supported format")])
def test_demo_with_an_invalid_log_fails_before_any_change(tmp_path: Path, path: str, cause: str) -> None:
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    state = tmp_path / "s"

    done = showroom("demo", "--replay", str(tmp_path / path), SHOWROOM_LOCAL_STATE_DIR=str(state))

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert cause in done.stderr
    assert not state.exists()
