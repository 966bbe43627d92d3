"""Version of a stack's stored state."""

from pathlib import Path

import pytest

from include.contracts.errors import TerminalError
from local.layout import STATE_VERSION_FILE, Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout.below(tmp_path / "stack")
    layout.create()
    return layout


def test_require_current_state_of_a_new_stack_writes_the_version_once(layout: Layout) -> None:
    layout.require_current_state()
    (layout.data / "kafka").mkdir()
    layout.require_current_state()


@pytest.mark.parametrize("version", [None, "1", "3"])
def test_require_current_state_of_another_version_raises_and_changes_nothing(
    layout: Layout, version: str | None
) -> None:
    (layout.data / "kafka").mkdir()
    path = layout.conf / STATE_VERSION_FILE
    if version is not None:
        path.write_text(version)
    with pytest.raises(TerminalError, match="state of another version") as raised:
        layout.require_current_state()
    assert "down --volumes --yes" in raised.value.remedy
    assert (path.read_text() if path.exists() else None) == version
