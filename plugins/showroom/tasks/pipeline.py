"""What supervision and reconciliation found, for the Pipeline dashboard."""

import logging
from collections.abc import Sequence

from include.contracts.documents import PipelineEvent
from include.contracts.errors import ShowroomError
from include.contracts.settings import Settings
from include.serving.client import connect
from include.serving.pipeline import write

_log = logging.getLogger(__name__)


def tell(current: Settings, events: Sequence[PipelineEvent]) -> None:
    """Store events. One that cannot be stored is only logged: a dashboard's figures stop no supervision."""
    try:
        with connect(current) as client:
            write(client, current, events)
    except ShowroomError as error:
        _log.warning("%d events of the pipeline are not stored: %s", len(events), error)
    except Exception:
        _log.exception("%d events of the pipeline are not stored", len(events))
