"""Create the topics of the contracts and correct the retention of existing ones."""

import logging

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError
from tenacity import wait_fixed

from include.clients.errors import with_retries
from include.clients.kafka import create_admin
from include.contracts.errors import NotReadyError, TerminalError
from include.contracts.settings import KafkaSettings
from include.contracts.topics import TOPICS

TIMEOUT_MS = 30_000
VISIBILITY_TIMEOUT_S = 30
RETENTION = "retention.ms"

_log = logging.getLogger("showroom.topics")


def ensure_topics(settings: KafkaSettings) -> list[str]:
    """Create missing topics and correct the retention of the others; return the names of the created topics.

    The number of partitions cannot change once a topic exists, because user keys map to partitions and the gate
    stores its state by partition.

    Raises:
        TerminalError: Kafka rejects a retention, or a topic has another number of partitions.
    """
    admin = create_admin(settings.bootstrap_servers, request_ms=TIMEOUT_MS)
    try:
        present = set(admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in present]
        for topic in missing:
            config = topic.config(settings.replication_factor)
            expected = NewTopic(topic.name, settings.partitions, settings.replication_factor, topic_configs=config)
            try:
                admin.create_topics([expected])
            except TopicAlreadyExistsError:
                continue
        partitions = with_retries(lambda: _partitions(admin), wait=wait_fixed(0.1), deadline_s=VISIBILITY_TIMEOUT_S)
        _require_partitions(partitions, settings)
        _correct_retention(admin)
        return [topic.name for topic in missing]
    finally:
        admin.close()


def _partitions(admin: KafkaAdminClient) -> dict[str, int]:
    """Return partitions by topic; retries, because a new topic becomes visible after its acknowledgement."""
    names = [topic.name for topic in TOPICS]
    described = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(names)}
    if invisible := [name for name in names if not described.get(name)]:
        raise NotReadyError(f"Kafka does not show {', '.join(invisible)}", "try again, or see ./showroom logs kafka")
    return described


def _correct_retention(admin: KafkaAdminClient) -> None:
    """Set the contract's retention on topics with another, because personal data must not outlive it."""
    expected = {topic.name: topic.config()[RETENTION] for topic in TOPICS if RETENTION in topic.config()}
    requests = [ConfigResource(ConfigResourceType.TOPIC, name, [RETENTION]) for name in expected]
    described = admin.describe_configs(requests, config_filter="all")["topic"]
    actual = {name: str(config[RETENTION]["value"]) for name, config in described.items()}
    incorrect = {name: retention for name, retention in expected.items() if actual[name] != retention}
    if not incorrect:
        return
    changes = [ConfigResource(ConfigResourceType.TOPIC, name, {RETENTION: value}) for name, value in incorrect.items()]
    for name, result in admin.alter_configs(changes)["topic"].items():
        if result != "OK":
            raise TerminalError(f"setting the retention of {name} failed: {result}", "set it as Kafka's administrator")
        _log.warning("%s: retention changed from %s ms to %s ms", name, actual[name], incorrect[name])


def _require_partitions(counts: dict[str, int], settings: KafkaSettings) -> None:
    incorrect = [f"{name} has {count}" for name, count in sorted(counts.items()) if count != settings.partitions]
    if incorrect:
        raise TerminalError(
            f"SHOWROOM_KAFKA_PARTITIONS is {settings.partitions}, but {', '.join(incorrect)} partitions",
            "set it to what the topics have, or empty the stack with ./showroom down --volumes --yes",
        )
