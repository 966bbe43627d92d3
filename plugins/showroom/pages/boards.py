"""The frame of the Live page: tabs, filters and a place for each panel, whose figures the browser asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from markupsafe import Markup

from include.contracts.errors import TerminalError
from include.serving.panels import Board, Link, Panel
from showroom.pages import prose
from showroom.pages.asked import CUSTOM, FILTERS, Asked

SPAN_NAMES = {"hour": "last hour", "day": "last day", "week": "last week", "fortnight": "two weeks", CUSTOM: "other"}
EVERY = {"category": "all categories", "device": "all devices", "referrer": "all referrers"}
HERE = "Airflow"


class Tab(NamedTuple):
    """One board to choose."""

    id: str
    name: str
    address: str
    current: bool


class Place(NamedTuple):
    """One panel's place on the grid of 48 columns; lines and columns count from 1."""

    id: str
    title: str
    description: str
    kind: str
    column: int
    line: int
    width: int
    height: int
    text: Markup


class Choice(NamedTuple):
    """One value of a control."""

    value: str
    name: str
    chosen: bool


class SpanChoice(NamedTuple):
    """One time to choose, and how often its figures are asked for again."""

    value: str
    name: str
    chosen: bool
    refresh_s: float


@dataclass(frozen=True, kw_only=True)
class BoardPage:
    """Everything the template needs. `kept`: filters that only other boards can follow."""

    asked: Asked
    name: str
    description: str
    tabs: tuple[Tab, ...]
    spans: tuple[SpanChoice, ...]
    filters: dict[str, tuple[Choice, ...]]
    kept: dict[str, str]
    since: str
    until: str
    places: tuple[Place, ...]
    links: tuple[Link, ...]


def board_page(boards: Mapping[str, Board], asked: Asked, addresses: Mapping[str, str]) -> BoardPage:
    """The page of a board; `addresses` of other programs by name. Raises TerminalError for an unknown board."""
    board = boards.get(asked.board)
    if board is None:
        raise TerminalError(f"there is no board {asked.board[:60]!r}", f"choose one of {', '.join(boards)}")
    return BoardPage(
        asked=asked,
        name=board.name,
        description=board.description,
        tabs=tuple(Tab(each.id, each.name, asked.address(board=each.id), each is board) for each in boards.values()),
        spans=tuple(
            SpanChoice(name, words, name == asked.span, replace(asked, span=name).refresh_s)
            for name, words in SPAN_NAMES.items()
        ),
        filters={name: _choices(name, getattr(asked, name)) for name in _offered(board)},
        kept={name: value for name, value in asked.filters.items() if name not in _offered(board)},
        since=f"{asked.since:%Y-%m-%dT%H:%M}" if asked.since else "",
        until=f"{asked.until:%Y-%m-%dT%H:%M}" if asked.until else "",
        places=_places(board.panels),
        links=tuple(_links(board.panels, addresses)),
    )


def unfiltered(panel: Panel, board: Board, asked: Asked) -> str:
    """Which of the board's filters a panel cannot follow, in words; empty where it follows all."""
    missing = [EVERY[name] for name in asked.filters if name in _offered(board) and name not in panel.narrowed_by]
    return ", ".join(missing)


def _offered(board: Board) -> list[str]:
    """The filters that any of its panels can follow."""
    return [name for name in FILTERS if any(name in panel.narrowed_by for panel in board.panels)]


def _choices(name: str, chosen: str) -> tuple[Choice, ...]:
    every = Choice("", EVERY[name], not chosen)
    return (every, Choice(chosen, chosen, True)) if chosen else (every,)


def _places(panels: Sequence[Panel]) -> tuple[Place, ...]:
    """In reading order, without what would leave an empty line on top: ways out stand below the board."""
    shown = sorted((panel for panel in panels if panel.kind != "links"), key=lambda each: (each.grid.y, each.grid.x))
    top = min((panel.grid.y for panel in shown), default=0)
    return tuple(
        Place(
            id=panel.id,
            title=panel.title,
            description=panel.description,
            kind=panel.kind,
            column=panel.grid.x + 1,
            line=panel.grid.y - top + 1,
            width=panel.grid.w,
            height=panel.grid.h,
            text=prose.html(panel.text),
        )
        for panel in shown
    )


def _links(panels: Sequence[Panel], addresses: Mapping[str, str]) -> list[Link]:
    """Ways to other programs; the tabs lead to the other boards, and Airflow is all around."""
    links = [link for panel in panels for link in panel.links if link.url and link.label != HERE]
    known = [Link(label=link.label, url=addresses.get(link.label, link.url)) for link in links]
    return [link for link in known if prose.is_safe(link.url)]
