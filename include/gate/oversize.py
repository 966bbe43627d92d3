"""Records whose outputs the broker refuses for their size: they are singled out, then become verdicts."""

import logging
from collections.abc import Sequence, Set

from include.contracts.errors import TerminalError
from include.gate.decide import Output
from include.gate.sink import OversizeError

log = logging.getLogger(__name__)

SINGLE_COMMITS = 20
"""So many transactions in a row without a refusal, and records are sent in full batches again."""


class OversizeRecords:
    """What is known of refused records. One thread notes errors, the one that commits notes successes."""

    def __init__(self) -> None:
        self._origins: set[tuple[int, int]] = set()
        self._commits = 0
        self.single = False
        """Whether each record needs a request of its own, so that the next error names the record."""

    @property
    def origins(self) -> Set[tuple[int, int]]:
        """Origins (partition, offset) that must become verdicts: a live view."""
        return self._origins

    def refused(self, error: OversizeError) -> None:
        """Note what the broker refused. Raises TerminalError where it refuses even a verdict."""
        self.single, self._commits = True, 0
        known: list[Output] = [output for output in error.outputs if output.origin in self._origins]
        if known:
            raise TerminalError(
                f"produce to {known[0].topic} failed: the broker refuses even {len(known[0].value)} bytes",
                "raise the topic's max.message.bytes",
            )
        self._origins.update(output.origin for output in error.outputs)
        log.warning("%s: %d records become too_long", error, len(error.outputs))

    def committed(self, outputs: Sequence[Output]) -> None:
        """Forget records whose verdicts are committed."""
        if not self.single:
            return
        self._commits += 1
        self._origins.difference_update([output.origin for output in outputs])

    def is_over(self) -> bool:
        """Return whether full batches can be sent again, once."""
        if not self.single or self._origins or self._commits < SINGLE_COMMITS:
            return False
        self.single = False
        return True
