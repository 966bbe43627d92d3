"""The way this platform leaves behind: one HTTP POST a document, a new connection and a random id each."""

import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import msgspec

from include.contracts.settings import Settings

INDEX = "one-by-one"
TIMEOUT_S = 30.0


def one_by_one(settings: Settings, documents: list[dict[str, object]], seconds: float) -> float:
    """Documents a second, posted one after the other for some seconds."""
    location = urlsplit(settings.elasticsearch.url)
    bodies = [msgspec.json.encode(document) for document in documents]
    began, sent = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        connection = HTTPConnection(location.hostname or "", location.port or 0, timeout=TIMEOUT_S)
        connection.request("POST", f"/{INDEX}/_doc", bodies[sent % len(bodies)], {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status != 201:  # noqa: PLR2004 - created
            raise RuntimeError(f"Elasticsearch answered {response.status}")
        sent += 1
    return sent / (time.monotonic() - began)
