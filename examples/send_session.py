"""Send one session to Showroom. Usage: python send_session.py [session.json]."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from kafka import KafkaProducer

path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("session.json"))
session = json.loads(path.read_text(encoding="utf-8"))
session["started_at"] = datetime.now(UTC).isoformat()

producer = KafkaProducer(bootstrap_servers=os.environ.get("KAFKA", "127.0.0.1:19000"), acks="all")
future = producer.send(
    "sessions.raw",
    key=session["user_id"].encode(),
    value=json.dumps(session).encode(),
)
stored = future.get(timeout=10)
print(f"stored in partition {stored.partition} at offset {stored.offset}")
producer.close()
