"""Markdown of text panels is rendered as safe HTML."""

import pytest

from showroom.web.markdown import render_markdown


def test_render_markdown_headings_lists_emphasis_code_and_links() -> None:
    text = "# Title & more\n\nOne **bold** word,\na `code`.\n\n- first\n- [second](http://there/?a=1&b=2)"
    assert render_markdown(text) == (
        "<h3>Title &amp; more</h3>\n<p>One <strong>bold</strong> word,\na <code>code</code>.</p>\n"
        '<ul>\n<li>first</li>\n<li><a href="http://there/?a=1&amp;b=2" class="out">second</a></li>\n</ul>\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "**<b onmouseover=alert(1)>**",
        "`</code><script>`",
        "[<i>](http://x)",
        "[x](javascript:alert(1))",
        "[x](JavaScript:alert)",
        "[x](&#106;avascript:alert)",
        "[x]\n\n[x]: javascript:alert",
        "![x](javascript:alert)",
        "[x](data:text/html,hi)",
        "[x](//elsewhere)",
        "[x](\\/\\/elsewhere)",
        '[x](http://a"onclick=alert(1))',
    ],
)
def test_render_markdown_runs_no_code(text: str) -> None:
    html = render_markdown(text).lower()
    assert not any(part in html for part in ("<script", "<b ", "<i>", "javascript:", "data:", 'href="//', '"onclick'))


@pytest.mark.parametrize("text", ["[label](javascript:alert(1))", "[label](ftp://host/file)", "[label](//host)"])
def test_render_markdown_unsafe_link_keeps_only_the_label(text: str) -> None:
    assert render_markdown(text) == "<p><span>label</span></p>\n"


@pytest.mark.parametrize("url", ["http://host/", "https://host/a?b=c", "live?span=day", "/showroom/stream", "#part"])
def test_render_markdown_http_and_relative_links_are_links(url: str) -> None:
    assert render_markdown(f"[label]({url})") == f'<p><a href="{url}" class="out">label</a></p>\n'


@pytest.mark.parametrize("text", ["![label](http://host/a.png)", "<http://host/>", "<img src=x>"])
def test_render_markdown_has_no_images_and_no_autolinks(text: str) -> None:
    assert "<img" not in render_markdown(text)
    assert "http://host/</a>" not in render_markdown(text)


def test_render_markdown_empty_text_is_empty() -> None:
    assert render_markdown("") == ""
