"""Fill an archive with synthetic sessions as ingest, gate and archive would store them, without Kafka."""

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from include.archive import documents, store
from include.clients.mongodb import Document, translate_errors
from include.contracts.collections import SESSIONS
from include.contracts.settings import GateSettings, Settings
from include.gate.pseudonym import pseudonymizer
from include.gate.valid_session import build_valid_session
from include.gate.validation import Candidate, Limits, check
from include.ingest.generator import SessionGenerator, synthesize
from include.ingest.labelled_record import VALID, LabelledRecord
from include.ingest.plan import Plan

BATCH = 2_000


def run(
    start: Annotated[datetime, typer.Option(help="Start of the interval, UTC.")],
    end: Annotated[datetime, typer.Option(help="End of the interval, exclusive, UTC.")],
    sessions: Annotated[int, typer.Option(help="Sessions that arrive in the interval.")],
    seed: Annotated[int, typer.Option(help="Seed of the synthetic shop.")] = 1,
) -> None:
    """Fill the archive of the environment's settings; the last line is the ground truth of purchases, as JSON."""
    settings = Settings.from_env(os.environ)
    plan = Plan.of(settings, seed=seed, start=_utc(start), end=_utc(end), sessions=sessions)
    shop = synthesize(plan)
    with store.connect(settings.mongodb) as client:
        collection = store.database(client, settings.mongodb)[SESSIONS]
        batch: list[Document] = []
        for document in valid_documents(shop, settings.gate):
            batch.append(document)
            if len(batch) == BATCH:
                with translate_errors("write sessions"):
                    collection.insert_many(batch, ordered=False)
                batch = []
        if batch:
            with translate_errors("write sessions"):
                collection.insert_many(batch, ordered=False)
    typer.echo(msgspec.json.encode(shop.ground_truth.intent).decode())


def valid_documents(shop: SessionGenerator, settings: GateSettings) -> Iterator[Document]:
    """Yield the archive's documents of the valid sessions."""
    return (documents.document(documents.decode(value)) for value in records(shop, settings))


def records(labelled_records: Iterable[LabelledRecord], settings: GateSettings) -> Iterator[bytes]:
    """Yield the gate's outputs of the valid sessions, with exact returning users instead of the Bloom filter's."""
    pseudonym = pseudonymizer(settings.require_pseudonym_key())
    limits = Limits.of(settings)
    known_user_ids: set[str] = set()
    for labelled in labelled_records:
        if labelled.verdict != VALID:
            continue
        received_ms = int(labelled.arrives_at.timestamp() * 1_000)
        result = check(labelled.value, labelled.key, received_ms, limits)
        if not isinstance(result, Candidate):
            raise TypeError(f"validation of a valid record failed: {result}")
        user = pseudonym(result.session.user_id)
        yield build_valid_session(result, user, returning=user in known_user_ids, received_ms=received_ms)
        known_user_ids.add(user)


def _utc(timestamp: datetime) -> datetime:
    return timestamp.replace(tzinfo=UTC) if timestamp.tzinfo is None else timestamp


if __name__ == "__main__":
    typer.run(run)
