"""Render the Markdown of text panels as safe HTML: no raw HTML, no images, links only to pages."""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

HEADING_TAG = "h3"


class _Parser(MarkdownIt):
    """CommonMark without raw HTML, images and autolinks."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False})
        self.disable(["html_block", "html_inline", "image", "autolink"])

    def validateLink(self, url: str) -> bool:  # noqa: N802 -- markdown-it's own name
        """Accept every URL, because `_rewrite` replaces unsafe links and keeps their label."""
        return True


_parser = _Parser()


def render_markdown(text: str) -> Markup:
    """Return the text as HTML. Raw HTML is escaped; of a link with an unsafe URL only the label remains."""
    tokens = _parser.parse(text)
    _rewrite(tokens)
    return Markup(_parser.renderer.render(tokens, _parser.options, {}))  # noqa: S704 -- HTML is off in the parser


def is_safe_url(url: str) -> bool:
    """Return whether a URL is http, https or relative. Other schemes can run code; `//` leads to another host."""
    return url.startswith(("http://", "https://")) or not re.match(r"[\w+.-]*:|//|\\", url)


def _rewrite(tokens: Sequence[Token]) -> None:
    """Set the heading level and the class of links; replace links with an unsafe URL by their label."""
    is_safe = True
    for token in tokens:
        match token.type:
            case "heading_open" | "heading_close":
                token.tag = HEADING_TAG
            case "link_open":
                is_safe = is_safe_url(str(token.attrGet("href")))
                if is_safe:
                    token.attrSet("class", "out")
                else:
                    token.tag, token.attrs = "span", {}
            case "link_close" if not is_safe:
                token.tag = "span"
        _rewrite(token.children or ())
