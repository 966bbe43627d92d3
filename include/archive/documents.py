"""One session as the archive holds it: `_id` is the document id, times are dates; and back again."""

from datetime import datetime
from typing import Any

import msgspec

from include.contracts.session import ValidSession

_decoder = msgspec.json.Decoder(ValidSession)


def decode(value: bytes) -> ValidSession:
    """A record of `sessions.valid`. Raises ValueError (or a kind of it) for what is no session."""
    try:
        return _decoder.decode(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def document(session: ValidSession) -> dict[str, Any]:
    """The document of a session. MongoDB keeps times to the millisecond, in UTC."""
    fields: dict[str, Any] = msgspec.to_builtins(session, builtin_types=(datetime,))
    return {"_id": session.document_id, **fields}


def session(result: dict[str, Any]) -> ValidSession:
    """The session of a document whose times are aware. Raises msgspec.ValidationError where it is none."""
    fields = dict(result)
    del fields["_id"]
    return msgspec.convert(fields, ValidSession)
