"""KPIs per minute by Flink SQL equal the reference counts in Python."""

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyflink.common import RowKind
from pyflink.table import EnvironmentSettings, TableEnvironment

from flink.schema import flink_columns
from flink.statements import KPI_COLUMNS, kpi_query
from include.contracts.index_documents import KpiMinute
from include.contracts.session import Purchase, ValidSession
from include.contracts.settings import Settings, StreamSettings
from tests.valid_sessions import STARTED, encoded, expected_kpis, valid_session, viewed

SETTINGS = Settings(stream=StreamSettings(lateness_threshold_s=600))
CATEGORIES = ("living_room", "bed|room", "all", "büro 'n' mehr", None)
Count = Callable[[list[bytes]], dict[str, dict[str, Any]]]


@pytest.fixture
def count(tmp_path: Path) -> Count:
    """Return a function that runs the job's query over records in a file."""

    def run(records: list[bytes]) -> dict[str, dict[str, Any]]:
        (tmp_path / "valid.json").write_bytes(b"\n".join(records))
        tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        for key, value in (("parallelism.default", "1"), ("table.local-time-zone", "UTC")):
            tables.get_config().set(key, value)
        tables.execute_sql(
            f"CREATE TEMPORARY TABLE valid_sessions ({flink_columns(ValidSession, KPI_COLUMNS)}) WITH "
            f"('connector' = 'filesystem', 'path' = '{tmp_path.as_uri()}/valid.json', 'format' = 'json', "
            "'json.ignore-parse-errors' = 'true', 'json.timestamp-format.standard' = 'ISO-8601')"
        )
        rows: dict[str, dict[str, Any]] = {}
        with tables.execute_sql(kpi_query(SETTINGS.stream)).collect() as changes:
            for change in changes:
                if change.get_row_kind() in (RowKind.INSERT, RowKind.UPDATE_AFTER):
                    rows[change[0]] = dict(zip(KpiMinute.__struct_fields__, list(change)[1:], strict=True))
        return rows

    return run


def random_sessions(number: int) -> list[ValidSession]:
    """Return sessions of few minutes, users and days, so that rows aggregate many of them; some are very late."""
    rng = random.Random(11)
    sessions = []
    for index in range(number):
        started = STARTED + timedelta(seconds=rng.uniform(-200, 200))
        seconds = rng.randrange(1_000)
        delay = timedelta(seconds=rng.choice([1, 599, 600, 601, 90_000]))
        made = rng.random() < 0.4
        categories = rng.choices(CATEGORIES, k=rng.randrange(4))
        sessions.append(
            valid_session(
                session_id=f"s-{index}",
                user_id=f"u-{rng.randrange(5)}",
                started_at=started,
                duration_s=seconds,
                received_at=started + timedelta(seconds=seconds) + delay,
                views=[viewed(category=category) for category in categories],
                purchase=Purchase(made=made, amount=rng.randrange(-5_000, 90_000) / 100 if made else 0.0, payment=None),
            )
        )
    return sessions


def test_kpi_query_equals_the_reference_counts(count: Count) -> None:
    sessions = random_sessions(300)
    counted = count([encoded(session) for session in sessions])
    expected = expected_kpis(sessions, SETTINGS.stream.lateness_threshold_s)
    assert counted.keys() == expected.keys()
    for row_id, row in expected.items():
        assert counted[row_id] == pytest.approx(row), row_id


def test_kpi_query_counts_a_session_once_in_all_and_once_per_category(count: Count) -> None:
    session = valid_session(views=[viewed(), viewed(), viewed(category="office"), viewed(category="all")])
    rows = count([encoded(session)])
    assert {row["category"]: row["sessions"] for row in rows.values()} == {"living_room": 1, "office": 1, "all": 1}


def test_kpi_query_skips_invalid_records(count: Count) -> None:
    good = valid_session()
    broken = [
        b"{",
        b"null",
        b"[]",
        b'{"v":1}',
        encoded(good).replace(b'"v":1', b'"v":9'),
        encoded(good).replace(b"2026-11-23T08:15:30", b"yesterday"),
    ]
    rows = count([*broken, encoded(good), b"\xff\xfe"])
    assert rows == expected_kpis([good], SETTINGS.stream.lateness_threshold_s)
