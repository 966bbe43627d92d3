"""Plans without a valid ground truth are rejected with the setting's name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from include.contracts.errors import SettingsError
from include.contracts.settings import GateSettings, Settings
from include.ingest.plan import FaultRates, Plan

END = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def plan(limits: Settings | None = None, **changes: Any) -> Plan:
    usual: dict[str, Any] = {"seed": 1, "start": END - timedelta(days=1), "end": END, "sessions": 100}
    return Plan.of(limits or Settings(), **{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"end": END - timedelta(days=1)}, "empty"),
        ({"start": END.replace(tzinfo=None) - timedelta(days=1), "end": END.replace(tzinfo=None)}, "time zone"),
        ({"sessions": -1}, "sessions"),
        ({"sessions": 1_000_000, "population": 100}, "population"),
        ({"population": 0}, "population"),
        ({"faults": FaultRates(late=-0.1)}, "rate"),
        ({"faults": FaultRates(late=0.6, malformed=0.6)}, "add up"),
        ({"limits": Settings(gate=GateSettings(max_clicks_per_s=0.5))}, "max_clicks_per_s"),
        ({"limits": Settings(gate=GateSettings(max_user_sessions_per_minute=2))}, "max_user_sessions_per_minute"),
        ({"limits": Settings(gate=GateSettings(max_network_sessions_per_minute=5))}, "max_network_sessions_per_minute"),
        (
            {
                "limits": Settings(
                    gate=GateSettings(max_network_sessions_per_minute=30, max_user_sessions_per_minute=40)
                )
            },
            "max_network_sessions_per_minute",
        ),
    ],
)
def test_plan_invalid_settings_raise_with_cause(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        plan(**changes)


@pytest.mark.parametrize(
    ("now", "limits", "word"),
    [
        (END - timedelta(days=2), Settings(), "future"),
        (END + timedelta(days=7_400), Settings(), "MAX_PAST_DAYS ago"),
        (END + timedelta(days=401), Settings(), "future_clock"),
        (END, Settings(gate=GateSettings(max_past_days=25_000)), "past_clock"),
    ],
)
def test_check_clock_distant_interval_raises(now: datetime, limits: Settings, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        plan(limits).check_clock(now)


def test_check_clock_recent_interval_passes() -> None:
    plan().check_clock(END)
    plan().check_clock(END - timedelta(minutes=1))
    structs.replace(plan(), faults=FaultRates.none()).check_clock(END + timedelta(days=900))


def test_population_grows_with_the_volume() -> None:
    assert plan().population == 20_000
    assert plan(sessions=200_000, start=END - timedelta(minutes=1)).population == 1_200_000


def test_tag_depends_on_seed_and_interval_only() -> None:
    assert plan().tag == plan(sessions=7).tag
    assert len({plan().tag, plan(seed=2).tag, plan(end=END + timedelta(seconds=1)).tag}) == 3
