"""Which checkpoint a job resumes from, and which may be deleted."""

import os
from pathlib import Path

import pytest

from include.contracts.errors import TerminalError
from include.supervise.stream_job import newest_restore_point, prune, restore_point, restore_points


def point(state: Path, name: str, written: float, *, complete: bool = True) -> Path:
    folder = state / name
    folder.mkdir(parents=True)
    if complete:
        (folder / "_metadata").write_bytes(b"state")
        os.utime(folder / "_metadata", (written, written))
    return folder


def test_newest_restore_point_is_the_newest_complete_one_of_all_jobs(tmp_path: Path) -> None:
    point(tmp_path, "checkpoints/a/chk-9", 100)
    newest = point(tmp_path, "checkpoints/b/chk-2", 300)
    point(tmp_path, "savepoints/savepoint-a-1", 200)
    point(tmp_path, "checkpoints/b/chk-3", 400, complete=False)
    (tmp_path / "checkpoints/b/shared").mkdir()
    assert [result.written for result in restore_points(tmp_path)] == [300, 200, 100]
    result = newest_restore_point(tmp_path)
    assert result is not None
    assert result.path == newest
    assert result.uri == newest.as_uri()


def test_restore_points_omit_a_checkpoint_deleted_concurrently(tmp_path: Path) -> None:
    retained = point(tmp_path, "checkpoints/a/chk-8", 100)
    # Listed, and deleted before its time is read.
    (point(tmp_path, "checkpoints/a/chk-7", 50, complete=False) / "_metadata").symlink_to(tmp_path / "gone")
    assert [result.path for result in restore_points(tmp_path)] == [retained]


def test_restore_point_job_is_that_of_a_checkpoint_only(tmp_path: Path) -> None:
    point(tmp_path, "checkpoints/a/chk-8", 200)
    point(tmp_path, "savepoints/savepoint-a-1", 100)
    assert [result.job for result in restore_points(tmp_path)] == ["a", None]


def test_newest_restore_point_of_an_empty_folder_is_none(tmp_path: Path) -> None:
    assert newest_restore_point(tmp_path) is None
    assert prune(tmp_path, []) == []


def test_restore_point_without_metadata_raises(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="not a complete checkpoint"):
        restore_point(point(tmp_path, "checkpoints/a/chk-1", 1, complete=False))


def test_prune_retains_running_jobs_and_the_newest_point(tmp_path: Path) -> None:
    running = point(tmp_path, "checkpoints/running/chk-1", 50).parent
    old = point(tmp_path, "checkpoints/old/chk-1", 100).parent
    newest = point(tmp_path, "checkpoints/last/chk-7", 300).parent
    spare = point(tmp_path, "savepoints/savepoint-1", 200)
    assert prune(tmp_path, ["running"]) == [old, spare]
    assert all(folder.exists() for folder in (running, old, newest, spare))
    assert prune(tmp_path, ["running"], delete=True) == [old, spare]
    assert [folder.exists() for folder in (running, old, newest, spare)] == [True, False, True, False]


def test_prune_with_a_newest_savepoint_retains_only_that(tmp_path: Path) -> None:
    old = point(tmp_path, "checkpoints/old/chk-1", 100).parent
    newest = point(tmp_path, "savepoints/savepoint-2", 200)
    assert prune(tmp_path, [], delete=True) == [old]
    assert newest.exists()
