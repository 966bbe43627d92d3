"""Each injected fault of one record is rejected for its own reason, whatever the original record."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from msgspec import structs

from include.contracts.session import Device, Location, Session
from include.contracts.settings import Settings
from include.ingest.fault_injection import inject_fault
from include.ingest.generator import synthesize
from include.ingest.labelled_record import LabelledRecord
from include.ingest.plan import Fault, FaultRates, Limits, Plan, microseconds
from include.ingest.population import Population
from include.ingest.visits import build_visit, draw_engagement
from tests.unit.ingest.reference_gate import minute, validate_record
from tests.unit.ingest.test_generator import sessions_of

SETTINGS = Settings()
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
PEOPLE = Population(3, 5_000, 10.0)
ONE_RECORD = [
    fault
    for fault in Fault
    if fault not in (Fault.BOT_USER, Fault.BOT_NETWORK, Fault.DUPLICATE, Fault.LATE, Fault.KNOWN_USER_UNKNOWN_DEVICE)
]


def session(rng: Random, umlauts: int = 1) -> Session:
    """Return a visit whose city and review have multi-byte characters, so that any cut may split one."""
    profile = PEOPLE.profile(rng.randrange(5_000))
    generated = build_visit(rng, profile, draw_engagement(rng, profile), "s-1", microseconds(NOW) - 3_600_000_000)
    position = Location(country="DE", state=None, city="ü" * umlauts, zip=None)
    views = [structs.replace(generated.session.views[0], review="ü" * (100 + umlauts))]
    return structs.replace(
        generated.session, views=views, location=position, device=Device(type="desktop", os=None, browser=None)
    )


@pytest.mark.parametrize("fault", ONE_RECORD)
def test_inject_fault_gives_one_reject_reason(fault: Fault) -> None:
    rng = Random(1)
    values = set()
    for number in range(12 if fault is Fault.TOO_LONG else 150):
        bad = inject_fault(fault, rng, session(rng, 1 + number), Limits.of(SETTINGS), microseconds(NOW))
        labelled = LabelledRecord(key=bad.key, value=bad.value, arrives_at=NOW, session_id="s-1", verdict=bad.reason)
        reason, read = validate_record(labelled, SETTINGS, NOW)
        if read is None:
            assert reason == bad.reason
        elif fault is Fault.PACE:
            assert read.clicks is not None
            assert read.clicks > SETTINGS.gate.max_clicks_per_s * read.duration_s
        else:
            assert (read.device.type == "unknown") == (fault is Fault.NEW_USER_UNKNOWN_DEVICE)
            assert (read.referrer == "unknown") == (fault is Fault.NEW_USER_UNKNOWN_REFERRER)
        values.add(bad.value)
    assert len(values) > 1 or fault is Fault.EMPTY


def test_user_has_at_most_one_late_visit_per_minute() -> None:
    what = Plan.of(
        SETTINGS,
        seed=1,
        start=NOW - timedelta(days=1),
        end=NOW,
        sessions=5_000,
        population=25,
        faults=structs.replace(FaultRates.none(), late=0.9),
    )
    late = [labelled for labelled in synthesize(what) if labelled.fault is Fault.LATE]
    assert len(late) > 4_000
    assert max(Counter((one.user_id, minute(one)) for one in sessions_of(late)).values()) == 1
