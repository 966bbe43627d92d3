"""Reject reasons of the gate: a closed set, in the order of the checks."""

from enum import StrEnum


class Reason(StrEnum):
    """A verdict other than `valid`. Rejected records carry the value in the header `reason`."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    NOT_UTF8 = "not_utf8"
    MALFORMED_JSON = "malformed_json"
    UNKNOWN_VERSION = "unknown_version"
    CONTRACT_VIOLATION = "contract_violation"
    REPEATED_KEY = "repeated_key"
    CONTROL_CHARACTER = "control_character"
    WRONG_KEY = "wrong_key"
    FUTURE_CLOCK = "future_clock"
    PAST_CLOCK = "past_clock"
    DUPLICATE = "duplicate"
    BLOCKED_USER = "blocked_user"
    BLOCKED_NETWORK = "blocked_network"
    IMPOSSIBLE_PACE = "impossible_pace"
    RATE_USER = "rate_user"
    RATE_NETWORK = "rate_network"
    UNKNOWN_DEVICE = "unknown_device"
    UNKNOWN_REFERRER = "unknown_referrer"
    DEDUP_ENTRY_EXPIRED = "dedup_entry_expired"


MEANING: dict[Reason, str] = {
    Reason.EMPTY: "the record has no value",
    Reason.TOO_LONG: "the value is longer than SHOWROOM_GATE_MAX_RECORD_BYTES",
    Reason.NOT_UTF8: "the value is not UTF-8",
    Reason.MALFORMED_JSON: "the value is not one JSON object (NaN, Infinity and lone surrogates included)",
    Reason.UNKNOWN_VERSION: "field v is missing, or its version is not supported",
    Reason.CONTRACT_VIOLATION: "a field is missing, unknown, of an invalid type or out of range",
    Reason.REPEATED_KEY: "an object has a duplicate key",
    Reason.CONTROL_CHARACTER: "a string contains a control character (line breaks and tabs are allowed in reviews)",
    Reason.WRONG_KEY: "the record's key is not the session's user_id",
    Reason.FUTURE_CLOCK: "started_at is more than SHOWROOM_GATE_MAX_FUTURE_S after the broker's time",
    Reason.PAST_CLOCK: "started_at is more than SHOWROOM_GATE_MAX_PAST_DAYS before the broker's time",
    Reason.DUPLICATE: "another record claimed this session_id within the duplicate window",
    Reason.BLOCKED_USER: "the user is on the block list",
    Reason.BLOCKED_NETWORK: "the network is on the block list",
    Reason.IMPOSSIBLE_PACE: "more clicks a second than SHOWROOM_GATE_MAX_CLICKS_PER_S",
    Reason.RATE_USER: "more sessions of this user a minute than SHOWROOM_GATE_MAX_USER_SESSIONS_PER_MINUTE",
    Reason.RATE_NETWORK: "more sessions of this network a minute than SHOWROOM_GATE_MAX_NETWORK_SESSIONS_PER_MINUTE",
    Reason.UNKNOWN_DEVICE: "a new user whose device the site could not detect",
    Reason.UNKNOWN_REFERRER: "a new user whose referrer the site could not detect",
    Reason.DEDUP_ENTRY_EXPIRED: "redelivered after its dedup entry had expired: the first verdict is unknown",
}
