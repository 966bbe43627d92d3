"""Baseline of the live bench: one HTTP POST for each document, with a new connection and a random id."""

import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import msgspec

from include.contracts.settings import ElasticsearchSettings

INDEX = "one-by-one"
TIMEOUT_S = 30.0


def index_one_by_one(settings: ElasticsearchSettings, documents: list[dict[str, object]], duration_s: float) -> float:
    """Post documents sequentially for `duration_s` seconds; return documents a second."""
    address = urlsplit(settings.url)
    bodies = [msgspec.json.encode(document) for document in documents]
    began, sent = time.monotonic(), 0
    while time.monotonic() - began < duration_s:
        connection = HTTPConnection(address.hostname or "", address.port or 0, timeout=TIMEOUT_S)
        connection.request("POST", f"/{INDEX}/_doc", bodies[sent % len(bodies)], {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status != 201:  # noqa: PLR2004 - created
            raise RuntimeError(f"index request failed: Elasticsearch returned {response.status}")
        sent += 1
    return sent / (time.monotonic() - began)
