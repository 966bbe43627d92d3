"""Index templates: mapping, alias and durability of every monthly index, before its first document.

Mappings are strict, so that a field which is new in this version is added to the indices that exist.
"""

from typing import Any

from elasticsearch import Elasticsearch

from include.clients.elasticsearch import translate_errors
from include.contracts.documents import INDICES, index_pattern, mapping
from include.contracts.settings import Settings

PRIORITY = 100


def template_body(alias: str, settings: Settings) -> dict[str, Any]:
    """The composable index template behind one alias."""
    return {
        "index_patterns": [index_pattern(alias)],
        "priority": PRIORITY,
        "template": {
            "settings": {
                "index": {
                    "number_of_shards": settings.index_shards,
                    "number_of_replicas": settings.index_replicas,
                    **_refresh(settings),
                    "translog": {"durability": settings.index_durability},
                }
            },
            "mappings": mapping(INDICES[alias]),
            "aliases": {alias: {}},
        },
    }


def ensure_templates(client: Elasticsearch, settings: Settings) -> None:
    """Create or replace the templates of all indices; those that exist get the fields they lack, and keep all else.

    Raises TransientError while Elasticsearch is away, TerminalError where it refuses a template.
    """
    for alias in INDICES:
        body = template_body(alias, settings)
        with translate_errors(f"index template {alias}"):
            client.indices.put_index_template(name=alias, **body)
        with translate_errors(f"new fields of {alias}"):
            _add_fields(client, alias)


def _add_fields(client: Elasticsearch, alias: str) -> None:
    """Only what is missing: an index with a field of another type is left for a person to look at."""
    wanted = mapping(INDICES[alias])["properties"]
    for name, found in client.indices.get_mapping(index=index_pattern(alias)).items():
        known = found["mappings"].get("properties", {})
        missing = {field: kind for field, kind in wanted.items() if field not in known}
        if missing:
            client.indices.put_mapping(index=name, properties=missing)


def _refresh(settings: Settings) -> dict[str, str]:
    """Elasticsearch's own way, unless an interval is set.

    It refreshes an index every second as long as someone searches it; after half a minute without, not until
    the next search, which waits for it. Setting an interval, even of a second, switches that off, and an
    index that takes thousands of documents a second spends much of its work on refreshes.
    """
    return {"refresh_interval": f"{settings.index_refresh_s}s"} if settings.index_refresh_s else {}
