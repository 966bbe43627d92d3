"""Password of Kibana and API keys of the stream and of Airflow, for an Elasticsearch with security."""

import os
from pathlib import Path
from typing import Any, NamedTuple, Self

from elasticsearch import Elasticsearch

from include.clients.elasticsearch import open_client, translate_errors
from include.contracts.index_documents import INDICES, NEIGHBOURS_ALIAS, PIPELINE, STREAM_INDICES, index_pattern
from include.contracts.setting import Secret
from include.contracts.settings import ElasticsearchSettings

KEY_FILE_MODE = 0o600
UNAUTHORIZED, NOT_FOUND = 401, 404
TEST_TIMEOUT_S = 10.0

STREAM_ROLE: dict[str, Any] = {
    # The sink checks the index templates before it writes.
    "cluster": ["monitor"],
    # The sink indexes whole documents; the templates create the monthly indices. It neither reads nor deletes.
    "indices": [{"names": [index_pattern(alias) for alias in STREAM_INDICES], "privileges": ["create_index", "index"]}],
}
AIRFLOW_ROLE: dict[str, Any] = {
    # Supervision reads the cluster health. Templates are put before a start of the stream and once a day.
    "cluster": ["monitor", "manage_index_templates"],
    # Pages and counts read through aliases, which need grants besides the indices. Maintenance adds aliases and
    # deletes old indices, which needs `manage`. Supervision writes events, the nightly batch writes neighbours.
    "indices": [
        {
            "names": [name for alias in INDICES for name in (alias, index_pattern(alias))],
            "privileges": ["read", "manage"],
        },
        {"names": [PIPELINE, index_pattern(PIPELINE)], "privileges": ["write"]},
        {"names": [NEIGHBOURS_ALIAS, f"{NEIGHBOURS_ALIAS}-*"], "privileges": ["read", "write", "manage"]},
    ],
    # Airflow imports the dashboards into Kibana once a day.
    "applications": [{"application": "kibana-.kibana", "privileges": ["space_all"], "resources": ["space:default"]}],
}
ROLES: dict[str, dict[str, Any]] = {"stream": STREAM_ROLE, "airflow": AIRFLOW_ROLE}
"""Role of each API key, by the key's name."""


class Logins(NamedTuple):
    """Passwords of the superuser and of Kibana, and the file of each API key by the names of `ROLES`."""

    elastic: Secret
    kibana_system: Secret
    key_files: dict[str, Path]

    @classmethod
    def from_strings(cls, *, elastic: str, kibana_system: str, stream_key_file: Path, airflow_key_file: Path) -> Self:
        """Create logins from plain strings."""
        return cls(Secret(elastic), Secret(kibana_system), {"stream": stream_key_file, "airflow": airflow_key_file})


def ensure_access(client: Elasticsearch, settings: ElasticsearchSettings, logins: Logins) -> list[str]:
    """Set Kibana's password and ensure the API keys; return the names of the created keys.

    A valid key gets the role of this version. An invalid or missing key is replaced, and all other keys of its name
    are invalidated.

    Args:
        client: A client with the superuser's login.
        settings: URL of Elasticsearch.
        logins: Kibana's password and the key files.

    Raises:
        TransientError: Elasticsearch is unavailable.
        TerminalError: Elasticsearch rejects the login or a request.
    """
    with translate_errors("password of kibana_system"):
        client.security.change_password(username="kibana_system", password=logins.kibana_system.reveal())
    created = []
    for name, file in logins.key_files.items():
        existing = _find_key_id(settings, name, file)
        if existing:
            with translate_errors(f"rights of {name}"):
                client.security.update_api_key(id=existing, role_descriptors={name: ROLES[name]})
            continue
        with translate_errors(f"key of {name}"):
            # Invalidate before creating, so that a crash in between leaves no valid key without a file.
            client.options(ignore_status=NOT_FOUND).security.invalidate_api_key(name=name)
            response = client.security.create_api_key(name=name, role_descriptors={name: ROLES[name]})
        _write_key(file, response["encoded"])
        created.append(name)
    return created


def _find_key_id(settings: ElasticsearchSettings, name: str, file: Path) -> str:
    """Return the id of the key in a file; empty if there is none or Elasticsearch rejects it."""
    key = file.read_text().strip() if file.exists() else ""
    if not key:
        return ""
    with (
        open_client(settings.url, api_key=key, timeout_s=TEST_TIMEOUT_S, max_retries=3) as client,
        translate_errors(f"test of the key of {name}"),
    ):
        response = client.options(ignore_status=UNAUTHORIZED).security.authenticate()
    return "" if response.meta.status == UNAUTHORIZED else str(response["api_key"]["id"])


def _write_key(file: Path, key: str) -> None:
    """Replace the file atomically; only its owner may read it."""
    draft = file.with_name(f".{file.name}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_FILE_MODE), "w") as opened:
        opened.write(f"{key}\n")
    draft.replace(file)
