"""Lag of the archive on real servers, by partition, within its timeout."""

import time

import pytest
from pymongo.database import Database

from include.archive.consume import load
from include.archive.lag import partition_lag
from include.clients.mongodb import Document
from include.contracts.collections import WATERMARKS
from include.contracts.errors import TerminalError, TransientError
from include.contracts.setting import Secret
from include.contracts.settings import Settings
from local.stack import Stack
from tests.valid_topic import put, sessions


def test_partition_lag_after_new_sessions_counts_them_and_is_zero_after_a_load(
    own: Settings, archive: Database[Document]
) -> None:
    assert partition_lag(own) == {0: 0, 1: 0}
    put(own, sessions(30))
    put(own, sessions(10), commit=False)

    lag = partition_lag(own)

    assert lag.keys() == {0, 1}
    assert all(15 <= waiting <= 15 + 8 for waiting in lag.values()), lag
    load(own, archive)
    assert partition_lag(own) == {0: 0, 1: 0}


def test_partition_lag_of_an_archive_without_watermarks_is_everything_that_exists(
    own: Settings, empty: Database[Document]
) -> None:
    put(own, sessions(4))
    assert empty[WATERMARKS].count_documents({}) == 0
    assert all(waiting >= 2 for waiting in partition_lag(own).values())


def test_partition_lag_of_another_topic_raises_terminal_error(own: Settings, archive: Database[Document]) -> None:
    archive[WATERMARKS].update_many({}, {"$set": {"topic_id": "another"}})
    with pytest.raises(TerminalError, match="of an earlier topic"):
        partition_lag(own)


@pytest.mark.parametrize("missing", ["kafka", "mongodb"])
def test_partition_lag_without_a_server_raises_transient_error(
    archive_stack: Stack, own: Settings, missing: str
) -> None:
    unavailable = (
        own.replace(kafka={"bootstrap_servers": "127.0.0.1:9"})
        if missing == "kafka"
        else own.replace(mongodb={"url": Secret("mongodb://127.0.0.1:9")})
    )
    began = time.monotonic()
    with pytest.raises(TransientError, match="is unavailable"):
        partition_lag(unavailable, timeout_s=1.0)
    assert time.monotonic() - began < 10
