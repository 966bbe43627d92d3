"""Index templates: mapping, alias and durability of every monthly index.

Mappings are strict. Fields that are new in this version are therefore added to existing indices.
"""

from typing import Any

from elasticsearch import Elasticsearch

from include.clients.elasticsearch import translate_errors
from include.contracts.errors import TerminalError
from include.contracts.index_documents import INDICES, index_pattern, mapping
from include.contracts.settings import ElasticsearchSettings

PRIORITY = 100
DELETE_ALL = "./showroom down --volumes --yes or docker compose down --volumes (archive and privacy ledger too)"


def template_body(alias: str, settings: ElasticsearchSettings) -> dict[str, Any]:
    """Return the composable index template of one alias."""
    return {
        "index_patterns": [index_pattern(alias)],
        "priority": PRIORITY,
        "template": {
            "settings": {
                "index": {
                    "number_of_shards": settings.shards,
                    "number_of_replicas": settings.replicas,
                    **_refresh(settings),
                    "translog": {"durability": settings.translog_durability},
                }
            },
            "mappings": mapping(INDICES[alias]),
            "aliases": {alias: {}},
        },
    }


def ensure_templates(client: Elasticsearch, settings: ElasticsearchSettings) -> None:
    """Create or replace the templates of all indices, and add missing fields to existing indices.

    Raises:
        TransientError: Elasticsearch is unavailable.
        TerminalError: Elasticsearch rejects a template, or an index was written by an incompatible version; nothing is
            changed then.
    """
    for alias in INDICES:
        with translate_errors(f"mappings of {alias}"):
            _require_compatible(client, alias)
    for alias in INDICES:
        body = template_body(alias, settings)
        with translate_errors(f"index template {alias}"):
            client.indices.put_index_template(name=alias, **body)
        with translate_errors(f"new fields of {alias}"):
            _add_fields(client, alias)


def _require_compatible(client: Elasticsearch, alias: str) -> None:
    """Raise TerminalError if an index has a field unknown to this version, because it was renamed or removed."""
    expected = mapping(INDICES[alias])["properties"]
    for name, index in client.indices.get_mapping(index=index_pattern(alias)).items():
        unknown = sorted(set(index["mappings"].get("properties", {})) - set(expected))
        if unknown:
            raise TerminalError(
                f"index {name} is of another version: its field {unknown[0]} is unknown (CHANGELOG.md, Renamed)",
                f"start the version that wrote it, delete the index, or delete all data: {DELETE_ALL}",
            )


def _add_fields(client: Elasticsearch, alias: str) -> None:
    """Add missing fields. A field with another type is not changed; it needs a manual reindex."""
    expected = mapping(INDICES[alias])["properties"]
    for name, index in client.indices.get_mapping(index=index_pattern(alias)).items():
        existing = index["mappings"].get("properties", {})
        missing = {field: kind for field, kind in expected.items() if field not in existing}
        if missing:
            client.indices.put_mapping(index=name, properties=missing)


def _refresh(settings: ElasticsearchSettings) -> dict[str, str]:
    """Return the refresh setting: Elasticsearch's default unless an interval is set.

    By default Elasticsearch refreshes an index every second while it is searched. After 30 s without a search it
    refreshes only on the next search, which waits for it. Any explicit interval disables this search-idle mode, and
    refreshes become a large part of the load at thousands of documents a second.
    """
    interval_s = settings.refresh_interval_s
    return {"refresh_interval": f"{interval_s}s"} if interval_s else {}
