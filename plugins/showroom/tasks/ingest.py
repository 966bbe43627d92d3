"""Sessions into Kafka: an interval of the synthetic shop, or the log of a real one."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from airflow.providers.mongo.hooks.mongo import MongoHook

from include.archive.store import database
from include.clients.mongodb import translate_errors
from include.contracts.archive import LEDGERS
from include.contracts.settings import Settings
from include.ingest.plan import Limits, Plan
from include.ingest.publisher import publish
from include.ingest.replay import replay
from include.ingest.shop import synthesize
from showroom.environment import settings
from showroom.verdicts import verdicts

MINUTE_S = 60.0


def plan_of(current: Settings, start: datetime, end: datetime, params: Mapping[str, Any]) -> Plan:
    """The plan of a run: its data interval at the usual volume, or what a person asked for.

    `params`: `sessions` (None: the usual volume), `days` before `end` (None: from `start`), `seed` (None: the
    settings'). Equal arguments give equal session ids.
    """
    start, end = _plain(start), _plain(end)
    since = end - timedelta(days=params["days"]) if params.get("days") else start
    usual = round(current.synthetic_per_minute * (end - since).total_seconds() / MINUTE_S)
    sessions = params["sessions"] if params.get("sessions") is not None else usual
    seed = params["seed"] if params.get("seed") is not None else current.synthetic_seed
    return Plan.of(current, seed=seed, start=since, end=end, sessions=sessions)


def _plain(instant: datetime) -> datetime:
    """The same instant as Python's own class, in UTC: Airflow's loses its zone in `astimezone`."""
    return datetime.fromisoformat(instant.isoformat()).astimezone(UTC)


def synthesize_interval(start: datetime, end: datetime, params: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the interval's sessions, then keep its ledger of truth; what was sent and must be counted."""
    with verdicts():
        current = settings()
        plan = plan_of(current, start, end, params)
        plan.check_clock(datetime.now(UTC))
        shop = synthesize(plan)
        report = publish(current, shop)
        _keep(plan.tag, msgspec.json.encode(shop.ledger), current)
        expected = shop.ledger.expected
        return {"tag": plan.tag, "produced": report.acknowledged, "verdicts": dict(expected.verdicts)}


def replay_log(params: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the sessions of a log: `path`, `format`, `rate` a second, `limit` of sessions; what it held."""
    with verdicts():
        current = settings()
        log = replay(Path(params["path"]), Limits.of(current), format=params["format"], limit=params.get("limit"))
        report = publish(current, log, rate=params.get("rate"))
        told = log.report
        _keep(f"replay:{Path(params['path']).name}", msgspec.json.encode(told), current)
        first = [msgspec.to_builtins(line) for line in told.first_bad_lines]
        return {
            "format": told.format,
            "lines": told.lines,
            "bad_lines": told.bad_lines,
            "first_bad_lines": first,
            "produced": report.acknowledged,
            "verdicts": dict(told.expected.verdicts),
        }


def _keep(identity: str, ledger: bytes, current: Settings) -> None:
    """Keep the truth under its name; the same interval again replaces it."""
    entry = {"ledger": ledger.decode(), "written_at": datetime.now(UTC)}
    with MongoHook() as hook, translate_errors("keep the ledger"):
        database(hook.get_conn(), current)[LEDGERS].replace_one({"_id": identity}, entry, upsert=True)
