"""Who may do what in an Elasticsearch with security: Kibana's password, and a key each for the stream and Airflow."""

import os
from pathlib import Path
from typing import Any, NamedTuple, Self

from elasticsearch import Elasticsearch

from include.contracts.index_documents import INDICES, NEIGHBOURS_ALIAS, PIPELINE, STREAM_INDICES, index_pattern
from include.contracts.setting import Secret
from include.contracts.settings import Settings
from include.serving.client import errors

KEY_FILE_MODE = 0o600
UNAUTHORIZED, NOT_FOUND = 401, 404

STREAM_ROLE: dict[str, Any] = {
    # It looks for the index templates before it writes.
    "cluster": ["monitor"],
    # It writes whole documents and lets the templates make the monthly indices; it reads and deletes nothing.
    "indices": [{"names": [index_pattern(alias) for alias in STREAM_INDICES], "privileges": ["create_index", "index"]}],
}
AIRFLOW_ROLE: dict[str, Any] = {
    # Supervision asks for the health; before a start of the stream and once a day the templates are put.
    "cluster": ["monitor", "manage_index_templates"],
    # Pages and counts ask the aliases, to be granted beside the indices; upkeep gives aliases and deletes old
    # indices, which `manage` holds. It writes what supervision found and the documents of the nightly batch.
    "indices": [
        {
            "names": [name for alias in INDICES for name in (alias, index_pattern(alias))],
            "privileges": ["read", "manage"],
        },
        {"names": [PIPELINE, index_pattern(PIPELINE)], "privileges": ["write"]},
        {"names": [NEIGHBOURS_ALIAS, f"{NEIGHBOURS_ALIAS}-*"], "privileges": ["read", "write", "manage"]},
    ],
    # Once a day it brings the dashboards into Kibana.
    "applications": [{"application": "kibana-.kibana", "privileges": ["space_all"], "resources": ["space:default"]}],
}
ROLES: dict[str, dict[str, Any]] = {"stream": STREAM_ROLE, "airflow": AIRFLOW_ROLE}
"""What each key may do, by its name."""


class Logins(NamedTuple):
    """The superuser's password, the one Kibana shall have, and where the keys are kept, by the names of `ROLES`."""

    elastic: Secret
    kibana_system: Secret
    key_files: dict[str, Path]

    @classmethod
    def of(cls, *, elastic: str, kibana_system: str, stream_key_file: Path, airflow_key_file: Path) -> Self:
        """From plain strings."""
        return cls(Secret(elastic), Secret(kibana_system), {"stream": stream_key_file, "airflow": airflow_key_file})


def ensure_access(client: Elasticsearch, settings: Settings, logins: Logins) -> list[str]:
    """Set Kibana's password and keep or make the keys; the names of those that are new.

    `client` must be the superuser's. A key in a file that Elasticsearch no longer takes is replaced, and every other
    key of its name is invalidated; one that Elasticsearch takes gets the rights of this version.
    """
    with errors("password of kibana_system"):
        client.security.change_password(username="kibana_system", password=logins.kibana_system.reveal())
    made = []
    for name, file in logins.key_files.items():
        existing = _key_in(settings, name, file)
        if existing:
            with errors(f"rights of {name}"):
                client.security.update_api_key(id=existing, role_descriptors={name: ROLES[name]})
            continue
        with errors(f"key of {name}"):
            # A replaced key stays valid until it is invalidated. First, so that a crash in between leaves none behind.
            client.options(ignore_status=NOT_FOUND).security.invalidate_api_key(name=name)
            response = client.security.create_api_key(name=name, role_descriptors={name: ROLES[name]})
        _keep(file, response["encoded"])
        made.append(name)
    return made


def _key_in(settings: Settings, name: str, file: Path) -> str:
    """The id of the key in a file; empty where there is none that Elasticsearch takes."""
    key = file.read_text().strip() if file.exists() else ""
    if not key:
        return ""
    with Elasticsearch(settings.elasticsearch.url, api_key=key) as client, errors(f"test of the key of {name}"):
        response = client.options(ignore_status=UNAUTHORIZED).security.authenticate()
    return "" if response.meta.status == UNAUTHORIZED else str(response["api_key"]["id"])


def _keep(file: Path, key: str) -> None:
    """Replace the file as a whole; only its owner may read it."""
    draft = file.with_name(f".{file.name}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_FILE_MODE), "w") as opened:
        opened.write(f"{key}\n")
    draft.replace(file)
