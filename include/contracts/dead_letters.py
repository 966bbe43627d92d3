"""Dead letters: documents that Elasticsearch refused, as stored in `documents.dead`."""

from typing import NamedTuple

import msgspec
from msgspec import Struct

# Errors that depend on the document alone. A closed list, because Elasticsearch also returns 400, 403, 404 and 500
# for states of an index: a write block, a closed index, the shard limit, a missing privilege. Verified with 8.19.
DOCUMENT_ERRORS = frozenset(
    {"document_parsing_exception", "mapper_parsing_exception", "strict_dynamic_mapping_exception"}
)


class Origin(Struct, frozen=True, kw_only=True, gc=False):
    """Position of the record that a dead letter was made of."""

    topic: str
    partition: int
    offset: int


class DeadLetter(Struct, frozen=True, kw_only=True, gc=False):
    """One refused document, or one record that no document could be built from (`id` is null).

    `document` is the JSON text, or the record's bytes with invalid UTF-8 escaped. If `truncated`, the whole record is
    at `origin`. `target` is the index behind the alias `index`; null in dead letters of earlier versions. Delivered at
    least once: dead letters with one origin and id are the same.
    """

    index: str
    target: str | None = None
    id: str | None
    reason: str
    document: str
    truncated: bool
    origin: Origin

    @property
    def redrivable(self) -> bool:
        """Whether it contains a whole document, which can be indexed after the cause is fixed."""
        return self.id is not None and not self.truncated


def decode(value: bytes | None) -> DeadLetter | None:
    """Decode a record of `documents.dead`; None if it is not a dead letter."""
    try:
        return msgspec.json.decode(value or b"", type=DeadLetter)
    except ValueError:
        return None


class StoredDeadLetter(NamedTuple):
    """A dead letter with its position in `documents.dead`."""

    partition: int
    offset: int
    dead_letter: DeadLetter
