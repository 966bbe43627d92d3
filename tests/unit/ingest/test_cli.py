"""The command line: dry runs, files and one-line errors."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from include.ingest.cli import app, main
from include.ingest.ground_truth import GroundTruth

RUN = CliRunner()
RETAIL = (
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    "1,A,LAMP,2,2011-01-01 00:00:00,1.5,7,France\nbroken\n"
)


def test_synthetic_dry_run_writes_ground_truth_without_sending(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    done = RUN.invoke(app, ["synthetic", "--sessions", "200", "--days", "1", "--dry-run", "--ledger", str(path)])
    assert done.exit_code == 0, done.output
    assert "not sent" in done.output
    assert GroundTruth.load(path).plans[0].sessions == 200


def test_live_dry_run_does_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    options = ["--live-seconds", "600", "--rate", "2", "--no-faults", "--dry-run", "--ledger", str(path)]
    assert RUN.invoke(app, ["synthetic", *options]).exit_code == 0
    assert GroundTruth.load(path).expected.verdicts == {"valid": 1_200}


def test_replay_dry_run_writes_report(tmp_path: Path) -> None:
    log, report = tmp_path / "log.csv", tmp_path / "report.json"
    log.write_text(RETAIL)
    done = RUN.invoke(app, ["replay", str(log), "--dry-run", "--report", str(report)])
    assert done.exit_code == 0, done.output
    message = json.loads(report.read_text())
    assert (message["format"], message["lines"], message["bad_lines"], message["amount"]) == (
        "online_retail",
        2,
        1,
        "3.0",
    )
    assert "line 3 has 1 cells" in done.output


def test_plan_prints_json() -> None:
    message = json.loads(RUN.invoke(app, ["plan", "--sessions", "1000"]).output)
    assert message["plan"]["sessions"] == 1_000
    assert message["faults_expected"]["pace"] == 4.0


@pytest.mark.parametrize("command", [[], ["synthetic"], ["replay"], ["plan"]])
def test_commands_have_help(command: list[str]) -> None:
    assert RUN.invoke(app, [*command, "--help"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["replay", "absent.csv", "--dry-run"], "no file at absent.csv"),
        (["synthetic", "--end", "2090-01-01", "--dry-run"], "in the future"),
        (["plan", "--sessions", "100000000", "--start", "2026-01-01", "--end", "2025-01-01"], "the interval is empty"),
    ],
)
def test_main_error_prints_one_line(
    arguments: list[str], word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["ingest", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    output = capsys.readouterr().err
    assert word in output
    assert output.count("\n") == 1
