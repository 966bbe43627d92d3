"""Dead letters: what the stream could not index, as it lies in `documents.dead`."""

from typing import NamedTuple

import msgspec
from msgspec import Struct

# The errors that are properties of the document: no state of the cluster causes or cures them.
# A closed list, because Elasticsearch answers 400, 403, 404 and 500 to states of an index as well: a write block,
# a closed index, the shard limit of the cluster, a missing privilege. Checked against Elasticsearch 8.19.
DOCUMENT_ERRORS = frozenset(
    {"document_parsing_exception", "mapper_parsing_exception", "strict_dynamic_mapping_exception"}
)


class Origin(Struct, frozen=True, kw_only=True, gc=False):
    """Where the record lies that a letter speaks of."""

    topic: str
    partition: int
    offset: int


class DeadLetter(Struct, frozen=True, kw_only=True, gc=False):
    """One document Elasticsearch refused, or one record no document could be made of (`id` is null).

    `document` is the JSON text, or the record's bytes with what is not UTF-8 escaped; `truncated` tells
    that it was cut, the whole lies at `origin`. `target` is the index behind the alias `index` that refused it,
    null in letters of earlier versions. Delivered at least once: letters of one origin and id are the same letter.
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
        """Whether it holds a whole document, which can be indexed once the cause is repaired."""
        return self.id is not None and not self.truncated


def decode(value: bytes | None) -> DeadLetter | None:
    """Return the letter of a record of `documents.dead`; None where the record is no letter."""
    try:
        return msgspec.json.decode(value or b"", type=DeadLetter)
    except ValueError:
        return None


class StoredDeadLetter(NamedTuple):
    """A letter with its place in `documents.dead`."""

    partition: int
    offset: int
    dead_letter: DeadLetter
