"""The local stack on real servers: start, crash of all programs, and stop without leftovers."""

import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from elasticsearch import Elasticsearch
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from include.contracts.errors import NotReadyError, PortTakenError, TerminalError
from include.contracts.settings import LOOPBACK, KafkaSettings, LocalSettings, Settings
from include.contracts.topics import DAY_MS, RAW, REJECTED
from include.provision.topics import ensure_topics
from local import processes
from local.ports import is_free
from local.stack import SERVERS, Stack
from tests.locking import turn
from tests.polling import eventually

OFFSET = 1_100
STORES = ("kafka", "redis", "elasticsearch")
INDEX = "crash-test"


@pytest.fixture(scope="module")
def own_settings() -> Settings:
    """A separate stack that these tests may crash."""
    return Settings(
        local=LocalSettings(state_dir=Path(".showroom/test-crash"), port_offset=OFFSET),
        kafka=KafkaSettings(partitions=2),
    )


@pytest.fixture(scope="module")
def crashed(own_settings: Settings) -> Iterator[Stack]:
    """The running stack of this module; its tests depend on their order."""
    stack = Stack(own_settings)
    with turn(own_settings):
        stack.purge()
        try:
            stack.up(STORES)
            yield stack
        finally:
            stack.down()


def put(settings: Settings, value: str) -> None:
    """Write one value to each store, with its acknowledgement."""
    with redis.Redis.from_url(settings.redis.url.reveal()) as client:
        client.set("crash", value)
        client.execute_command("BF.ADD", "bloom", value)
    producer = KafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
    producer.send(RAW, key=b"crash", value=value.encode(), partition=0).get(timeout=30)
    producer.close()
    with Elasticsearch(settings.elasticsearch.url) as client:
        client.index(index=INDEX, id="crash", document={"value": value})


