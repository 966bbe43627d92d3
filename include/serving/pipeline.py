"""Events of the pipeline on their way into the index.

A counter comes with its total and is stored with how much it grew since the event before it, which the index itself
knows: so it adds up, whoever writes and however often.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from elasticsearch import Elasticsearch
from msgspec.structs import replace

from include.clients.elasticsearch import translate_errors
from include.contracts.documents import COUNTED, PIPELINE, PipelineEvent, index_name, index_pattern
from include.contracts.errors import TerminalError, TransientError
from include.contracts.settings import Settings
from include.serving.templates import ensure_templates

TIMEOUT_S = 5.0
_LENIENT: dict[str, Any] = {"ignore_unavailable": True, "allow_no_indices": True}
# A total that is not found would count as nothing: half an answer is none.
_WHOLE: dict[str, Any] = {**_LENIENT, "allow_partial_search_results": False}


class Counter(NamedTuple):
    """What one total counts."""

    kind: str
    stage: str
    name: str

    @classmethod
    def of(cls, event: PipelineEvent) -> "Counter":
        """The counter an event tells of."""
        return cls(event.kind, event.stage, event.name)


def write(client: Elasticsearch, settings: Settings, events: Sequence[PipelineEvent]) -> int:
    """Store events; how many. The same again replaces what is there.

    Makes the index template where there is none. Raises TransientError while Elasticsearch is away or busy,
    TerminalError where it refuses a document.
    """
    quick = client.options(request_timeout=TIMEOUT_S, max_retries=0)
    with translate_errors(f"template of {PIPELINE}"):
        known = bool(quick.indices.exists_index_template(name=PIPELINE))
    if not known:
        ensure_templates(quick, settings)
    before, left = _before(quick, events)
    stored = grown(events, before, left)
    operations: list[Any] = []
    for event in stored:
        operations += [{"index": {"_index": index_name(PIPELINE, event.at), "_id": identity(event)}}]
        operations += [msgspec.to_builtins(event)]
    with translate_errors(f"write of {PIPELINE}"):
        answer: Any = quick.bulk(operations=operations) if operations else {"items": []}
    refused = [item["index"]["error"] for item in answer["items"] if "error" in item["index"]]
    if refused:
        reason = f"{refused[0].get('type')}: {refused[0].get('reason')}"
        raise TerminalError(f"Elasticsearch refused {len(refused)} of {len(stored)} events: {reason}", "see its log")
    return len(stored)


def identity(event: PipelineEvent) -> str:
    """The document's id: one event of a kind, stage and name at a time."""
    at = event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{at}|{event.kind}|{event.stage}|{event.name}"


def newest(client: Elasticsearch, kind: str) -> datetime | None:
    """When the newest event of a kind was; None while there is none. Raises as `errors` does."""
    with translate_errors(f"newest {kind} of {PIPELINE}"):
        client.indices.refresh(index=index_pattern(PIPELINE), **_LENIENT)
        answer = client.search(
            index=PIPELINE,
            size=1,
            query={"term": {"kind": kind}},
            sort=[{"at": {"order": "desc", "unmapped_type": "date"}}],
            source_includes=["at"],
            **_WHOLE,
        )
    hits = answer["hits"]["hits"]
    return datetime.fromisoformat(hits[0]["_source"]["at"]) if hits else None


def grown(
    events: Sequence[PipelineEvent], before: dict[Counter, float], left: Collection[Counter] = ()
) -> list[PipelineEvent]:
    """The events to store: counters with what they grew by, those that stood still left out.

    A total that fell (a server began anew, old indices were dropped) has grown by nothing, and says so. Of the
    counters in `left` the last total lies in an older index: they are stored again even where they stand still, for
    the index that is dropped one day would take the total along.
    """
    made: list[PipelineEvent] = []
    for event in events:
        if event.kind not in COUNTED or event.total is None:
            made.append(event)
            continue
        earlier = before.get(Counter.of(event), 0.0)
        if event.total < earlier:
            made.append(replace(event, value=0.0, detail=f"fell from {earlier:.0f} to {event.total:.0f}"))
        elif event.total > earlier or Counter.of(event) in left:
            made.append(replace(event, value=event.total - earlier))
    return made


def _before(client: Elasticsearch, events: Sequence[PipelineEvent]) -> tuple[dict[Counter, float], set[Counter]]:
    """The last total of each counter before the event at hand; and the counters whose total lies in another index."""
    counted = [event for event in events if event.kind in COUNTED]
    if not counted:
        return {}, set()
    searches: list[dict[str, Any]] = []
    for event in counted:
        searches += [{"index": PIPELINE, **_WHOLE}, _newest_before(event)]
    with translate_errors(f"totals of {PIPELINE}"):
        # What was written a moment ago counts.
        client.indices.refresh(index=index_pattern(PIPELINE), **_LENIENT)
        answers = client.msearch(searches=searches)["responses"]
    found: dict[Counter, float] = {}
    left: set[Counter] = set()
    for event, answer in zip(counted, answers, strict=True):
        if "error" in answer:
            reason = answer["error"].get("reason")
            raise TransientError(
                f"totals of {PIPELINE}: {reason}", "the next round tries again; see Elasticsearch's log"
            )
        for hit in answer["hits"]["hits"]:
            found[Counter.of(event)] = hit["_source"]["total"]
            if hit["_index"] != index_name(PIPELINE, event.at):
                left.add(Counter.of(event))
    return found, left


def _newest_before(event: PipelineEvent) -> dict[str, Any]:
    filters: list[dict[str, Any]] = [{"term": {name: value}} for name, value in Counter.of(event)._asdict().items()]
    return {
        "size": 1,
        "track_total_hits": False,
        "_source": ["total"],
        "sort": [{"at": {"order": "desc", "unmapped_type": "date"}}],
        "query": {"bool": {"filter": [*filters, {"range": {"at": {"lt": event.at.isoformat()}}}]}},
    }
