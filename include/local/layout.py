"""The folders of one stack below its state folder."""

import os
from pathlib import Path
from typing import NamedTuple

from include.contracts.settings import Settings
from include.local.project import state_dir


class Layout(NamedTuple):
    """Absolute folders of one stack: `conf` is rendered anew, `data` is what must survive, `run` may vanish."""

    root: Path
    conf: Path
    data: Path
    log: Path
    run: Path

    @classmethod
    def of(cls, settings: Settings) -> "Layout":
        """Folders of the stack these settings describe; nothing is created."""
        root = state_dir(settings)
        return cls(root, root / "conf", root / "data", root / "log", root / "run")

    @property
    def tmp(self) -> Path:
        """Scratch space of the servers."""
        return self.run / "tmp"

    def create(self) -> None:
        """Make the folders; only the owner may read `conf`, which holds secrets."""
        for folder in (self.root, self.data, self.log, self.run, self.tmp):
            folder.mkdir(parents=True, exist_ok=True)
        self.conf.mkdir(mode=0o711, exist_ok=True)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file as a whole: a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.chmod(mode)
    draft.replace(path)
