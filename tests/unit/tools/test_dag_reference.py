"""The DAG reference matches the DAG files."""

from pathlib import Path

from local.project import ROOT
from tools.dag_reference import Parameter, page, read

FILE = '''
"""Sweeps the
floor. More.

Rest.
"""
from airflow.sdk import DAG, CronTriggerTimetable, Param
DOC = """
### sweep
Sweeps. See docs/runbooks/gate.md.
* **When:** seldom.
"""
with DAG(
    "sweep",
    schedule=CronTriggerTimetable("1 2 * * *", timezone="UTC"),
    is_paused_upon_creation=True,
    tags=["gate"],
    doc_md=DOC,
    params={"dry": Param(False, title="Only look", description="no broom"), "room": Param(None), "times": 3},
):
    pass
'''


def test_dag_file_is_read_without_execution(tmp_path: Path) -> None:
    (tmp_path / "sweep.py").write_text(FILE)
    (dag,) = read(tmp_path)
    assert (dag.name, dag.does, dag.stage, dag.schedule, dag.paused) == (
        "sweep",
        "Sweeps the floor. More.",
        "gate",
        "`1 2 * * *`",
        True,
    )
    assert dag.parameters == (
        Parameter("dry", "`false`", "Only look; no broom"),
        Parameter("room", "", ""),
        Parameter("times", "`3`", ""),
    )


def test_page_links_runbooks_and_lists_parameters(tmp_path: Path) -> None:
    (tmp_path / "sweep.py").write_text(FILE)
    text = page(tmp_path)
    assert "| [`sweep`](#sweep) | gate | `1 2 * * *`, initially paused | Sweeps the floor. More |" in text
    assert "## sweep\n\nSweeps. See [runbooks/gate.md](runbooks/gate.md).\n\n* **When:** seldom.\n\n" in text
    assert "| `dry` | `false` | Only look; no broom |" in text


def test_page_has_every_dag_of_the_project() -> None:
    dags = ROOT / "dags"
    assert {dag.name for dag in read(dags)} == {path.stem for path in dags.glob("[!_]*.py")}
    assert all(dag.document and dag.stage and dag.does for dag in read(dags))