def newest_in_kafka(settings: Settings) -> str:
    """Return the last value of partition 0."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers)
    try:
        topic_partition = TopicPartition(RAW, 0)
        consumer.assign([topic_partition])
        consumer.seek(topic_partition, consumer.end_offsets([topic_partition])[topic_partition] - 1)
        records = eventually(lambda: consumer.poll(timeout_ms=500).get(topic_partition))
        return str(records[0].value.decode())
    finally:
        consumer.close()


def require_stored(settings: Settings, value: str) -> None:
    """Assert that each store has the value."""
    with redis.Redis.from_url(settings.redis.url.reveal(), decode_responses=True) as client:
        assert client.get("crash") == value
        assert client.execute_command("BF.EXISTS", "bloom", value) == 1
    assert newest_in_kafka(settings) == value
    with Elasticsearch(settings.elasticsearch.url) as client:
        eventually(lambda: client.get(index=INDEX, id="crash")["_source"] == {"value": value})


def ports_of(stack: Stack) -> list[int]:
    return list(stack.settings.local.ports)


def test_status_shows_every_server_with_pid_and_address(stack: Stack) -> None:
    messages = {status.name: status for status in stack.status()}

    assert [name for name in SERVERS if messages[name].state != "RUNNING"] == []
    for name in SERVERS:
        assert psutil.pid_exists(messages[name].pid or 0)
        assert (messages[name].uptime_s or 0) > 0
    assert messages["kafka"].address == stack.settings.kafka.bootstrap_servers


def test_elasticsearch_does_not_run_as_root(stack: Stack) -> None:
    owners = {psutil.Process(pid).uids().real for pid in stack.pids("elasticsearch")}

    assert owners
    assert 0 not in owners


def test_ports_listen_on_loopback_only(stack: Stack) -> None:
    ours = {pid for name in SERVERS for pid in stack.pids(name)}
    listening = [result for result in psutil.net_connections("inet") if result.status == psutil.CONN_LISTEN]
    addresses = {result.laddr.ip.removeprefix("::ffff:") for result in listening if result.laddr and result.pid in ours}

    assert addresses == {LOOPBACK}


def test_topics_match_the_contract_and_are_created_once(crashed: Stack) -> None:
    assert ensure_topics(crashed.settings.kafka) == []

    with pytest.raises(TerminalError, match=r"SHOWROOM_KAFKA_PARTITIONS is 3, but .*sessions\.raw has 2"):
        ensure_topics(crashed.settings.replace(kafka={"partitions": 3}).kafka)


def test_ensure_topics_existing_topic_gets_the_retention_of_the_contract(crashed: Stack) -> None:
    admin = KafkaAdminClient(bootstrap_servers=crashed.settings.kafka.bootstrap_servers)
    topic = ConfigResource(ConfigResourceType.TOPIC, REJECTED, {"retention.ms": str(7 * DAY_MS)})

    def retention_ms() -> int:
        return int(admin.describe_configs([topic], config_filter="all")["topic"][REJECTED]["retention.ms"]["value"])

    try:
        admin.alter_configs([topic])
        eventually(lambda: retention_ms() == 7 * DAY_MS)

        assert ensure_topics(crashed.settings.kafka) == []

        eventually(lambda: retention_ms() == 3 * DAY_MS)
    finally:
        admin.close()


def test_second_up_does_not_restart_running_servers(crashed: Stack) -> None:
    before = {name: crashed.pid(name) for name in STORES}

    crashed.up(STORES)

    assert {name: crashed.pid(name) for name in STORES} == before


def test_killed_server_is_restarted(crashed: Stack) -> None:
    before = crashed.pid("redis")

    crashed.kill("redis")

    eventually(lambda: crashed.pid("redis") != before)
    crashed.wait(["redis"])


def test_after_a_crash_of_everything_up_recovers_with_all_data(crashed: Stack) -> None:
    value = uuid.uuid4().hex
    put(crashed.settings, value)
    everything = processes.find_processes(crashed.layout)
    assert len(everything) > len(STORES)

    processes.kill(everything)
    assert {status.state for status in crashed.status()} == {"STOPPED"}
    crashed.up(STORES)

    require_stored(crashed.settings, value)


def test_orphans_are_reported_and_then_replaced(crashed: Stack) -> None:
    value = uuid.uuid4().hex
    put(crashed.settings, value)
    supervisor = psutil.Process(crashed.pid("kafka")).parent()
    assert supervisor is not None
    before = {name: crashed.pid(name) for name in STORES}

    processes.kill([supervisor])
    messages = {status.name: status for status in crashed.status()}
    assert {name: messages[name].state for name in STORES} == dict.fromkeys(STORES, "ORPHAN")
    assert {name: messages[name].pid for name in STORES} == before
    crashed.up(STORES)

    assert not any(psutil.pid_exists(pid) for pid in before.values())
    require_stored(crashed.settings, value)


def test_down_leaves_nothing_even_without_a_supervisor(crashed: Stack) -> None:
    supervisor = psutil.Process(crashed.pid("kafka")).parent()
    assert supervisor is not None
    processes.kill([supervisor])

    crashed.down()

    assert processes.find_processes(crashed.layout) == []
    assert [port for port in ports_of(crashed) if not is_free(port)] == []


@pytest.fixture
def small() -> Iterator[Stack]:
    """A stack with only Redis, in an empty state folder."""
    stack = Stack(Settings(local=LocalSettings(state_dir=Path(".showroom/test-small"), port_offset=OFFSET + 100)))
    with turn(stack.settings):
        stack.purge()
        try:
            yield stack
        finally:
            stack.purge()


def test_down_leaves_nothing(small: Stack) -> None:
    small.up(["redis"])
    assert processes.find_processes(small.layout)

    small.down()

    assert processes.find_processes(small.layout) == []
    assert is_free(small.settings.local.ports.redis)


def test_elasticsearch_runs_below_a_private_folder(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("closed")
    folder.chmod(0o700)
    stack = Stack(Settings(local=LocalSettings(state_dir=folder / "s", port_offset=OFFSET + 200)))
    try:
        stack.up(["elasticsearch"])
    finally:
        stack.purge()


def test_used_port_error_has_server_owner_and_remedy(small: Stack) -> None:
    port = small.settings.local.ports.redis
    with socket.create_server((LOOPBACK, port)), pytest.raises(PortTakenError) as caught:
        small.up(["redis"])

    line = str(caught.value)
    assert f"port {port} of Redis is taken by" in line
    assert f"pid {os.getpid()}" in line
    assert "SHOWROOM_LOCAL_PORT_OFFSET" in line
    assert "\n" not in line


def test_failed_start_error_has_the_last_log_line(small: Stack) -> None:
    small.layout.create()
    small.layout.require_current_state()
    log = small.layout.data / "redis" / "appendonlydir" / "appendonly.aof.manifest"
    log.parent.mkdir(parents=True)
    log.write_text("not a manifest\n")

    with pytest.raises(NotReadyError, match=r"Redis is not ready: .*; its log says: .*(?i:manifest)"):
        small.up(["redis"], deadline_s=5)
