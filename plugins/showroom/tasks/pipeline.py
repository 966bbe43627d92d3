"""What supervision and reconciliation found, for the Pipeline dashboard."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from include.clients.elasticsearch import connect
from include.contracts.documents import PipelineEvent
from include.contracts.errors import ShowroomError
from include.contracts.settings import Settings
from include.serving.pipeline import TIMEOUT_S, newest, write
from include.supervise.events import of_round
from include.supervise.journal import Entry

MISSED = 30
"""Rounds that are told later at most; one that could not be told is in the journal."""

_log = logging.getLogger(__name__)


def tell_rounds(current: Settings, entries: Sequence[Entry]) -> None:
    """Store what the journal's entries hold beyond the newest round that is stored, oldest first.

    What cannot be stored now is told by a later round: so an outage of Elasticsearch, and its alarm, are seen
    afterwards. The oldest entry is only there to know of which alarms people had been told.
    """
    ordered = sorted(entries, key=lambda entry: entry.at)
    try:
        with connect(current) as client:
            told = newest(client.options(request_timeout=TIMEOUT_S, max_retries=0), "decision")
            for earlier, entry in pairwise([None, *ordered]):
                if entry is not None and _is_untold(entry, told, is_last=entry is ordered[-1]):
                    known = {page.alarm for page in earlier.decision.pages} if earlier else set()
                    write(client, current, of_round(entry, known))
    except ShowroomError as error:
        _log.warning("the newest rounds are not stored, a later one tells of them: %s", error)
    except Exception:
        _log.exception("the newest rounds are not stored")


def _is_untold(entry: Entry, told: datetime | None, *, is_last: bool) -> bool:
    if told is None:
        return is_last
    # Documents have whole milliseconds.
    at = datetime.fromtimestamp(entry.at, UTC)
    return at.replace(microsecond=at.microsecond // 1_000 * 1_000) > told


def tell(current: Settings, events: Sequence[PipelineEvent]) -> None:
    """Store events. One that cannot be stored is only logged: a dashboard's figures stop no supervision."""
    try:
        with connect(current) as client:
            write(client, current, events)
    except ShowroomError as error:
        _log.warning("%d events of the pipeline are not stored: %s", len(events), error)
    except Exception:
        _log.exception("%d events of the pipeline are not stored", len(events))
