"""State folder of a stack, its permissions, and atomic writes."""

from pathlib import Path

import pytest

from include.contracts.errors import SettingsError
from include.contracts.settings import LocalSettings, Settings
from local.layout import Layout, private_files, write_text
from local.project import ROOT, state_dir
from local.servers import elasticsearch


def test_state_dir_with_a_relative_path_is_below_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert state_dir(Settings().local) == ROOT / ".showroom" / "stack"


@pytest.mark.parametrize("folder", [ROOT, ROOT.parent, Path("/"), Path()])
def test_state_dir_that_contains_the_project_raises(folder: Path) -> None:
    with pytest.raises(SettingsError, match="contains the project"):
        state_dir(Settings(local=LocalSettings(state_dir=folder)).local)


def test_state_dir_too_long_for_a_socket_names_the_setting() -> None:
    with pytest.raises(SettingsError, match="set SHOWROOM_LOCAL_STATE_DIR to a shorter path"):
        state_dir(Settings(local=LocalSettings(state_dir=Path("/tmp") / ("x" * 80))).local)


@pytest.mark.parametrize("name", ["my state", "zustände", "a'b"])
def test_state_dir_with_unsupported_characters_raises_with_the_rule(name: str) -> None:
    with pytest.raises(SettingsError, match="use only ASCII letters, digits"):
        state_dir(Settings(local=LocalSettings(state_dir=Path("/tmp") / name)).local)


def test_state_dir_below_a_linked_project_keeps_the_links_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, link = tmp_path / "my shop ü", tmp_path / "project"
    real.mkdir()
    link.symlink_to(real)
    monkeypatch.setattr("local.project.ROOT", link)
    monkeypatch.setattr("local.project.MAX_STATE_DIR_CHARACTERS", 200)

    assert state_dir(Settings().local) == link / ".showroom" / "stack"
    assert state_dir(Settings(local=LocalSettings(state_dir=real / "state")).local) == link / "state"
    with pytest.raises(SettingsError, match="contains the project"):
        state_dir(Settings(local=LocalSettings(state_dir=real)).local)


def test_ancestors_of_a_linked_project_include_both_paths(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "my shop").mkdir(parents=True)
    link = tmp_path / "project"
    link.symlink_to(home / "my shop")

    assert {home, tmp_path, link} <= elasticsearch._ancestors(link)


def test_layout_create_and_close_set_owner_only_modes(tmp_path: Path) -> None:
    layout = Layout.of(Settings(local=LocalSettings(state_dir=tmp_path / "s")).local)
    layout.create()
    made = [folder.stat().st_mode & 0o777 for folder in (*layout.folders, layout.tmp)]
    layout.data.chmod(0o755)

    layout.close()

    assert set(made) == {0o700}
    assert layout.data.stat().st_mode & 0o777 == 0o700


def test_private_files_sets_owner_only_modes_and_restores_the_umask(tmp_path: Path) -> None:
    with private_files():
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").touch()
    (tmp_path / "later").touch(0o644)

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"folder": 0o700, "file": 0o600, "later": 0o644}


def test_write_text_replaces_file_and_mode_atomically(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_text(path, "one", mode=0o600)
    write_text(path, "two", mode=0o600)

    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
