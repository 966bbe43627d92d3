"""The gate's Redis Function, one version for each state of its source.

The names of the library and of the function contain a digest of the source. Gates of different releases can therefore
run concurrently during a rolling update, each with its own rules.
"""

import hashlib
import logging
from importlib import resources
from typing import Any

import redis
from redis.exceptions import ResponseError

from include.contracts import redis_keys

log = logging.getLogger(__name__)

FILES = ("claims.lua", "state.lua")
LIBRARY = "showroom_gate"
VERSION_CHARACTERS = 12
USED_TTL_S = 3_600
"""A version that no gate has used for this long is removed. A gate that still needs it loads it again."""


class Function:
    """The Redis Function of this release on one Redis."""

    def __init__(self, client: "redis.Redis") -> None:
        source = "\n".join(resources.files("include.gate").joinpath(name).read_text() for name in FILES)
        self._version = hashlib.sha256(source.encode()).hexdigest()[:VERSION_CHARACTERS]
        self._library = f"{LIBRARY}_{self._version}"
        self._source = f"#!lua name={self._library}\n" + source.replace("@VERSION@", self._version)
        self._redis = client

    @property
    def name(self) -> str:
        """The name of the function to call."""
        return f"gate_decide_{self._version}"

    def load(self) -> None:
        """Load the library unless Redis has it, and remove unused versions. Raises redis' own errors."""
        try:
            self._redis.function_load(self._source)
        except ResponseError as error:
            if "already exists" not in str(error):
                raise
        self.mark_used(self._redis)
        self._remove_stale()

    def mark_used(self, client: Any) -> None:
        """Record on `client` (a connection or a pipeline) that a gate uses this version."""
        client.set(redis_keys.function_used(self._library), 1, ex=USED_TTL_S)

    def _remove_stale(self) -> None:
        for row in self._redis.function_list(library=f"{LIBRARY}*"):
            library = _library_name(row)
            if library == self._library or self._redis.exists(redis_keys.function_used(library)):
                continue
            try:
                self._redis.function_delete(library)
                log.info("removed the unused function library %s", library)
            except ResponseError as error:
                if "not found" not in str(error):  # another gate has removed it
                    raise


def _library_name(row: Any) -> str:
    """Return the name in one entry of FUNCTION LIST, whose shape depends on the client's protocol."""
    fields = row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))
    named = {_text(name): value for name, value in fields.items()}
    return _text(named["library_name"])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
