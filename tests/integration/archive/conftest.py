"""Kafka and the MongoDB stand-in; tests may crash them. Each test has its own database and watermarks."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo.database import Database

from include.archive import store, watermark
from include.archive.source import Source, describe
from include.clients.mongodb import Client, Document
from include.contracts.settings import ArchiveSettings, KafkaSettings, LocalSettings, Settings
from include.contracts.topics import VALID
from local.stack import ARCHIVE, Stack
from tests.locking import turn

OFFSET = 1_400


@pytest.fixture(scope="package")
def archive_stack() -> Iterator[Stack]:
    settings = Settings(
        local=LocalSettings(state_dir=Path(".showroom/test-archive"), port_offset=OFFSET),
        kafka=KafkaSettings(partitions=2),
        archive=ArchiveSettings(batch_size=50),
    )
    stack = Stack(settings)
    with turn(settings):
        stack.purge()
        try:
            stack.up(("kafka", *ARCHIVE))
            yield stack
        finally:
            stack.down()


@pytest.fixture
def own(archive_stack: Stack) -> Settings:
    """Return settings with a database of this test only."""
    return archive_stack.settings.replace(mongodb={"database": f"test-{uuid.uuid4().hex[:12]}"})


@pytest.fixture
def client(archive_stack: Stack) -> Iterator[Client]:
    archive_stack.wait(ARCHIVE)
    with store.connect(archive_stack.settings.mongodb) as opened:
        yield opened


@pytest.fixture
def empty(own: Settings, client: Client) -> Iterator[Database[Document]]:
    """Return a database without watermarks."""
    database = store.database(client, own.mongodb)
    store.ensure_indexes(database)
    yield database
    client.drop_database(database.name)


@pytest.fixture
def archive(own: Settings, empty: Database[Document]) -> Database[Document]:
    """Return a database with watermarks at the current ends of the topic."""
    topic = describe(own.kafka, VALID)
    with Source(own, VALID, range(topic.partitions)) as source:
        watermark.advance(empty, VALID, topic.topic_id, source.ends())
    return empty
