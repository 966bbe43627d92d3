"""The two pandas functions of the job. Each indexes a batch and returns the dead letters of each row."""

import gc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pandas as pd
from pyflink.table.udf import FunctionContext, ScalarFunction

from flink.bulk import Item, bulk_action, latest_by_id, record_to_dead_letter, to_dead_letter
from flink.documents import build_documents
from flink.sink import BulkSink
from include.contracts.dead_letters import Origin
from include.contracts.index_documents import STREAM_INDICES, KpiMinute, kpi_id
from include.contracts.session import ValidSession
from include.contracts.settings import Settings
from include.contracts.topics import KPI, VALID

# Because a batch creates tens of thousands of objects without cycles, the default threshold wastes CPU.
GC_THRESHOLD = 200_000

DeadLetters = dict[int, list[str]]
OnUndecodable = Callable[[int, Exception], None]


class _IndexingFunction(ScalarFunction):  # type: ignore[misc] # pyflink has no types
    """Base class: indexes the documents of one topic and returns the dead letters of each row.

    Takes the columns value, partition and offset. Returns an array of JSON strings for a row with dead letters, NULL
    for other rows. Declared non-deterministic, because the planner must not repeat or skip a call.
    """

    topic: str
    aliases: Sequence[str]

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def open(self, function_context: FunctionContext) -> None:
        gc.set_threshold(GC_THRESHOLD)
        self._sink = BulkSink(self._settings)
        self._sink.wait_for_templates(self.aliases)

    def close(self) -> None:
        self._sink.close()

    def is_deterministic(self) -> bool:
        return False

    def eval(self, values: "pd.Series[Any]", partitions: "pd.Series[Any]", offsets: "pd.Series[Any]") -> Any:
        """Index the batch and return its dead letters. Blocks while Elasticsearch is unavailable."""
        dead_letters: DeadLetters = {}
        records = values.tolist()

        def origin(row: int) -> Origin:
            return Origin(topic=self.topic, partition=int(partitions.iloc[row]), offset=int(offsets.iloc[row]))

        def on_undecodable(row: int, error: Exception) -> None:
            dead_letter = record_to_dead_letter(self.aliases[0], records[row], f"unreadable: {error}", origin(row))
            dead_letters.setdefault(row, []).append(dead_letter)

        for rejection in self._sink.store(self.items(records, on_undecodable)):
            dead_letters.setdefault(rejection.item.row, []).append(
                to_dead_letter(rejection, origin(rejection.item.row))
            )
        return pd.Series([dead_letters.get(row) for row in range(len(records))], dtype=object)

    def items(self, records: Sequence[bytes | None], on_undecodable: OnUndecodable) -> Iterator[Item]:
        """Yield the documents of a batch; call `on_undecodable(row, error)` for a record that cannot be decoded."""
        raise NotImplementedError


class IndexSessions(_IndexingFunction):
    """Indexes `sessions.valid` as session summaries, product details and sentiments."""

    topic = VALID
    aliases = tuple(alias for alias in STREAM_INDICES if alias != "kpi_minute")

    def open(self, function_context: FunctionContext) -> None:
        """Create sink and decoder in the worker, because neither can be serialized."""
        super().open(function_context)
        self._decode = msgspec.json.Decoder(ValidSession).decode

    def items(self, records: Sequence[bytes | None], on_undecodable: OnUndecodable) -> Iterator[Item]:
        """Yield the documents of all sessions."""
        for row, record in enumerate(records):
            try:
                session = self._decode(record or b"")
                arrived = session.received_at.astimezone(UTC)
                documents = build_documents(session)
            except (msgspec.MsgspecError, ValueError, OverflowError) as error:
                on_undecodable(row, error)
                continue
            for alias, document_id, document in documents:
                yield bulk_action(row, alias, document_id, document, arrived)


class IndexKpi(_IndexingFunction):
    """Indexes `kpi.minute`. Because the session count of a row only grows, it is the document's version."""

    topic = KPI
    aliases = ("kpi_minute",)

    def open(self, function_context: FunctionContext) -> None:
        """Create sink and decoder in the worker, because neither can be serialized."""
        super().open(function_context)
        self._decode = msgspec.json.Decoder(KpiMinute).decode

    def items(self, records: Sequence[bytes | None], on_undecodable: OnUndecodable) -> Iterator[Item]:
        """Return the latest state of each row in the batch."""
        return iter(latest_by_id(self._states(records, on_undecodable)))

    def _states(self, records: Sequence[bytes | None], on_undecodable: OnUndecodable) -> Iterator[Item]:
        for row, record in enumerate(records):
            try:
                kpi = self._decode(record or b"")
                arrived = datetime.fromisoformat(kpi.arrival_date)
            except (msgspec.MsgspecError, ValueError) as error:
                on_undecodable(row, error)
                continue
            minute = f"{kpi.minute:%Y-%m-%dT%H:%M:%SZ}"
            document_id = kpi_id(minute, kpi.category, kpi.arrival_date)
            yield bulk_action(row, "kpi_minute", document_id, kpi, arrived, version=kpi.sessions)
