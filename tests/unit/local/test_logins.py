"""Logins of a local stack's Airflow: created once, shown once, and added to stacks of an earlier version."""

import io
import json
import stat
from pathlib import Path

import pytest
from rich.console import Console

from include.contracts.errors import TerminalError
from include.contracts.settings import LocalSettings, Settings
from local import status_details
from local.airflow_login import login, viewer_login
from local.layout import Layout
from local.servers import airflow


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout.of(Settings(local=LocalSettings(state_dir=tmp_path / "s")).local)
    made.create()
    return made


def test_ensure_keys_of_a_new_stack_creates_two_logins_with_different_passwords(layout: Layout) -> None:
    with pytest.raises(TerminalError, match="showroom up"):
        viewer_login(layout)
    airflow.ensure_keys(layout)
    before = login(layout), viewer_login(layout)

    airflow.ensure_keys(layout)

    assert (login(layout), viewer_login(layout)) == before
    passwords = json.loads((layout.conf / airflow.PASSWORDS_FILE).read_text())
    assert passwords == dict(before)
    assert len(set(passwords.values())) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in layout.conf.iterdir()} == {0o600}


def test_ensure_keys_of_an_earlier_stack_adds_a_viewer_and_retains_the_rest(layout: Layout) -> None:
    earlier = {"password": "p" * 16, "jwt": "j", "fernet": "f", "session": "s"}
    (layout.conf / airflow.KEYS_FILE).write_text(json.dumps(earlier))

    airflow.ensure_keys(layout)

    now = json.loads((layout.conf / airflow.KEYS_FILE).read_text())
    assert len(now.pop("viewer")) >= 12
    assert now == earlier


def test_status_details_airflow_shows_both_passwords_once(layout: Layout) -> None:
    airflow.ensure_keys(layout)
    settings = Settings(local=LocalSettings(state_dir=layout.root))

    def shown() -> str:
        console = Console(file=io.StringIO(), width=200)
        console.print(status_details.airflow(settings))
        return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    first, second = shown(), shown()

    for user, password in (login(layout), viewer_login(layout)):
        assert f"as {user}, password {password}" in first
        assert password not in second
    assert "/plugin/showroom-live as viewer" in second
