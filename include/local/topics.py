"""The topics of the platform: created as contracts say, never changed silently."""

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from include.contracts.errors import NotReadyError, TerminalError, TransientError
from include.contracts.settings import Settings
from include.contracts.topics import TOPICS

TIMEOUT_MS = 30_000
VISIBLE_S = 30


def ensure_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing; returns their names.

    Raises TerminalError when a topic has another number of partitions: users are keyed to partitions, and
    the gate's state lies by partition, so the number is fixed once the topic exists.
    """
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, request_timeout_ms=TIMEOUT_MS)
    try:
        present = set(admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in present]
        for topic in missing:
            config = topic.config(settings.replication)
            wanted = NewTopic(topic.name, settings.partitions, settings.replication, topic_configs=config)
            try:
                admin.create_topics([wanted])
            except TopicAlreadyExistsError:
                continue
        _require_partitions(_partitions(admin), settings)
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


def _require_partitions(counts: dict[str, int], settings: Settings) -> None:
    wrong = [f"{name} has {count}" for name, count in sorted(counts.items()) if count != settings.partitions]
    if wrong:
        raise TerminalError(
            f"SHOWROOM_PARTITIONS is {settings.partitions}, but {', '.join(wrong)} partitions",
            "set it to what the topics have, or empty the stack with ./showroom down --purge --yes",
        )
