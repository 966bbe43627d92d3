"""The Live page's answers to the browser: one panel a request, held for as long as nobody wants it newer."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from fastapi import status

from include.contracts.errors import ShowroomError, TerminalError
from include.serving.panels import Board, Panel
from showroom.pages import wording
from showroom.pages.asked import Asked, before
from showroom.pages.boards import unfiltered
from showroom.pages.drawing import draw
from showroom.pages.held import Shelf
from showroom.pages.sources import Away, Sources

AT_ONCE = 6
SIZE = 400
PATIENCE = 0.8
"""Part of the refresh time that an answer is held: who asks after the whole of it gets a new one."""
FRESH_S = 60.0

Answer = tuple[int, dict[str, Any]]
"""HTTP status and content."""


class Answers:
    """Answers over the sources; equal questions share one, however many ask."""

    def __init__(self, sources: Callable[[], Sources], boards: Callable[[], Mapping[str, Board]]) -> None:
        self._sources = sources
        self._boards = boards
        self._shelf: Shelf[Answer] = Shelf(AT_ONCE, SIZE, good=lambda answer: answer[0] == status.HTTP_200_OK)

    async def panel(self, panel_id: str, asked: Asked) -> Answer:
        """One panel's figures."""
        try:
            panel = self._find(panel_id)
        except TerminalError as error:
            return refusal(error, status.HTTP_404_NOT_FOUND)
        return await self._shared(("panel", panel_id), asked, lambda: self._ask_panel(panel, asked))

    async def about(self, asked: Asked) -> Answer:
        """What there is to narrow by, and the newest session."""
        return await self._shared(("about",), asked, lambda: self._ask_about(asked))

    async def _shared(self, about: tuple[Hashable, ...], asked: Asked, ask: Callable[[], Answer]) -> Answer:
        question = (*about, asked.span, asked.since, asked.until, *asked.filters.items())
        try:
            promise: Future[Answer] = self._shelf.get(question, _safely(ask), asked.refresh_s * PATIENCE)
        except ShowroomError as error:
            return refusal(error, status.HTTP_503_SERVICE_UNAVAILABLE)
        # One viewer who leaves must not take the answer of the others along.
        return await asyncio.shield(asyncio.wrap_future(promise))

    def _find(self, panel_id: str) -> Panel:
        panels = {panel.id: panel for board in self._boards().values() for panel in board.panels if panel.index}
        if panel_id not in panels:
            raise TerminalError(f"there is no panel {panel_id[:60]!r} with figures", "load the page again")
        return panels[panel_id]

    def _ask_panel(self, panel: Panel, asked: Asked) -> Answer:
        now = datetime.now(UTC)
        narrow = asked.narrow(now)
        sources = self._sources()
        table = sources.panel(panel, narrow)
        if isinstance(table, Away):
            return _away(table)
        earlier = sources.panel(panel, before(narrow)) if panel.kind == "metric" else None
        then = None if isinstance(earlier, Away) else earlier
        shown = draw(panel, table, narrow, now, then)
        return status.HTTP_200_OK, {
            **shown,
            "unfiltered": unfiltered(panel, self._boards()[panel.board], asked),
            "at": wording.clock(now),
            "took_ms": table.took_ms,
        }

    def _ask_about(self, asked: Asked) -> Answer:
        now = datetime.now(UTC)
        found = self._sources().about(asked.narrow(now))
        if isinstance(found, Away):
            return _away(found)
        age = max(0.0, (now - found.newest_at).total_seconds()) if found.newest_at else None
        return status.HTTP_200_OK, {
            "choices": found.choices,
            "empty": age is None,
            "pulse": "no session yet" if age is None else f"newest session {wording.span(age)} ago",
            "fresh": age is not None and age < FRESH_S,
        }


def refusal(error: ShowroomError, code: int = status.HTTP_422_UNPROCESSABLE_CONTENT) -> Answer:
    """An error as an answer."""
    return code, {"state": "refused", "source": "", "message": error.message, "remedy": error.remedy}


def _away(gone: Away) -> Answer:
    """Busy or away, which may pass; or refused, which does not."""
    code = status.HTTP_503_SERVICE_UNAVAILABLE if gone.busy else status.HTTP_502_BAD_GATEWAY
    state = "away" if gone.busy else "refused"
    return code, {"state": state, "source": gone.source, "message": gone.message, "remedy": gone.remedy}


def _safely(ask: Callable[[], Answer]) -> Callable[[], Answer]:
    """Wrong settings are an answer as well; they are only read when the first figure is asked for."""

    def answer() -> Answer:
        try:
            return ask()
        except ShowroomError as error:
            return _away(Away("The configuration", error.message, error.remedy, busy=error.retry))

    return answer
