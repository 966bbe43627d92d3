"""A progress bar on terminals."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SHOW_AFTER_S = 2.0


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback (sent, acknowledged) for `publisher.publish`.

    The bar appears on standard error if that is a terminal, after two seconds.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
    task = bar.add_task(label, total=total)
    begun = time.monotonic()

    def update(_: int, acknowledged: int) -> None:
        if console.is_terminal and not bar.live.is_started and time.monotonic() - begun > SHOW_AFTER_S:
            bar.start()
        bar.update(task, completed=acknowledged)

    try:
        yield update
    finally:
        if bar.live.is_started:
            bar.stop()
