"""The probe of Elasticsearch: health, blocks, room for indices, and the newest searchable session."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import httpx
import msgspec

from include.contracts.errors import TerminalError
from include.contracts.health import ELASTICSEARCH_PATH, check_elasticsearch
from include.contracts.index_documents import STREAM_INDICES, index_pattern
from include.contracts.settings import ElasticsearchSettings
from include.supervise.consumer_lag import REQUEST_TIMEOUT_S
from include.supervise.observation import ElasticsearchState

SUMMARY = "session_summary"
# Before the first document there is no index and so no alias.
LENIENT = {"ignore_unavailable": "true", "allow_no_indices": "true"}
CLOSED = "index.verified_before_close"
"""Elasticsearch sets it on an index that it closes, and removes it when the index opens."""
WRITE_BLOCKS = ("write", "read_only", "read_only_allow_delete")
BLOCKS = {"flat_settings": "true", "expand_wildcards": "open,closed", "allow_no_indices": "true"}
HITS_FIELDS = {"filter_path": "hits.total,hits.hits._source"}
NODE_FIELDS = {"filter_path": "nodes.*.thread_pool.write.rejected,nodes.*.indexing_pressure.memory.total"}

_T = TypeVar("_T")


class _Health(msgspec.Struct):
    status: str


class _Session(msgspec.Struct):
    session_id: str
    received_at: datetime


class _Hit(msgspec.Struct):
    source: _Session = msgspec.field(name="_source")


class _Total(msgspec.Struct):
    value: int


class _Hits(msgspec.Struct):
    total: _Total
    hits: list[_Hit] = []


class _SearchResponse(msgspec.Struct):
    hits: _Hits


class _Index(msgspec.Struct):
    settings: dict[str, str]


class _Pool(msgspec.Struct):
    rejected: int = 0


class _Pressure(msgspec.Struct):
    coordinating_rejections: int = 0
    primary_rejections: int = 0
    replica_rejections: int = 0


class _Memory(msgspec.Struct):
    total: _Pressure = msgspec.field(default_factory=_Pressure)


class _Indexing(msgspec.Struct):
    memory: _Memory = msgspec.field(default_factory=_Memory)


class _Node(msgspec.Struct):
    thread_pool: dict[str, _Pool] = {}
    indexing_pressure: _Indexing = msgspec.field(default_factory=_Indexing)

    @property
    def rejections(self) -> int:
        pressure = self.indexing_pressure.memory.total
        queues = sum(pool.rejected for name, pool in self.thread_pool.items() if name == "write")
        return queues + pressure.coordinating_rejections + pressure.primary_rejections + pressure.replica_rejections


class _Nodes(msgspec.Struct):
    nodes: dict[str, _Node]


class _Capacity(msgspec.Struct):
    max_shards_in_cluster: int
    current_used_shards: int = 0
    """Elasticsearch reports it only once the limit is near."""


class _CapacityDetails(msgspec.Struct):
    data: _Capacity


class _CapacityIndicator(msgspec.Struct):
    details: _CapacityDetails


class _Indicators(msgspec.Struct):
    shards_capacity: _CapacityIndicator


class _HealthReport(msgspec.Struct):
    indicators: _Indicators

    def has_room_for(self, shards: int) -> bool:
        """Return whether the limit of the data nodes admits so many more shards."""
        capacity = self.indicators.shards_capacity.details.data
        return capacity.current_used_shards + shards <= capacity.max_shards_in_cluster


def probe_elasticsearch(settings: ElasticsearchSettings) -> ElasticsearchState:
    """Observe Elasticsearch. Raises TerminalError, httpx' and msgspec's errors."""
    key = settings.api_key.reveal()
    headers = {"Authorization": f"ApiKey {key}"} if key else {}
    with httpx.Client(base_url=settings.url, timeout=REQUEST_TIMEOUT_S, headers=headers) as http:
        health = _request(http, "GET", ELASTICSEARCH_PATH, _Health)
        targets = ",".join(map(index_pattern, STREAM_INDICES))
        blocks = _request(http, "GET", f"/{targets}/_settings/index.blocks.*,{CLOSED}", dict[str, _Index], BLOCKS)
        if check_elasticsearch(health.status):
            reason = f"its health is {health.status}: shards are missing"
            return ElasticsearchState(health.status, reason, 0, None, None)
        # One search returns the total and the newest session, because a shard stores its number of documents.
        body = {
            "size": 1,
            "track_total_hits": True,
            "_source": ["session_id", "received_at"],
            "sort": [{"received_at": {"order": "desc", "unmapped_type": "date"}}],
        }
        hits = _request(http, "POST", f"/{SUMMARY}/_search", _SearchResponse, {**LENIENT, **HITS_FIELDS}, body).hits
        nodes = _request(http, "GET", "/_nodes/stats/thread_pool,indexing_pressure", _Nodes, NODE_FIELDS).nodes
        report = _request(http, "GET", "/_health_report/shards_capacity", _HealthReport)
    newest = hits.hits[0].source if hits.hits else None
    return ElasticsearchState(
        health=health.status,
        write_block=_blocked(blocks),
        sessions=hits.total.value,
        newest_id=newest.session_id if newest else None,
        newest_at=newest.received_at.timestamp() if newest else None,
        rejections=sum(node.rejections for node in nodes.values()),
        has_reached_shard_limit=not report.has_room_for(settings.shards * (1 + settings.replicas)),
    )


def _request(
    http: httpx.Client,
    method: str,
    path: str,
    kind: type[_T],
    params: Mapping[str, str] | None = None,
    body: Any = None,
) -> _T:
    response = http.request(method, path, params=params, json=body)
    if response.is_error:
        text = " ".join(response.text.split())
        raise TerminalError(f"Elasticsearch answered {response.status_code} to {path} ({text})", "see its log")
    return msgspec.json.decode(response.content, type=kind)


def _blocked(blocks: Mapping[str, _Index]) -> str | None:
    """Return the indices of the stream that accept no documents, None without one."""
    blocked = [
        f"{index}: {'closed' if name == CLOSED else name}"
        for index, state in sorted(blocks.items())
        for name, value in sorted(state.settings.items())
        if value == "true" and name.removeprefix("index.blocks.") in (*WRITE_BLOCKS, CLOSED)
    ]
    return ", ".join(blocked) or None
