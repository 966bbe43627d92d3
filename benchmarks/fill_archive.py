"""Synthetic visits straight into an archive, as ingest, gate and archive would leave them there, without Kafka."""

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from include.archive import documents, store
from include.contracts.collections import SESSIONS
from include.contracts.settings import Settings
from include.gate.pseudonym import pseudonymizer
from include.gate.valid_session import build_valid_session
from include.gate.validation import Candidate, Limits, check
from include.ingest.generator import SessionGenerator, synthesize
from include.ingest.labelled_record import VALID, LabelledRecord
from include.ingest.plan import Plan

BATCH = 2_000


def run(
    start: Annotated[datetime, typer.Option(help="Beginning of the interval, UTC.")],
    end: Annotated[datetime, typer.Option(help="Its end, not included.")],
    sessions: Annotated[int, typer.Option(help="Visits that arrive in it.")],
    seed: Annotated[int, typer.Option(help="Seed of the synthetic shop.")] = 1,
) -> None:
    """Fill the archive of the environment's settings; the truth about purchases is the last line, as JSON."""
    settings = Settings.from_env(os.environ)
    plan = Plan.of(settings, seed=seed, start=_utc(start), end=_utc(end), sessions=sessions)
    shop = synthesize(plan)
    with store.connect(settings) as client:
        into = store.database(client, settings)[SESSIONS]
        batch: list[store.Document] = []
        for document in admitted(shop, settings):
            batch.append(document)
            if len(batch) == BATCH:
                with store.errors("write sessions"):
                    into.insert_many(batch, ordered=False)
                batch = []
        if batch:
            with store.errors("write sessions"):
                into.insert_many(batch, ordered=False)
    typer.echo(msgspec.json.encode(shop.ground_truth.intent).decode())


def admitted(shop: SessionGenerator, settings: Settings) -> Iterator[store.Document]:
    """The archive's documents of the visits that the gate must admit."""
    return (documents.document(documents.decode(value)) for value in records(shop, settings))


def records(labelled_records: Iterable[LabelledRecord], settings: Settings) -> Iterator[bytes]:
    """What leaves the gate of the visits that it must admit; its filter's answer about known users made exact."""
    pseudonym = pseudonymizer(settings.gate.require_pseudonym_key())
    limits = Limits.of(settings)
    existing: set[str] = set()
    for labelled in labelled_records:
        if labelled.verdict != VALID:
            continue
        received_ms = int(labelled.arrives_at.timestamp() * 1_000)
        result = check(labelled.value, labelled.key, received_ms, limits)
        if not isinstance(result, Candidate):
            raise TypeError(f"a record that must pass does not: {result}")
        user = pseudonym(result.session.user_id)
        yield build_valid_session(result, user, returning=user in existing, received_ms=received_ms)
        existing.add(user)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


if __name__ == "__main__":
    typer.run(run)
