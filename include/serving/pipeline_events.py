"""Write pipeline events to their index.

A counter event carries a running total. It is stored with the increment since the previous event in the index, so that
the sum of the increments is correct for several writers and repeated writes.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from elasticsearch import Elasticsearch
from msgspec.structs import replace

from include.clients.elasticsearch import translate_errors
from include.contracts.errors import TerminalError, TransientError
from include.contracts.index_documents import COUNTED, PIPELINE, PipelineEvent, index_name, index_pattern
from include.contracts.settings import ElasticsearchSettings
from include.serving.templates import ensure_templates

TIMEOUT_S = 5.0
_LENIENT: dict[str, Any] = {"ignore_unavailable": True, "allow_no_indices": True}
# Because a missing total would count as 0, reject partial responses.
_COMPLETE: dict[str, Any] = {**_LENIENT, "allow_partial_search_results": False}


class Counter(NamedTuple):
    """Identifies one running total."""

    kind: str
    stage: str
    name: str

    @classmethod
    def from_event(cls, event: PipelineEvent) -> "Counter":
        """Return the counter of an event."""
        return cls(event.kind, event.stage, event.name)


def write_events(client: Elasticsearch, settings: ElasticsearchSettings, events: Sequence[PipelineEvent]) -> int:
    """Store events and return their number. Storing an event again replaces it.

    Creates the index templates if they are missing.

    Raises:
        TransientError: Elasticsearch is unavailable or overloaded.
        TerminalError: Elasticsearch rejects a document.
    """
    quick = client.options(request_timeout=TIMEOUT_S, max_retries=0)
    with translate_errors(f"template of {PIPELINE}"):
        has_template = bool(quick.indices.exists_index_template(name=PIPELINE))
    if not has_template:
        ensure_templates(quick, settings)
    totals, in_older_index = _last_totals(quick, events)
    stored = counter_increments(events, totals, in_older_index)
    operations: list[Any] = []
    for event in stored:
        operations += [{"index": {"_index": index_name(PIPELINE, event.at), "_id": document_id(event)}}]
        operations += [msgspec.to_builtins(event)]
    with translate_errors(f"write of {PIPELINE}"):
        response: Any = quick.bulk(operations=operations) if operations else {"items": []}
    rejected = [item["index"]["error"] for item in response["items"] if "error" in item["index"]]
    if rejected:
        reason = f"{rejected[0].get('type')}: {rejected[0].get('reason')}"
        raise TerminalError(f"Elasticsearch rejected {len(rejected)} of {len(stored)} events: {reason}", "see its log")
    return len(stored)


def document_id(event: PipelineEvent) -> str:
    """Return the document id of an event: timestamp, kind, stage and name."""
    timestamp = event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{timestamp}|{event.kind}|{event.stage}|{event.name}"


def latest_event_time(client: Elasticsearch, kind: str) -> datetime | None:
    """Return the time of the latest event of a kind, None if there is none. Raises as `errors` does."""
    with translate_errors(f"latest {kind} of {PIPELINE}"):
        client.indices.refresh(index=index_pattern(PIPELINE), **_LENIENT)
        response = client.search(
            index=PIPELINE,
            size=1,
            query={"term": {"kind": kind}},
            sort=[{"at": {"order": "desc", "unmapped_type": "date"}}],
            source_includes=["at"],
            **_COMPLETE,
        )
    hits = response["hits"]["hits"]
    return datetime.fromisoformat(hits[0]["_source"]["at"]) if hits else None


def counter_increments(
    events: Sequence[PipelineEvent], totals: Mapping[Counter, float], in_older_index: Collection[Counter] = ()
) -> list[PipelineEvent]:
    """Return the events to store: counters with their increment, without the counters that did not change.

    A total that decreased (a server was reset, an old index was deleted) has the increment 0, and its detail gives both
    totals.

    Args:
        events: Events with running totals.
        totals: The last stored total of each counter.
        in_older_index: Counters whose last total is in an older index. They are stored even if they did not change,
            because retention deletes the older index and the total with it.
    """
    stored: list[PipelineEvent] = []
    for event in events:
        if event.kind not in COUNTED or event.total is None:
            stored.append(event)
            continue
        previous = totals.get(Counter.from_event(event), 0.0)
        if event.total < previous:
            stored.append(replace(event, value=0.0, detail=f"fell from {previous:.0f} to {event.total:.0f}"))
        elif event.total > previous or Counter.from_event(event) in in_older_index:
            stored.append(replace(event, value=event.total - previous))
    return stored


def _last_totals(client: Elasticsearch, events: Sequence[PipelineEvent]) -> tuple[dict[Counter, float], set[Counter]]:
    """Return the last total of each counter before its event, and the counters whose total is in another index."""
    counters = [event for event in events if event.kind in COUNTED]
    if not counters:
        return {}, set()
    searches: list[dict[str, Any]] = []
    for event in counters:
        searches += [{"index": PIPELINE, **_COMPLETE}, _previous_event_query(event)]
    with translate_errors(f"totals of {PIPELINE}"):
        # Because events written just now must be searchable.
        client.indices.refresh(index=index_pattern(PIPELINE), **_LENIENT)
        responses = client.msearch(searches=searches)["responses"]
    totals: dict[Counter, float] = {}
    in_older_index: set[Counter] = set()
    for event, response in zip(counters, responses, strict=True):
        if "error" in response:
            reason = response["error"].get("reason")
            raise TransientError(f"totals of {PIPELINE}: {reason}", "the next run tries again; see Elasticsearch's log")
        for hit in response["hits"]["hits"]:
            totals[Counter.from_event(event)] = hit["_source"]["total"]
            if hit["_index"] != index_name(PIPELINE, event.at):
                in_older_index.add(Counter.from_event(event))
    return totals, in_older_index


def _previous_event_query(event: PipelineEvent) -> dict[str, Any]:
    filters: list[dict[str, Any]] = [
        {"term": {name: value}} for name, value in Counter.from_event(event)._asdict().items()
    ]
    return {
        "size": 1,
        "track_total_hits": False,
        "_source": ["total"],
        "sort": [{"at": {"order": "desc", "unmapped_type": "date"}}],
        "query": {"bool": {"filter": [*filters, {"range": {"at": {"lt": event.at.isoformat()}}}]}},
    }
