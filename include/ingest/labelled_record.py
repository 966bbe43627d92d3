"""A record for `sessions.raw` with its expected verdict, and the partition of a key."""

from datetime import datetime
from functools import lru_cache
from typing import Literal

from kafka.partitioner.default import murmur2
from msgspec import Struct

from include.contracts.reject_reasons import Reason
from include.ingest.plan import Fault

VALID: Literal["valid"] = "valid"
Verdict = Reason | Literal["valid"]
MAX_CACHED_KEYS = 200_000


class LabelledRecord(Struct, frozen=True, kw_only=True, gc=False):
    """A record in the order of arrival. `verdict` is the expected verdict of the gate, `fault` the injected fault.

    `session_id` is the visit's own, even if the value is too malformed to contain it.
    """

    key: bytes | None
    value: bytes
    arrives_at: datetime
    session_id: str
    verdict: Verdict
    fault: Fault | None = None


@lru_cache(maxsize=MAX_CACHED_KEYS)
def partition_of(key: bytes | None, partitions: int) -> int:
    """Return the partition of a key: murmur2 as in every Kafka client; records without a key go to partition 0."""
    if key is None:
        return 0
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
