"""Files generated from the dashboard definitions, and the errors of invalid definitions."""

import json
import os
import shutil
from pathlib import Path

import pytest

from include.contracts.errors import PrerequisiteError, TerminalError
from include.dashboards.compiler.translate import DEFINITIONS
from local.install import environments
from tools import dashboard_files, locks
from tools.checks import _drifted
from tools.generated_docs import PROJECT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A writable copy of the dashboard definitions."""
    shutil.copytree(DEFINITIONS, tmp_path / "dashboards")
    return tmp_path / "dashboards"


@pytest.fixture
def uncached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of compiled dashboards."""
    monkeypatch.setattr(dashboard_files, "_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def test_files_match_the_repository() -> None:
    for name, text in dashboard_files.files().items():
        assert (PROJECT / name).read_text() == text, name


def test_files_uncached_compile_returns_the_same_and_is_cached(uncached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = dashboard_files.files()
    assert {name: (PROJECT / name).read_text() for name in files} == files
    assert len(list(uncached.iterdir())) == 1
    # From here on the compiler must not run.
    monkeypatch.setattr(dashboard_files, "ensure_environment", lambda name: pytest.fail("compiled again"))
    assert dashboard_files.files() == files


def test_compile_saved_objects_changed_definition_replaces_the_cache(
    uncached: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = iter(["one", "two"])
    monkeypatch.setattr(dashboard_files, "_compile", lambda sources: next(texts))
    assert dashboard_files.compile_saved_objects(folder) == dashboard_files.compile_saved_objects(folder) == "one"
    edit(folder, "shop.yaml", "Shop now", "Shop here")
    assert dashboard_files.compile_saved_objects(folder) == "two"
    assert len(list(uncached.iterdir())) == 1


def test_files_panels_and_reference_list_every_panel() -> None:
    files = dashboard_files.files()
    dashboards = json.loads(files[dashboard_files.PANELS_FILE])
    assert [dashboard["id"] for dashboard in dashboards] == ["shop", "products", "customers", "pipeline"]
    for dashboard in dashboards:
        assert f"## {dashboard['name']}\n" in files[dashboard_files.REFERENCE_FILE]
        for panel in dashboard["panels"]:
            assert f"| {panel['title']} | {panel['kind']} |" in files[dashboard_files.REFERENCE_FILE]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("shop.yaml", "field: purchase_amount", "field: amount_paid", "amount_paid"),
        ("shop.yaml", "data_view: session_summary\n", "data_view: sessions\n", "sessions"),
        ("pipeline.yaml", "kind:rejected", "sort:rejected", "sort"),
        ("objects/searches.yaml", "field: started_at", "field: stars", "stars"),
        (
            "products.yaml",
            "saved_search_id: showroom-newest-reviews",
            "saved_search_id: showroom-gone",
            "showroom-gone",
        ),
        ("shop.yaml", "type: pie", "type: gauge", "gauge"),
        ("shop.yaml", 'formula: "count()"', 'formula: "count("', "count("),
        ("shop.yaml", "- id: showroom-shop", "- id: showroom-shop\n  colour: red", "colour"),
        ("shop.yaml", "dashboards:", "dashboards: [", "shop.yaml"),
    ],
)
def test_files_invalid_definition_raises_one_line_error(
    folder: Path, name: str, old: str, new: str, message: str
) -> None:
    edit(folder, name, old, new)
    with pytest.raises(TerminalError) as caught:
        dashboard_files.files(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_overlapping_panels_are_named(uncached: Path, folder: Path) -> None:
    edit(folder, "shop.yaml", "position: {x: 8, y: 3}", "position: {x: 7, y: 3}")
    with pytest.raises(TerminalError, match=r"Sessions\W.*overlaps with panel \W*Unique users"):
        dashboard_files.files(folder)


def test_files_option_dropped_by_the_compiler_is_an_error(uncached: Path, folder: Path) -> None:
    edit(folder, "shop.yaml", "aggregation: unique_count,", 'aggregation: unique_count, filter: {kql: "payment:*"},')
    with pytest.raises(
        TerminalError, match=r"panel shop-users: Kibana queries metrics .*user_id', ''\)\], the pages query .*payment:"
    ):
        dashboard_files.files(folder)


def test_files_linter_finding_is_an_error(uncached: Path, folder: Path) -> None:
    edit(folder, "products.yaml", "      appearance: {density: compact}\n", "")
    with pytest.raises(TerminalError, match=r"kb-dashboard rejected a dashboard: .*compact"):
        dashboard_files.files(folder)


def test_files_compiler_that_hangs_times_out(
    uncached: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in ("kb-dashboard", "kb-dashboard-lint"):
        (tmp_path / tool).write_text("#!/bin/sh\nexec sleep 60\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setattr(dashboard_files, "ensure_environment", lambda name: tmp_path / "python")
    monkeypatch.setattr(dashboard_files, "TIMEOUT_S", 0.2)
    with pytest.raises(TerminalError, match="timed out: check the formulas"):
        dashboard_files.files(folder)


def test_compile_without_newer_python_raises_with_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(PrerequisiteError) as caught:
        environments.base_python("dashboards")
    assert "Python 3.12 or newer" in str(caught.value)
    assert "pyenv install 3.12" in caught.value.remedy


def test_newer_python_is_located_on_path_and_under_pyenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(path: Path, code: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\nexit {code}\n")
        path.chmod(0o755)
        return path

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    # A shim without a target comes first and is skipped.
    fake(tmp_path / "python3.12", 127)
    newer = fake(tmp_path / "python3.14", 0)
    assert environments.base_python("dashboards") == newer
    retained = fake(tmp_path / "pyenv" / "versions" / "3.12.9" / "bin" / "python3.12", 0)
    assert environments.base_python("dashboards") == retained
    assert os.access(environments.base_python("dev"), os.X_OK)


def test_compiler_lock_is_compiled_for_its_python() -> None:
    made_for = {lock.target: lock.python for lock in locks.LOCKS}
    assert made_for.pop("dashboards.txt") == "3.12"
    assert set(made_for.values()) == {"3.11"}


def test_broken_dashboard_fails_its_check_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[str]:
        raise TerminalError("shop.yaml: wrong", "mend it")

    monkeypatch.setattr("tools.checks.drift", refuse)
    assert _drifted() == "shop.yaml: wrong: mend it"
