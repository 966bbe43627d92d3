"""Health of the gate's containers: ends 0 while some partition was looked at within the last half minute."""

import os
import sys
import time

from include.clients.redis import connect
from include.contracts import redis_keys
from include.contracts.settings import Settings

MAX_AGE_S = 30.0
TIMEOUT_S = 3.0


def main() -> str | None:
    """None when well, else what is wrong.

    The youngest heartbeat counts: a process under load looks at an idle partition less often.
    """
    settings = Settings.from_env(os.environ)
    url = settings.redis.url.reveal()
    with connect(url, timeout_s=TIMEOUT_S) as client:
        beats = client.mget([redis_keys.heartbeat(partition) for partition in range(settings.kafka.partitions)])
    ages = [time.time() - float(beat) / 1_000 for beat in beats if beat is not None]
    if ages and min(ages) < MAX_AGE_S:
        return None
    return f"the youngest heartbeat is {min(ages):.0f} s old" if ages else "no heartbeat yet"


if __name__ == "__main__":
    sys.exit(main())
