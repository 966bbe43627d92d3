"""The supervisor's archive probe returns the watermarks of the archive, on the MongoDB stand-in."""

import time

import pytest
from pymongo.database import Database
from pymongo.errors import PyMongoError

from include.archive import watermark
from include.clients.mongodb import Document
from include.contracts.setting import Secret
from include.contracts.settings import Settings
from include.contracts.topics import VALID
from include.supervise.archive_probe import TIMEOUT_MS, probe_archive
from include.supervise.observation import ArchiveState

SLACK_S = 5.0


def test_probe_of_an_archive_that_never_ran_has_no_offsets(own: Settings, empty: Database[Document]) -> None:
    assert probe_archive(own) == ArchiveState(offsets={}, written_at=None)


def test_probe_returns_the_watermarks(own: Settings, empty: Database[Document]) -> None:
    watermark.advance(empty, VALID, "topic", {0: 12, 1: 7})
    seen = probe_archive(own)
    assert seen.offsets == {0: 12, 1: 7}
    assert seen.written_at == pytest.approx(time.time(), abs=60)


def test_probe_without_mongodb_ends_in_time(own: Settings) -> None:
    began = time.monotonic()
    with pytest.raises(PyMongoError):
        probe_archive(own.replace(mongodb={"url": Secret("mongodb://127.0.0.1:1")}))
    assert time.monotonic() - began < TIMEOUT_MS / 1_000 + SLACK_S
