"""Reference gate: slow, written from the descriptions in contracts/reject_reasons.py, with sets and dictionaries.

It shares only the record's contract with the generator, so it verifies a ground truth independently.
"""

import ipaddress
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn

import msgspec
from kafka.partitioner.default import murmur2

from include.contracts.session import Session
from include.contracts.settings import Settings
from include.ingest.labelled_record import LabelledRecord

VALID = "valid"


@dataclass
class Recount:
    """State of the reference gate."""

    verdicts: list[str] = field(default_factory=list)
    admitted: list[Session] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(self.verdicts).items()))

    @property
    def documents(self) -> dict[str, int]:
        views = [view for session in self.admitted for view in session.views]
        return {
            "session_summary": len(self.admitted),
            "product_details": len(views),
            "product_sentiment": sum(view.review is not None for view in views),
            "kpi_minute": len({(minute(session), category) for session in self.admitted for category in rows(session)}),
        }

    def kpi(self) -> dict[str, tuple[int, int, Decimal, int]]:
        """Category -> sessions, purchases, revenue, seconds."""
        results: dict[str, tuple[int, int, Decimal, int]] = {}
        for session in self.admitted:
            for category in rows(session):
                sums = results.get(category, (0, 0, Decimal(0), 0))
                bought = session.purchase
                results[category] = (
                    sums[0] + 1,
                    sums[1] + bought.made,
                    sums[2] + Decimal(str(bought.amount)),
                    sums[3] + session.duration_s,
                )
        return results


def minute(session: Session) -> datetime:
    return session.started_at.replace(second=0, microsecond=0)


def rows(session: Session) -> set[str]:
    return {view.category for view in session.views if view.category is not None} | {"all"}


def recount(labelled_records: Iterable[LabelledRecord], settings: Settings, broker_time: datetime) -> Recount:
    """Decide every record in order of arrival in its partition, all at one broker time."""
    seen: set[str] = set()
    admitted_users: set[str] = set()
    user_counts: Counter[tuple[str, datetime]] = Counter()
    network_counts: Counter[tuple[int, str, datetime]] = Counter()
    result = Recount()
    for labelled in labelled_records:
        reason, session = validate_record(labelled, settings, broker_time)
        if session is not None:
            partition = (murmur2(labelled.key) & 0x7FFFFFFF) % settings.kafka.partitions
            reason = _validate_in_context(
                session, partition, settings, seen, admitted_users, user_counts, network_counts
            )
            seen.add(session.session_id)
            if reason is None:
                admitted_users.add(session.user_id)
                result.admitted.append(session)
        result.verdicts.append(reason or VALID)
    return result


def validate_record(labelled: LabelledRecord, settings: Settings, now: datetime) -> tuple[str | None, Session | None]:
    """Return a reason by the stateless checks, or the session."""
    reason = validate_bytes(labelled.value, settings)
    if reason is not None:
        return reason, None
    try:
        session = msgspec.json.decode(labelled.value, type=Session)
    except msgspec.ValidationError:
        return "contract_violation", None
    reason = validate_session(session, labelled, settings, now)
    return reason, None if reason else session


def validate_bytes(value: bytes, settings: Settings) -> str | None:
    if not value:
        return "empty"
    if len(value) > settings.gate.max_record_bytes:
        return "too_long"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "not_utf8"
    try:
        tree = json.loads(text, parse_constant=_reject_constant)
        json.dumps(tree, ensure_ascii=False).encode()
    except ValueError:
        return "malformed_json"
    if not isinstance(tree, dict):
        return "malformed_json"
    return None if tree.get("v") == 1 else "unknown_version"


def validate_session(session: Session, labelled: LabelledRecord, settings: Settings, now: datetime) -> str | None:
    if json.loads(labelled.value, object_pairs_hook=_has_duplicate_key) is True:
        return "repeated_key"
    if _has_control(json.loads(labelled.value), ""):
        return "control_character"
    if labelled.key != session.user_id.encode():
        return "wrong_key"
    if session.started_at > now + timedelta(seconds=settings.gate.max_future_s):
        return "future_clock"
    return "past_clock" if session.started_at < now - timedelta(days=settings.gate.max_past_days) else None


def _validate_in_context(
    session: Session,
    partition: int,
    settings: Settings,
    seen: set[str],
    admitted_users: set[str],
    user_counts: Counter[tuple[str, datetime]],
    network_counts: Counter[tuple[int, str, datetime]],
) -> str | None:
    if session.session_id in seen:
        return "duplicate"
    if session.clicks is not None and session.clicks > settings.gate.max_clicks_per_s * max(session.duration_s, 1):
        return "impossible_pace"
    user_counts[session.user_id, minute(session)] += 1
    if user_counts[session.user_id, minute(session)] > settings.gate.max_user_sessions_per_minute:
        return "rate_user"
    if session.ip is not None:
        location = (partition, network(session.ip), minute(session))
        network_counts[location] += 1
        if network_counts[location] > settings.gate.max_network_sessions_per_minute:
            return "rate_network"
    if session.user_id in admitted_users:
        return None
    if session.device.type == "unknown":
        return "unknown_device"
    return "unknown_referrer" if session.referrer == "unknown" else None


def network(ip: str) -> str:
    length = 24 if ipaddress.ip_address(ip).version == 4 else 48
    return str(ipaddress.ip_network(f"{ip}/{length}", strict=False))


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _has_duplicate_key(pairs: list[tuple[str, Any]]) -> Any:
    """Return whether an object, or a nested one, has a duplicate key."""
    names = [name for name, _ in pairs]
    inside = any(value is True and name != "made" for name, value in pairs)
    return True if inside or len(set(names)) < len(names) else dict(pairs)


def _has_control(node: Any, name: str) -> bool:
    if isinstance(node, dict):
        return any(_has_control(part, key) for key, part in node.items())
    if isinstance(node, list):
        return any(_has_control(part, name) for part in node)
    allowed = "\n\r\t" if name == "review" else ""
    return isinstance(node, str) and any(ord(sign) < 32 and sign not in allowed for sign in node)


def max_sessions_per_minute(labelled_records: Iterable[LabelledRecord]) -> dict[str, int]:
    """Return the largest number of admitted sessions of one user and of one network in one event minute."""
    users: dict[Any, int] = defaultdict(int)
    networks: dict[Any, int] = defaultdict(int)
    for labelled in labelled_records:
        if labelled.verdict != VALID:
            continue
        session = msgspec.json.decode(labelled.value, type=Session)
        users[session.user_id, minute(session)] += 1
        networks[network(session.ip or "0.0.0.0"), minute(session)] += 1
    return {"user": max(users.values()), "network": max(networks.values())}
