"""The check of names, on a temporary tree and on the project."""

from pathlib import Path

import pytest

from tools.naming import violations


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("found = 1\n", 1),
        ("def _told(say):\n    return say\n", 3),
        ("class Night:\n    asked: int\n", 2),
        ("value = record.held\n", 1),
        ("dead_letters = nightly = 'found, told and asked'  # say\n", 0),
    ],
)
def test_violations_name_identifiers_but_no_text(tmp_path: Path, text: str, number: int) -> None:
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "module.py").write_text(text)
    assert len(list(violations(tmp_path))) == number


def test_violations_name_modules(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_spoil.py").write_text("")
    assert list(violations(tmp_path)) == ["tests/test_spoil.py: use inject_fault"]
