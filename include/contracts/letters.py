"""Dead letters: what the stream could not index, as it lies in `documents.dead`."""

from msgspec import Struct


class Origin(Struct, frozen=True, kw_only=True, gc=False):
    """Where the record lies that a letter speaks of."""

    topic: str
    partition: int
    offset: int


class DeadLetter(Struct, frozen=True, kw_only=True, gc=False):
    """One document Elasticsearch refused, or one record no document could be made of (`id` is null).

    `document` is the JSON text, or the record's bytes with what is not UTF-8 escaped; `truncated` tells
    that it was cut, the whole lies at `origin`. Delivered at least once: letters of one origin and id
    are the same letter.
    """

    index: str
    id: str | None
    reason: str
    document: str
    truncated: bool
    origin: Origin
