"""The little markdown of text panels as HTML: headings, lists, emphasis, code, links. All else is text."""

import re
from itertools import groupby

from markupsafe import Markup, escape

_INLINE = re.compile(r"\*\*(?P<bold>[^*]+)\*\*|`(?P<code>[^`]+)`|\[(?P<label>[^\]]+)\]\((?P<url>[^)\s]+)\)")
_HEADING = re.compile(r"#{1,6}\s+")
_ITEM = re.compile(r"[-*]\s+")


def html(text: str) -> Markup:
    """Safe HTML of a text."""
    paragraphs = [block.strip().splitlines() for block in re.split(r"\n\s*\n", text.strip())]
    return Markup("").join(part for lines in paragraphs for part in _block(lines))


def is_safe(url: str) -> bool:
    """Whether an address leads to a page and runs nothing."""
    return url.startswith(("http://", "https://")) or not re.match(r"[\w+.-]*:|//|\\", url)


def _block(lines: list[str]) -> list[Markup]:
    return [part for kind, group in groupby(lines, _kind) for part in _part(kind, list(group))]


def _kind(line: str) -> str:
    return "heading" if _HEADING.match(line) else "item" if _ITEM.match(line) else "text"


def _part(kind: str, lines: list[str]) -> list[Markup]:
    if kind == "heading":
        return [Markup("<h3>{}</h3>").format(_inline(_HEADING.sub("", line, count=1))) for line in lines]
    if kind == "item":
        items = Markup("").join(Markup("<li>{}</li>").format(_inline(_ITEM.sub("", line, count=1))) for line in lines)
        return [Markup("<ul>{}</ul>").format(items)]
    return [Markup("<p>{}</p>").format(_inline(" ".join(lines)))]


def _inline(text: str) -> Markup:
    parts: list[Markup] = []
    place = 0
    for found in _INLINE.finditer(text):
        parts += [escape(text[place : found.start()]), _span(found)]
        place = found.end()
    return Markup("").join([*parts, escape(text[place:])])


def _span(found: re.Match[str]) -> Markup:
    if found["bold"] is not None:
        return Markup("<strong>{}</strong>").format(found["bold"])
    if found["code"] is not None:
        return Markup("<code>{}</code>").format(found["code"])
    if not is_safe(found["url"]):
        return escape(found["label"])
    return Markup('<a class="out" href="{}">{}</a>').format(found["url"], found["label"])
