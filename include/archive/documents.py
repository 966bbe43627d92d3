"""Convert sessions to archive documents and back. `_id` is the document id; times are dates."""

from datetime import datetime
from typing import Any

import msgspec

from include.contracts.session import ValidSession

_decoder = msgspec.json.Decoder(ValidSession)


def decode(value: bytes) -> ValidSession:
    """Decode a record of `sessions.valid`. Raises ValueError if it is not a session."""
    try:
        return _decoder.decode(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def document(session: ValidSession) -> dict[str, Any]:
    """Return the document of a session. MongoDB stores times in UTC, with milliseconds."""
    fields: dict[str, Any] = msgspec.to_builtins(session, builtin_types=(datetime,))
    return {"_id": session.document_id, **fields}


def session(entry: dict[str, Any]) -> ValidSession:
    """Return the session of a document with aware times. Raises msgspec.ValidationError if it is not a session."""
    fields = dict(entry)
    del fields["_id"]
    return msgspec.convert(fields, ValidSession)
