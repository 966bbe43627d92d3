"""Two drills or benches on one folder: the second refuses."""

from pathlib import Path

import pytest

from benchmarks.bench_stack import bench_settings, empty_stack
from include.contracts.errors import TerminalError


def test_empty_stack_on_a_folder_in_use_refuses_with_one_line(tmp_path: Path) -> None:
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
