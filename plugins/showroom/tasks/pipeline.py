"""Index decisions and reconciled hours as events of the Pipeline dashboard."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from include.clients.elasticsearch import connect
from include.contracts.errors import ShowroomError
from include.contracts.index_documents import PipelineEvent
from include.contracts.settings import ElasticsearchSettings
from include.serving.pipeline_events import TIMEOUT_S, latest_event_time, write_events
from include.supervise.decision_log import DecisionRecord
from include.supervise.events import events_from_decision

MAX_MISSED_DECISIONS = 30
"""Maximum number of decisions that one run indexes; older ones stay in the decision log only."""

_log = logging.getLogger(__name__)


def index_missed_decisions(settings: ElasticsearchSettings, records: Sequence[DecisionRecord]) -> None:
    """Index the decisions after the newest indexed one, oldest first.

    Decisions that fail to index are retried by the next run, so an outage of Elasticsearch becomes visible after it.

    Args:
        settings: Addresses.
        records: The newest records of the decision log. The alerts of the oldest one count as sent.
    """
    ordered = sorted(records, key=lambda record: record.at)
    try:
        with connect(settings) as client:
            newest_at = latest_event_time(client.options(request_timeout=TIMEOUT_S, max_retries=0), "decision")
            for earlier, record in pairwise([None, *ordered]):
                if record is not None and _is_missing(record, newest_at, is_last=record is ordered[-1]):
                    already_sent = {finding.alert for finding in earlier.decision.alerts} if earlier else set()
                    write_events(client, settings, events_from_decision(record, already_sent))
    except ShowroomError as error:
        _log.warning("index decisions failed: %s; the next run retries", error)
    except Exception:
        _log.exception("index decisions failed")


def _is_missing(record: DecisionRecord, newest_at: datetime | None, *, is_last: bool) -> bool:
    if newest_at is None:
        return is_last
    # Documents have whole milliseconds.
    at = datetime.fromtimestamp(record.at, UTC)
    return at.replace(microsecond=at.microsecond // 1_000 * 1_000) > newest_at


def index_events(settings: ElasticsearchSettings, events: Sequence[PipelineEvent]) -> None:
    """Index events. A failure is only logged, because a dashboard must not stop supervision."""
    try:
        with connect(settings) as client:
            write_events(client, settings, events)
    except ShowroomError as error:
        _log.warning("index %d events failed: %s", len(events), error)
    except Exception:
        _log.exception("index %d events failed", len(events))
