"""Who may do what in an Elasticsearch with security: Kibana's password and the stream's own key."""

import os
from pathlib import Path
from typing import Any, NamedTuple, Self

from elasticsearch import Elasticsearch

from include.contracts.documents import INDICES, index_pattern
from include.contracts.settings import Secret, Settings
from include.serving.client import errors

KEY_NAME = "stream"
KEY_FILE_MODE = 0o600
UNAUTHORIZED = 401

STREAM_ROLE: dict[str, Any] = {
    # It looks for the index templates before it writes.
    "cluster": ["monitor"],
    # It writes whole documents and lets the templates make the monthly indices; it reads and deletes nothing.
    "indices": [{"names": [index_pattern(alias) for alias in INDICES], "privileges": ["create_index", "index"]}],
}


class Logins(NamedTuple):
    """The superuser's password, the one Kibana shall have, and where the stream's key is kept."""

    elastic: Secret
    kibana_system: Secret
    stream_key_file: Path

    @classmethod
    def of(cls, *, elastic: str, kibana_system: str, stream_key_file: Path) -> Self:
        """From plain strings."""
        return cls(Secret(elastic), Secret(kibana_system), stream_key_file)


def ensure_access(client: Elasticsearch, settings: Settings, logins: Logins) -> bool:
    """Set Kibana's password and keep or make the stream's key; True when the key is new.

    `client` must be the superuser's. A key in the file that Elasticsearch no longer takes is replaced.
    """
    with errors("password of kibana_system"):
        client.security.change_password(username="kibana_system", password=logins.kibana_system.reveal())
    if _works(settings, logins.stream_key_file):
        return False
    with errors("key of the stream"):
        answer = client.security.create_api_key(name=KEY_NAME, role_descriptors={KEY_NAME: STREAM_ROLE})
    _keep(logins.stream_key_file, answer["encoded"])
    return True


def _works(settings: Settings, file: Path) -> bool:
    key = file.read_text().strip() if file.exists() else ""
    if not key:
        return False
    with Elasticsearch(settings.elasticsearch_url, api_key=key) as client, errors("test of the stream's key"):
        answer = client.options(ignore_status=UNAUTHORIZED).security.authenticate()
    return answer.meta.status != UNAUTHORIZED


def _keep(file: Path, key: str) -> None:
    """Replace the file as a whole; only its owner may read it."""
    draft = file.with_name(f".{file.name}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_FILE_MODE), "w") as opened:
        opened.write(f"{key}\n")
    draft.replace(file)
