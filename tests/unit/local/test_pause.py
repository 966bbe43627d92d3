"""The signals during a demo: an ignored signal stays ignored, the others end the demo."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contracts.settings import LocalSettings, Settings
from local.demo import pause as demo_pause


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The handlers as they were before the test."""
    handlers = {number: signal.getsignal(number) for number in demo_pause.SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", demo_pause.SIGNALS)
def test_unpause_on_exit_keeps_ignored_signal_ignored(tmp_path: Path, number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with demo_pause.unpause_on_exit(Settings(local=LocalSettings(state_dir=tmp_path)), print):
        signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize("number", demo_pause.SIGNALS)
def test_unpause_on_exit_restores_signal_handler(tmp_path: Path, number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    with (
        pytest.raises(SystemExit),
        demo_pause.unpause_on_exit(Settings(local=LocalSettings(state_dir=tmp_path)), print),
    ):
        signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL
