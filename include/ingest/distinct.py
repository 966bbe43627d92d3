"""Exact distinct counts with little memory, which can be stored and merged."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from hashlib import blake2b

import msgspec

PAGE_BITS = 10
_MASK = (1 << PAGE_BITS) - 1


class IntSet:
    """A set of non-negative integers as a paged bitmap: 1,024 neighbours take about 200 bytes."""

    def __init__(self, members: Iterable[int] = ()) -> None:
        self._pages: dict[int, int] = {}
        for member in members:
            self.add(member)

    def add(self, member: int) -> None:
        """Add one integer."""
        page = member >> PAGE_BITS
        self._pages[page] = self._pages.get(page, 0) | 1 << (member & _MASK)

    def __contains__(self, member: int) -> bool:
        return bool(self._pages.get(member >> PAGE_BITS, 0) >> (member & _MASK) & 1)

    def __len__(self) -> int:
        return sum(bits.bit_count() for bits in self._pages.values())

    def __iter__(self) -> Iterator[int]:
        for page, bits in sorted(self._pages.items()):
            for location in range(bits.bit_length()):
                if bits >> location & 1:
                    yield page << PAGE_BITS | location

    def update(self, other: "IntSet") -> None:
        """Add all members of `other`."""
        for page, bits in other._pages.items():
            self._pages[page] = self._pages.get(page, 0) | bits

    def pack(self) -> str:
        """Return the set as text, the input of `unpack`."""
        pages = {str(page): f"{bits:x}" for page, bits in sorted(self._pages.items())}
        return b64encode(zlib.compress(msgspec.json.encode(pages), 9)).decode()

    @classmethod
    def unpack(cls, text: str) -> "IntSet":
        """Return the set of a text from `pack`."""
        packed = cls()
        pages = msgspec.json.decode(zlib.decompress(b64decode(text)), type=dict[str, str])
        packed._pages = {int(page): int(bits, 16) for page, bits in pages.items()}
        return packed


class DistinctCounter:
    """Counts distinct texts by 64-bit fingerprints; beyond `limit` of them `count` is None."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: set[bytes] | None = set()

    def add(self, text: str) -> bool:
        """Add one text; return True if it is new."""
        if self._seen is None:
            return False
        mark = blake2b(text.encode(), digest_size=8).digest()
        if mark in self._seen:
            return False
        self._seen.add(mark)
        if len(self._seen) > self._limit:
            self._seen = None
        return True

    @property
    def count(self) -> int | None:
        """Return the number of distinct texts; None beyond the limit."""
        return None if self._seen is None else len(self._seen)

    @property
    def is_exact(self) -> bool:
        """Return whether the count is still exact."""
        return self._seen is not None
