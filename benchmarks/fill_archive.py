"""Synthetic visits straight into an archive, as ingest, gate and archive would leave them there, without Kafka."""

import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from include.archive import documents, store
from include.clients.mongodb import Document, translate_errors
from include.contracts.archive import SESSIONS
from include.contracts.settings import Settings
from include.gate.admit import admit
from include.gate.check import Candidate, Limits, check
from include.gate.pseudonym import pseudonymizer
from include.ingest.emission import VALID, Emission
from include.ingest.plan import Plan
from include.ingest.shop import Synthesis, synthesize

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
        batch: list[Document] = []
        for document in admitted(shop, settings):
            batch.append(document)
            if len(batch) == BATCH:
                with translate_errors("write sessions"):
                    into.insert_many(batch, ordered=False)
                batch = []
        if batch:
            with translate_errors("write sessions"):
                into.insert_many(batch, ordered=False)
    typer.echo(msgspec.json.encode(shop.ledger.intent).decode())


def admitted(shop: Synthesis, settings: Settings) -> Iterator[Document]:
    """The archive's documents of the visits that the gate must admit."""
    return (documents.document(documents.decode(value)) for value in records(shop, settings))


def records(emissions: Iterable[Emission], settings: Settings) -> Iterator[bytes]:
    """What leaves the gate of the visits that it must admit; its filter's answer about known users made exact."""
    pseudonym = pseudonymizer(settings.require_pseudonym_key())
    limits = Limits.of(settings)
    known: set[str] = set()
    for emission in emissions:
        if emission.verdict != VALID:
            continue
        received_ms = int(emission.arrives_at.timestamp() * 1_000)
        found = check(emission.value, emission.key, received_ms, limits)
        if not isinstance(found, Candidate):
            raise ValueError(f"a record that must pass does not: {found}")
        user = pseudonym(found.session.user_id)
        yield admit(found, user, returning=user in known, received_ms=received_ms)
        known.add(user)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


if __name__ == "__main__":
    typer.run(run)
