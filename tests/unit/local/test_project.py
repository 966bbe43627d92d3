"""Where the state of a stack may lie."""

from pathlib import Path

import pytest

from include.contracts.errors import SettingsError
from include.contracts.settings import LocalSettings, Settings
from local.layout import Layout, private_files, write_text
from local.project import ROOT, state_dir
from local.servers import elasticsearch


def test_a_relative_state_folder_lies_in_the_project_whatever_the_callers_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert state_dir(Settings()) == ROOT / ".showroom" / "stack"


@pytest.mark.parametrize("folder", [ROOT, ROOT.parent, Path("/"), Path()])
def test_the_project_is_never_taken_for_state(folder: Path) -> None:
    with pytest.raises(SettingsError, match="holds the project itself"):
        state_dir(Settings(local=LocalSettings(state_dir=folder)))


def test_a_path_too_long_for_a_socket_is_told_with_the_setting_to_change() -> None:
    with pytest.raises(SettingsError, match="set SHOWROOM_LOCAL_STATE_DIR to a shorter path"):
        state_dir(Settings(local=LocalSettings(state_dir=Path("/tmp") / ("x" * 80))))


@pytest.mark.parametrize("name", ["my state", "zustände", "a'b"])
def test_state_dir_with_characters_that_servers_cannot_take_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(SettingsError, match="use letters of ASCII, digits"):
        state_dir(Settings(local=LocalSettings(state_dir=Path("/tmp") / name)))


def test_state_dir_below_a_linked_project_keeps_the_links_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, link = tmp_path / "my shop ü", tmp_path / "project"
    real.mkdir()
    link.symlink_to(real)
    monkeypatch.setattr("local.project.ROOT", link)
    monkeypatch.setattr("local.project.LONGEST_STATE_DIR", 200)

    assert state_dir(Settings()) == link / ".showroom" / "stack"
    assert state_dir(Settings(local=LocalSettings(state_dir=real / "state"))) == link / "state"
    with pytest.raises(SettingsError, match="holds the project itself"):
        state_dir(Settings(local=LocalSettings(state_dir=real)))


def test_elasticsearch_under_another_user_is_checked_on_both_ways_to_a_linked_project(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "my shop").mkdir(parents=True)
    link = tmp_path / "project"
    link.symlink_to(home / "my shop")

    assert {home, tmp_path, link} <= elasticsearch._ancestors(link)


def test_layout_create_and_close_admit_the_owner_only(tmp_path: Path) -> None:
    layout = Layout.of(Settings(local=LocalSettings(state_dir=tmp_path / "s")))
    layout.create()
    made = [folder.stat().st_mode & 0o777 for folder in (*layout.folders, layout.tmp)]
    layout.data.chmod(0o755)

    layout.close()

    assert set(made) == {0o700}
    assert layout.data.stat().st_mode & 0o777 == 0o700


def test_private_files_new_file_and_folder_belong_to_the_owner_and_the_mask_is_restored(tmp_path: Path) -> None:
    with private_files():
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").touch()
    (tmp_path / "later").touch(0o644)

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"folder": 0o700, "file": 0o600, "later": 0o644}


def test_a_file_is_replaced_as_a_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_text(path, "one", mode=0o600)
    write_text(path, "two", mode=0o600)

    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [left.name for left in path.parent.iterdir()] == ["file"]
