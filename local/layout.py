"""The folders of one stack below its state folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from include.contracts.errors import TerminalError
from include.contracts.settings import LocalSettings
from local.project import state_dir

STATE_VERSION = "2"
"""Version of the stored state, increased when stored records are renamed. Version 1 has no file."""
STATE_VERSION_FILE = "state-version"
PRIVATE = 0o700
"""Mode of a folder that only its owner may enter."""


class Layout(NamedTuple):
    """Absolute folders of one stack. Only the stack's user may enter them.

    Attributes:
        root: State folder.
        conf: Rendered configuration.
        data: Persistent data.
        log: Logs.
        run: Temporary files and sockets.
        elasticsearch: Elasticsearch's folder, which belongs to another user if root runs the stack.
    """

    root: Path
    conf: Path
    data: Path
    log: Path
    run: Path
    elasticsearch: Path

    @classmethod
    def of(cls, settings: LocalSettings) -> "Layout":
        """Return the folders of the stack of these settings without creating them."""
        return cls.below(state_dir(settings))

    @classmethod
    def below(cls, root: Path) -> "Layout":
        """Return the folders of a stack whose state folder is `root` without creating them."""
        return cls(root, root / "conf", root / "data", root / "log", root / "run", root / "elasticsearch")

    @property
    def tmp(self) -> Path:
        """Folder of the servers' temporary files."""
        return self.run / "tmp"

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders of the stack below its root."""
        return (self.conf, self.data, self.log, self.run, self.elasticsearch)

    def create(self) -> None:
        """Create the missing folders."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (*self.folders, self.tmp):
            folder.mkdir(mode=PRIVATE, exist_ok=True)

    def require_current_state(self) -> None:
        """Check the version of the state, and write it to a new state.

        Raises:
            TerminalError: The state has another version. It is not changed.
        """
        path = self.conf / STATE_VERSION_FILE
        is_new = not any(self.data.iterdir())
        stored = path.read_text(encoding="utf-8").strip() if path.exists() else STATE_VERSION if is_new else "1"
        if stored != STATE_VERSION:
            raise TerminalError(
                f"start failed: {self.root} has the state of another version, whose stored alerts and decisions have"
                " other names (CHANGELOG.md, Renamed)",
                "start the version that wrote it, or delete it, archive and privacy ledger too, with"
                " ./showroom down --volumes --yes",
            )
        write_text(path, f"{STATE_VERSION}\n", mode=0o600)

    def close(self) -> None:
        """Remove the access of other users to folders of an earlier version. No process of that version may run."""
        for folder in self.folders:
            folder.chmod(PRIVATE)


@contextmanager
def private_files() -> Iterator[None]:
    """Set a umask so that this process and its children create files and folders for their owner only."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file atomically: a reader gets the old or the new text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.chmod(mode)
    draft.replace(path)
