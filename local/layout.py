"""The folders of one stack below its state folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from include.contracts.errors import TerminalError
from include.contracts.settings import Settings
from local.project import state_dir

STATE_VERSION = "2"
"""Version of the stored state: it rises when stored records are renamed. Version 1 has no file."""
STATE_VERSION_FILE = "state-version"
PRIVATE = 0o700
"""Mode of a folder that only its owner may enter."""


class Layout(NamedTuple):
    """Absolute folders of one stack: `conf` is rendered anew, `data` is what must survive, `run` may vanish.

    Only the stack's user may enter them. `elasticsearch` is apart: for a stack of root's it belongs to another user.
    """

    root: Path
    conf: Path
    data: Path
    log: Path
    run: Path
    elasticsearch: Path

    @classmethod
    def of(cls, settings: Settings) -> "Layout":
        """Folders of the stack these settings describe; nothing is created."""
        return cls.below(state_dir(settings))

    @classmethod
    def below(cls, root: Path) -> "Layout":
        """Folders of a stack whose state folder is `root`; nothing is created."""
        return cls(root, root / "conf", root / "data", root / "log", root / "run", root / "elasticsearch")

    @property
    def tmp(self) -> Path:
        """Scratch space of the servers."""
        return self.run / "tmp"

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of which the stack consists."""
        return (self.conf, self.data, self.log, self.run, self.elasticsearch)

    def create(self) -> None:
        """Make the folders that are missing."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (*self.folders, self.tmp):
            folder.mkdir(mode=PRIVATE, exist_ok=True)

    def require_current_state(self) -> None:
        """Refuse the state of another version; a new state gets this version.

        Raises:
            TerminalError: the data are of another version. Nothing is changed.
        """
        path = self.conf / STATE_VERSION_FILE
        is_new = not any(self.data.iterdir())
        stored = path.read_text(encoding="utf-8").strip() if path.exists() else STATE_VERSION if is_new else "1"
        if stored != STATE_VERSION:
            raise TerminalError(
                f"start failed: {self.root} has the state of another version, whose stored alerts and decisions have"
                " other names (CHANGELOG.md, Renamed)",
                "delete it with ./showroom down --volumes --yes, or start the version that wrote it",
            )
        write_text(path, f"{STATE_VERSION}\n", mode=0o600)

    def close(self) -> None:
        """Close the folders of an earlier version to other users; no process of that version may run."""
        for folder in self.folders:
            folder.chmod(PRIVATE)


@contextmanager
def private_files() -> Iterator[None]:
    """Let this process and its children create files and folders for their owner only."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file as a whole: a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.chmod(mode)
    draft.replace(path)
