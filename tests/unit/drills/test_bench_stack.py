"""Exclusive use of a stack folder by one drill or bench."""

from pathlib import Path

import pytest

from benchmarks.bench_stack import bench_settings, empty_stack
from include.contracts.errors import TerminalError


def test_empty_stack_of_a_folder_in_use_raises_a_one_line_error(tmp_path: Path) -> None:
    settings = bench_settings().replace(local={"state_dir": tmp_path / "drill"})
    with empty_stack(settings):
        with (
            pytest.raises(TerminalError, match="another drill or bench uses this folder") as caught,
            empty_stack(settings),
        ):
            pass
        assert "\n" not in str(caught.value)
    with empty_stack(settings):
        pass
