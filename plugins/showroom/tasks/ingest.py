"""Publish sessions to Kafka: an interval of the synthetic shop, or the log of a real one."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from airflow.providers.mongo.hooks.mongo import MongoHook

from include.archive.store import database
from include.clients.mongodb import translate_errors
from include.contracts.collections import LEDGERS
from include.contracts.settings import MongodbSettings, Settings
from include.ingest.generator import synthesize
from include.ingest.plan import Limits, Plan
from include.ingest.publisher import publish
from include.ingest.replay import replay
from showroom.fail_fast import fail_fast_on_terminal
from showroom.settings import load_settings

MINUTE_S = 60.0


def plan_of(settings: Settings, start: datetime, end: datetime, params: Mapping[str, Any]) -> Plan:
    """Return the plan of a run: its data interval at the usual volume, or the requested one.

    Args:
        settings: Volume and seed.
        start: Start of the data interval.
        end: End of the data interval.
        params: `sessions` (None: the usual volume), `days` before `end` (None: from `start`), `seed` (None: that of
            the settings). Equal arguments give equal session ids.
    """
    start, end = _plain(start), _plain(end)
    since = end - timedelta(days=params["days"]) if params.get("days") else start
    usual = round(settings.ingest.sessions_per_minute * (end - since).total_seconds() / MINUTE_S)
    sessions = params["sessions"] if params.get("sessions") is not None else usual
    seed = params["seed"] if params.get("seed") is not None else settings.ingest.seed
    return Plan.of(settings, seed=seed, start=since, end=end, sessions=sessions)


def _plain(instant: datetime) -> datetime:
    """Return the instant as a `datetime` in UTC, because Airflow's class loses its zone in `astimezone`."""
    return datetime.fromisoformat(instant.isoformat()).astimezone(UTC)


def synthesize_interval(start: datetime, end: datetime, params: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the interval's sessions and store their ground truth; return the sent and the expected counts."""
    with fail_fast_on_terminal():
        settings = load_settings()
        plan = plan_of(settings, start, end, params)
        plan.check_clock(datetime.now(UTC))
        shop = synthesize(plan)
        report = publish(settings.kafka, shop)
        _store_ground_truth(plan.tag, msgspec.json.encode(shop.ground_truth), settings.mongodb)
        expected = shop.ground_truth.expected
        return {"tag": plan.tag, "produced": report.acknowledged, "verdicts": dict(expected.verdicts)}


def replay_log(params: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the sessions of a log; return its counts.

    Args:
        params: `path`, `format`, `rate` per second, `limit` of sessions.
    """
    with fail_fast_on_terminal():
        settings = load_settings()
        log = replay(Path(params["path"]), Limits.of(settings), format=params["format"], limit=params.get("limit"))
        report = publish(settings.kafka, log, rate=params.get("rate"))
        log_report = log.report
        _store_ground_truth(f"replay:{Path(params['path']).name}", msgspec.json.encode(log_report), settings.mongodb)
        first = [msgspec.to_builtins(line) for line in log_report.first_bad_lines]
        return {
            "format": log_report.format,
            "lines": log_report.lines,
            "bad_lines": log_report.bad_lines,
            "first_bad_lines": first,
            "produced": report.acknowledged,
            "verdicts": dict(log_report.expected.verdicts),
        }


def _store_ground_truth(run_id: str, ledger: bytes, settings: MongodbSettings) -> None:
    """Store the ground truth under an id; the same interval again replaces it."""
    entry = {"ledger": ledger.decode(), "written_at": datetime.now(UTC)}
    with MongoHook() as hook, translate_errors("store the ground truth"):
        database(hook.get_conn(), settings)[LEDGERS].replace_one({"_id": run_id}, entry, upsert=True)
