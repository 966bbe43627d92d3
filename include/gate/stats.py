"""Statistics of the gate's state: counts by verdict, users, claims, heartbeats. Reads only, one round trip."""

import time
from collections import Counter
from dataclasses import dataclass

import redis

from include.contracts import redis_keys
from include.contracts.health import heartbeat_ages
from include.contracts.settings import Settings


@dataclass(frozen=True)
class GateStats:
    """State of the gate over all partitions.

    `verdicts`: records by `valid` or reason. `users_unique`: HyperLogLog estimate, `bloom_items`: items of
    the Bloom filters, both of admitted users. `claims`: entries of the duplicate window;
    `claims_bytes`: their size with that of their filters.
    `heartbeat_age_s`: by partition, None without any heartbeat.
    """

    verdicts: dict[str, int]
    users_unique: int
    bloom_items: int
    bloom_bytes: int
    claims: int
    claims_bytes: int
    heartbeat_age_s: dict[int, float | None]

    @property
    def max_heartbeat_age_s(self) -> float:
        """Age of the oldest heartbeat; infinite if a partition has none."""
        ages = [float("inf") if age is None else age for age in self.heartbeat_age_s.values()]
        return max(ages, default=float("inf"))


def read_stats(client: "redis.Redis", settings: Settings, now: float | None = None) -> GateStats:
    """Return the gate's state at `now` (Unix s). Raises redis' own connection errors."""
    now = time.time() if now is None else now
    window_ms, sub_ms = (
        settings.gate.duplicate_window_s * 1000,
        redis_keys.sub_window_ms(settings.gate.duplicate_window_s),
    )
    now_ms = int(now * 1000)
    sub_windows = range((now_ms - window_ms) // sub_ms, now_ms // sub_ms + 1)
    windows = range(now_ms // window_ms - 1, now_ms // window_ms + 1)
    partitions = range(settings.kafka.partitions)
    with client.pipeline(transaction=False) as pipe:
        for partition in partitions:
            pipe.hgetall(redis_keys.counts(partition))
            pipe.pfcount(redis_keys.users_unique(partition))
            pipe.bf().info(redis_keys.bloom_items(partition))
            pipe.get(redis_keys.heartbeat(partition))
            for sub_window in sub_windows:
                pipe.hlen(redis_keys.seen(partition, sub_window))
            for sub_window in sub_windows:
                pipe.memory_usage(redis_keys.seen(partition, sub_window), samples=100)
            for window in windows:
                pipe.memory_usage(redis_keys.seen_filter(partition, window))
        responses = pipe.execute(raise_on_error=False)
    width = len(responses) // settings.kafka.partitions
    rows = [responses[start : start + width] for start in range(0, len(responses), width)]
    for row in rows:
        for response in row:
            if isinstance(response, redis.ConnectionError | redis.TimeoutError):
                raise response
    sizes = 4 + len(sub_windows)
    blooms = [_bloom(row[2]) for row in rows]
    verdicts: Counter[str] = Counter()
    for row in rows:
        verdicts.update(
            {name.decode(): int(count) for name, count in row[0].items() if name not in redis_keys.BOOKKEEPING}
        )
    return GateStats(
        verdicts=dict(verdicts),
        users_unique=sum(int(row[1]) for row in rows),
        bloom_items=sum(items for items, _ in blooms),
        bloom_bytes=sum(size for _, size in blooms),
        claims=sum(int(count) for row in rows for count in row[4:sizes]),
        claims_bytes=sum(int(size or 0) for row in rows for size in row[sizes:]),
        heartbeat_age_s=heartbeat_ages([row[3] for row in rows], now),
    )


def _bloom(info: object) -> tuple[int, int]:
    """Return items and bytes in BF.INFO, whose shape depends on the client's protocol; (0, 0) without a filter."""
    if isinstance(info, Exception) or info is None:
        return 0, 0
    if isinstance(info, dict):
        named = {_text(name): value for name, value in info.items()}
    elif isinstance(info, list):
        named = dict(zip(map(_text, info[::2]), info[1::2], strict=True))
    else:
        named = vars(info)
    items = named.get("Number of items inserted", named.get("insertedNum", 0))
    return int(items), int(named.get("Size", named.get("size", 0)))


def _text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
