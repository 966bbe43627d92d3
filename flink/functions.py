"""The two vectorized functions of the job: they index a batch and return the dead letters of each row."""

import gc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pandas as pd
from pyflink.table.udf import FunctionContext, ScalarFunction

from flink.bulk import Item, bulk_action, newest_of, record_to_dead_letter, to_dead_letter
from flink.documents import documents_of
from flink.sink import BulkSink
from include.contracts.dead_letters import Origin
from include.contracts.index_documents import STREAM_INDICES, KpiMinute, kpi_id
from include.contracts.session import ValidSession
from include.contracts.settings import Settings
from include.contracts.topics import KPI, VALID

# A batch makes tens of thousands of short-lived objects without cycles; the default threshold walks them over and over.
COLLECT_AFTER = 200_000

DeadLetters = dict[int, list[str]]
Unreadable = Callable[[int, Exception], None]


class _IndexingFunction(ScalarFunction):  # type: ignore[misc] # pyflink has no types
    """Base: rows of one topic into documents, documents into Elasticsearch, refusals into letters.

    Takes the columns value, partition and offset; gives an array of JSON texts for a row with dead
    letters and NULL for all others. Not deterministic: planners must neither repeat nor skip it.
    """

    topic: str
    aliases: Sequence[str]

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def open(self, function_context: FunctionContext) -> None:
        gc.set_threshold(COLLECT_AFTER)
        self._sink = BulkSink(self._settings)
        self._sink.wait_for_templates(self.aliases)

    def close(self) -> None:
        self._sink.close()

    def is_deterministic(self) -> bool:
        return False

    def eval(self, values: "pd.Series[Any]", partitions: "pd.Series[Any]", offsets: "pd.Series[Any]") -> Any:
        """Index the batch. Blocks for as long as Elasticsearch is away."""
        dead_letters: DeadLetters = {}
        records = values.tolist()

        def origin(row: int) -> Origin:
            return Origin(topic=self.topic, partition=int(partitions.iloc[row]), offset=int(offsets.iloc[row]))

        def unreadable(row: int, error: Exception) -> None:
            dead_letter = record_to_dead_letter(self.aliases[0], records[row], f"unreadable: {error}", origin(row))
            dead_letters.setdefault(row, []).append(dead_letter)

        for refusal in self._sink.store(self.items(records, unreadable)):
            dead_letters.setdefault(refusal.item.row, []).append(to_dead_letter(refusal, origin(refusal.item.row)))
        return pd.Series([dead_letters.get(row) for row in range(len(records))], dtype=object)

    def items(self, records: Sequence[bytes | None], unreadable: Unreadable) -> Iterator[Item]:
        """The documents of a batch; calls `unreadable(row, error)` for a record that has none."""
        raise NotImplementedError


class IndexSessions(_IndexingFunction):
    """Records of `sessions.valid` into summary, product details and sentiment."""

    topic = VALID
    aliases = tuple(alias for alias in STREAM_INDICES if alias != "kpi_minute")

    def open(self, function_context: FunctionContext) -> None:
        """Build the decoder in the worker, where it is used."""
        super().open(function_context)
        self._decode = msgspec.json.Decoder(ValidSession).decode

    def items(self, records: Sequence[bytes | None], unreadable: Unreadable) -> Iterator[Item]:
        """All documents of all sessions, made while earlier ones are on their way."""
        for row, record in enumerate(records):
            try:
                session = self._decode(record or b"")
                arrived = session.received_at.astimezone(UTC)
                documents = documents_of(session)
            except (msgspec.MsgspecError, ValueError, OverflowError) as error:
                unreadable(row, error)
                continue
            for alias, identity, document in documents:
                yield bulk_action(row, alias, identity, document, arrived)


class IndexKpi(_IndexingFunction):
    """States of `kpi.minute` rows; a row only grows, so its sessions are its version."""

    topic = KPI
    aliases = ("kpi_minute",)

    def open(self, function_context: FunctionContext) -> None:
        """Build the decoder in the worker, where it is used."""
        super().open(function_context)
        self._decode = msgspec.json.Decoder(KpiMinute).decode

    def items(self, records: Sequence[bytes | None], unreadable: Unreadable) -> Iterator[Item]:
        """The newest state of each row in the batch."""
        return iter(newest_of(self._states(records, unreadable)))

    def _states(self, records: Sequence[bytes | None], unreadable: Unreadable) -> Iterator[Item]:
        for row, record in enumerate(records):
            try:
                kpi = self._decode(record or b"")
                arrived = datetime.fromisoformat(kpi.arrival_date)
            except (msgspec.MsgspecError, ValueError) as error:
                unreadable(row, error)
                continue
            minute = f"{kpi.minute:%Y-%m-%dT%H:%M:%SZ}"
            identity = kpi_id(minute, kpi.category, kpi.arrival_date)
            yield bulk_action(row, "kpi_minute", identity, kpi, arrived, version=kpi.sessions)
