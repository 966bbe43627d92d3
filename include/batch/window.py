"""The time window of a run, and the start of its test part."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from include.contracts.errors import SettingsError


@dataclass(frozen=True)
class Window:
    """Sessions that began in [start, end), both in UTC. The last `test_days` of it are never trained on."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Parse `START/END` in ISO 8601; a time without an offset is UTC.

        Raises:
            SettingsError: the text is not a window, or the window is empty.
        """
        try:
            start, end = (_utc(datetime.fromisoformat(part)) for part in text.split("/"))
        except ValueError as error:
            raise SettingsError(
                f"window {text!r} is not START/END in ISO 8601", "give two times, such as 2026-11-09/2026-11-23"
            ) from error
        if start >= end:
            raise SettingsError(f"window {text} is empty: its end is not after its start", "give two times in order")
        return cls(start, end)

    def __str__(self) -> str:
        """Return the format that `parse` reads."""
        return f"{self.start.isoformat()}/{self.end.isoformat()}"

    def cut(self, test_days: float) -> datetime:
        """Return the start of the test part.

        Raises:
            SettingsError: the window is not longer than its test part.
        """
        cut = self.end - timedelta(days=test_days)
        if cut <= self.start:
            raise SettingsError(
                f"window {self} is not longer than its test part of {test_days:g} days",
                "give a longer window or fewer split.test_days",
            )
        return cut


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
