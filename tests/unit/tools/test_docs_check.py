"""Every kind of gap in the documentation is complained about, shown on a copy that is broken once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from include.contracts.metrics import METRICS, Metric
from local.project import ROOT
from tools import docs_check
from tools.docs_check import anchors, complaints, links

COPIED = ("docs", "dags", "include/supervise")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The pages as they are; links to what was not copied lead to empty files."""
    for folder in COPIED:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for page in ROOT.glob("*.md"):
        shutil.copy(page, tmp_path)
    for page in [*tmp_path.rglob("*.md")]:
        for link in links(page.read_text()):
            target = (page.parent / link.partition("#")[0]).resolve()
            if "://" not in link and not target.exists() and (ROOT / target.relative_to(tmp_path)).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_the_documentation_lacks_nothing() -> None:
    assert complaints() == []


def test_the_copy_lacks_nothing(copy: Path) -> None:
    assert complaints(copy) == []


BREAKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "dead link": (
        lambda root: append(root / "README.md", "\nSee [this](docs/nowhere.md).\n"),
        "README.md: the link docs/nowhere.md is dead: no such file",
    ),
    "dead picture": (
        lambda root: append(root / "README.md", '\n<img src="docs/pictures/none.png">\n'),
        "README.md: the link docs/pictures/none.png is dead: no such file",
    ),
    "dead anchor": (
        lambda root: append(root / "docs/runbooks/gate.md", "\n[x](serving.md#no-such-place)\n"),
        "docs/runbooks/gate.md: the link serving.md#no-such-place is dead: no such heading",
    ),
    "dead anchor of its own": (
        lambda root: append(root / "docs/runbooks/gate.md", "\n[x](#no-such-place)\n"),
        "docs/runbooks/gate.md: the link #no-such-place is dead: no such heading",
    ),
    "link out of the project": (
        lambda root: append(root / "README.md", "\n[x](../../etc/passwd)\n"),
        "README.md: the link ../../etc/passwd is dead: it leads out of the project",
    ),
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
        lambda root: edit(root / "docs/contracts.md", "| `SHOWROOM_SUPERVISE_LAG_ALERT_THRESHOLD` |", "| LAG_HIGH |"),
        "the setting SHOWROOM_SUPERVISE_LAG_ALERT_THRESHOLD is undocumented: docs/contracts.md has no row for it",
    ),
    "setting that is none": (
        lambda root: append(root / "docs/runbooks/gate.md", "\n`SHOWROOM_LAG_HIHG`\n"),
        "docs/runbooks/gate.md: SHOWROOM_LAG_HIHG is no setting",
    ),
    "setting that code alone knows": (
        lambda root: append(root / "dags/reconcile.py", "\nX = 'SHOWROOM_HIDDEN'\n"),
        "dags/reconcile.py: SHOWROOM_HIDDEN is no setting",
    ),
    "metric without a row": (
        lambda root: edit(root / "docs/contracts.md", "| `gate.lag` |", "| lag |"),
        "the metric gate.lag is undocumented: docs/contracts.md has no row for it",
    ),
    "metric that its runbook does not explain": (
        lambda root: edit(root / "docs/runbooks/gate.md", "`gate.lag`", "the lag"),
        "the metric gate.lag is undocumented: docs/runbooks/gate.md does not say what to make of it",
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
def test_each_gap_is_named(copy: Path, name: str) -> None:
    break_, complaint = BREAKS[name]
    break_(copy)
    assert complaint in complaints(copy)


def test_a_new_metric_is_undocumented(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Metric("gate.moods", "gate", "gauge", "moods", "how it feels")
    monkeypatch.setattr(docs_check, "METRICS", (*METRICS, new))
    assert sum("the metric gate.moods is undocumented" in line for line in complaints()) == 2


def test_links_in_code_and_comments_are_none() -> None:
    text = '`[a](b)`\n\n```bash\n[c](d)\n```\n<!-- [e](f) -->\n[g](h "title") ![i](j.png)\n\n[k]: l\n'
    assert links(text) == ["h", "j.png", "l"]


def test_anchors_are_those_of_github() -> None:
    text = "# Is it well?\n## flink.unreachable\n## `a` b, c\n```\n# none\n```\n## Twice\n## Twice\n## [x](y) z\n"
    assert anchors(text) == {"is-it-well", "flinkunreachable", "a-b-c", "twice", "twice-1", "x-z"}
