"""The broker's id of the raw topic: it changes when the topic is recreated and offsets restart."""

import uuid

from confluent_kafka import KafkaException, TopicCollection

from include.clients.confluent_kafka import create_admin
from include.contracts import topics

REQUEST_TIMEOUT_S = 5.0


class RawTopic:
    """Requests the topic's id from the broker."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self._admin = create_admin(bootstrap, f"{name}-admin")

    def id(self) -> str:
        """Return the id as a UUID string. Raises KafkaException if the topic does not exist or Kafka is unavailable."""
        request = self._admin.describe_topics(TopicCollection([topics.RAW]), request_timeout=REQUEST_TIMEOUT_S)
        described = request[topics.RAW].result(timeout=REQUEST_TIMEOUT_S + 1)
        if described.topic_id is None:
            raise KafkaException(f"the broker returned no id of {topics.RAW}")
        high, low = described.topic_id.get_most_significant_bits(), described.topic_id.get_least_significant_bits()
        mask = (1 << 64) - 1
        return str(uuid.UUID(int=(high & mask) << 64 | low & mask))
