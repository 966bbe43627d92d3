"""Every kind of gap in the documentation is reported, shown on a copy with one gap."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from include.contracts.metrics import METRICS, Metric
from local.project import ROOT
from tools import docs_check
from tools.docs_check import complaints

COPIED = ("docs", "dags", "include/supervise")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return the pages as they are."""
    for folder in COPIED:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for page in ROOT.glob("*.md"):
        shutil.copy(page, tmp_path)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_documentation_has_no_gaps() -> None:
    assert complaints() == []


def test_copy_has_no_gaps(copy: Path) -> None:
    assert complaints(copy) == []


BREAKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a page that code names": (
        lambda root: append(root / "dags/reconcile.py", "\n# see docs/none.md\n"),
        "dags/reconcile.py: names docs/none.md, which does not exist",
    ),
    "DAG without text": (
        lambda root: edit(root / "dags/reconcile.py", "    doc_md=DOC,\n", ""),
        "the DAG reconcile is undocumented: it has no doc_md",
    ),
    "DAG that says too little": (
        lambda root: edit(root / "dags/reconcile.py", "**Run again:**", "**Again:**"),
        "the DAG reconcile is undocumented: its doc_md lacks **Run again:**",
    ),
    "DAG that the reference lacks": (
        lambda root: edit(root / "docs/dags.md", "## reconcile\n", "## other\n"),
        "the DAG reconcile is undocumented: docs/dags.md has no section for it",
    ),
    "DAG that the README lacks": (
        lambda root: edit(root / "README.md", "| `reconcile` |", "| reconcile |"),
        "the DAG reconcile is undocumented: README.md, Airflow, has no row for it",
    ),
    "DAG that is gone": (
        lambda root: (root / "dags/ingest_replay.py").unlink(),
        "README.md, Airflow, names the DAG ingest_replay, which does not exist",
    ),
    "setting without a row": (
        lambda root: edit(root / "docs/settings.md", "| `SHOWROOM_SUPERVISE_LAG_ALERT_THRESHOLD` |", "| LAG_HIGH |"),
        "the setting SHOWROOM_SUPERVISE_LAG_ALERT_THRESHOLD is undocumented: docs/settings.md has no row for it",
    ),
    "setting that is none": (
        lambda root: append(root / "docs/runbooks/gate.md", "\n`SHOWROOM_LAG_HIHG`\n"),
        "docs/runbooks/gate.md: SHOWROOM_LAG_HIHG is not a setting",
    ),
    "setting that code alone knows": (
        lambda root: append(root / "dags/reconcile.py", "\nX = 'SHOWROOM_HIDDEN'\n"),
        "dags/reconcile.py: SHOWROOM_HIDDEN is not a setting",
    ),
    "metric without a row": (
        lambda root: edit(root / "docs/metrics.md", "| `gate.lag` |", "| lag |"),
        "the metric gate.lag is undocumented: docs/metrics.md has no row for it",
    ),
    "metric that its runbook does not explain": (
        lambda root: edit(root / "docs/runbooks/gate.md", "`gate.lag`", "the lag"),
        "the metric gate.lag is undocumented: docs/runbooks/gate.md does not describe it",
    ),
    "metric that is not declared": (
        lambda root: append(root / "include/supervise/stage_status.py", '\nX = StageMetric(name="gate.hidden")\n'),
        "include/supervise/stage_status.py: the metric gate.hidden is not declared in include/contracts/metrics.py",
    ),
    "alert without a heading": (
        lambda root: edit(root / "docs/runbooks/gate.md", "### gate.heartbeat_missing", "### Silence"),
        "the alert gate.heartbeat_missing needs one heading of its name, in docs/runbooks/gate.md",
    ),
    "heading of no alert": (
        lambda root: append(root / "docs/runbooks/gate.md", "\n### gate.asleep\n"),
        "docs/runbooks has a heading gate.asleep, and there is no such alert",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_gaps_are_reported(copy: Path, name: str) -> None:
    break_, complaint = BREAKS[name]
    break_(copy)
    assert complaint in complaints(copy)


def test_new_metric_is_reported_as_undocumented(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Metric("gate.moods", "gate", "gauge", "moods", "how it feels")
    monkeypatch.setattr(docs_check, "METRICS", (*METRICS, new))
    assert sum("the metric gate.moods is undocumented" in line for line in complaints()) == 2
