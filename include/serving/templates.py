"""Index templates: mapping, alias and durability of every monthly index, before its first document."""

from typing import Any

from elasticsearch import Elasticsearch

from include.contracts.documents import INDICES, index_pattern, mapping
from include.contracts.settings import Settings
from include.serving.client import errors

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
    """Create or replace the templates of all indices; indices that exist keep what they were made with.

    Raises TransientError while Elasticsearch is away, TerminalError where it refuses a template.
    """
    for alias in INDICES:
        body = template_body(alias, settings)
        with errors(f"index template {alias}"):
            client.indices.put_index_template(name=alias, **body)


def _refresh(settings: Settings) -> dict[str, str]:
    """Elasticsearch's own way, unless an interval is set.

    It refreshes an index every second as long as someone searches it; after half a minute without, not until
    the next search, which waits for it. Setting an interval, even of a second, switches that off, and an
    index that takes thousands of documents a second spends much of its work on refreshes.
    """
    return {"refresh_interval": f"{settings.index_refresh_s}s"} if settings.index_refresh_s else {}
