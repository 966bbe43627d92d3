"""Readers of real shop logs: numbered lines to visits, in bounded memory; invalid lines are counted."""

from collections.abc import Callable, Iterator

from include.ingest.readers import online_retail, otto, rees46
from include.ingest.readers.lines import Line, ReaderStats
from include.ingest.readers.visit import LoggedVisit

Reader = Callable[[Iterator[Line], ReaderStats], Iterator[LoggedVisit]]

READERS: dict[str, Reader] = {
    "rees46": rees46.read,
    "otto": otto.read,
    "online_retail": online_retail.read,
}

FORMAT_MATCHERS: dict[str, Callable[[str], bool]] = {
    "rees46": rees46.matches,
    "otto": otto.matches,
    "online_retail": online_retail.matches,
}
"""Format -> function that returns whether a first line has the format."""
