"""The tool that runs the demo on bare machines: the parts that need no machine."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from include.contracts.errors import PrerequisiteError
from tools import fresh_machine, machine
from tools.python_mirror import METADATA, build_mirror


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    prefix = tmp_path / "installed"
    for name in ("bin", "lib/python3.11/test", "lib/python3.11/site-packages"):
        (prefix / name).mkdir(parents=True)
    (prefix / "bin" / "python3.11").write_bytes(b"\x7fELF\0" + bytes(prefix / "lib") + b"\0rest")
    (prefix / "bin" / "python3").symlink_to("python3.11")
    (prefix / "lib" / "python3.11" / "os.py").write_text("")
    (prefix / "lib" / "python3.11" / "test" / "large.py").write_text("")
    return prefix


def test_build_mirror_creates_an_archive_that_uv_accepts(prefix: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    folder.mkdir()

    variables = build_mirror(prefix, folder, Path("/opt/mirror"))

    assert variables == {"UV_PYTHON_DOWNLOADS_JSON_URL": f"/opt/mirror/{METADATA}"}
    (entry,) = json.loads((folder / METADATA).read_text()).values()
    archive = folder / Path(entry["url"]).name
    assert entry["url"] == f"file:///opt/mirror/{archive.name}"
    assert entry["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        program = tar.extractfile("python/bin/python3.11")
        assert program is not None
        data = program.read()
    assert "python/bin/python3" in names
    assert "python/lib/python3.11/os.py" in names
    assert not any("/test" in name for name in names)
    assert data.startswith(b"\x7fELF\0$ORIGIN/../lib\0")
    assert len(data) == (prefix / "bin" / "python3.11").stat().st_size


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (
            "showroom: missing: Java, run: sudo apt-get install -y --no-install-recommends openjdk-21-jre-headless",
            "apt-get install -y --no-install-recommends openjdk-21-jre-headless",
        ),
        (
            "showroom: missing: Java; apt has no package lists, run: sudo apt-get update, then the same command again",
            "apt-get update",
        ),
    ],
)
def test_remedy_is_the_command_that_the_front_door_names(line: str, command: str) -> None:
    result = fresh_machine.REMEDY.search(line)

    assert result is not None
    assert result[1] == command


def test_fresh_machine_as_an_ordinary_user_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1_000)

    assert fresh_machine.main([]) == 1
    assert capsys.readouterr().out == "fresh-machine failed: it must run as root: run it with sudo\n"


def test_fresh_machine_without_its_tools_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(machine, "which", lambda _: None)

    with pytest.raises(PrerequisiteError, match="apt-get install -y debootstrap bubblewrap"):
        machine.require_tools()
