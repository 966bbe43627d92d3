"""The topics of the platform: created as contracts say; an existing topic gets the contract's retention."""

import logging

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from include.contracts.errors import NotReadyError, TerminalError, TransientError
from include.contracts.settings import Settings
from include.contracts.topics import TOPICS

TIMEOUT_MS = 30_000
VISIBLE_S = 30
RETENTION = "retention.ms"

_log = logging.getLogger("showroom.topics")


def ensure_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing and correct the retention of the others; returns the names of the new ones.

    Raises TerminalError when Kafka refuses a retention, and when a topic has another number of partitions: users
    are keyed to partitions, and the gate's state lies by partition, so the number is fixed once the topic exists.
    """
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers, request_timeout_ms=TIMEOUT_MS)
    try:
        present = set(admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in present]
        for topic in missing:
            config = topic.config(settings.kafka.replication_factor)
            expected = NewTopic(
                topic.name, settings.kafka.partitions, settings.kafka.replication_factor, topic_configs=config
            )
            try:
                admin.create_topics([expected])
            except TopicAlreadyExistsError:
                continue
        _require_partitions(_partitions(admin), settings)
        _correct_retention(admin)
        return [topic.name for topic in missing]
    finally:
        admin.close()


@retry(
    retry=retry_if_exception_type(TransientError), stop=stop_after_delay(VISIBLE_S), wait=wait_fixed(0.1), reraise=True
)
def _partitions(admin: KafkaAdminClient) -> dict[str, int]:
    """Partitions by topic. A broker learns of a new topic a moment after its creation was acknowledged."""
    names = [topic.name for topic in TOPICS]
    described = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(names)}
    if hidden := [name for name in names if not described.get(name)]:
        raise NotReadyError(f"Kafka does not show {', '.join(hidden)}", "try again, or see ./showroom logs kafka")
    return described


def _correct_retention(admin: KafkaAdminClient) -> None:
    """Set the contract's retention where a topic has another: personal data must not outlive it."""
    expected = {topic.name: topic.config()[RETENTION] for topic in TOPICS if RETENTION in topic.config()}
    requests = [ConfigResource(ConfigResourceType.TOPIC, name, [RETENTION]) for name in expected]
    described = admin.describe_configs(requests, config_filter="all")["topic"]
    actual = {name: str(config[RETENTION]["value"]) for name, config in described.items()}
    wrong = {name: retention for name, retention in expected.items() if actual[name] != retention}
    if not wrong:
        return
    changes = [ConfigResource(ConfigResourceType.TOPIC, name, {RETENTION: value}) for name, value in wrong.items()]
    for name, result in admin.alter_configs(changes)["topic"].items():
        if result != "OK":
            raise TerminalError(f"setting the retention of {name} failed: {result}", "set it as Kafka's administrator")
        _log.warning("%s: retention changed from %s ms to %s ms", name, actual[name], wrong[name])


def _require_partitions(counts: dict[str, int], settings: Settings) -> None:
    wrong = [f"{name} has {count}" for name, count in sorted(counts.items()) if count != settings.kafka.partitions]
    if wrong:
        raise TerminalError(
            f"SHOWROOM_KAFKA_PARTITIONS is {settings.kafka.partitions}, but {', '.join(wrong)} partitions",
            "set it to what the topics have, or empty the stack with ./showroom down --volumes --yes",
        )
