"""Texts of panels are safe HTML."""

import pytest

from showroom.pages import prose


def test_the_little_markdown_there_is() -> None:
    text = "# Title & more\n\nOne **bold** word,\na `code`.\n\n- first\n- [second](http://there/?a=1&b=2)"
    assert prose.html(text) == (
        "<h3>Title &amp; more</h3><p>One <strong>bold</strong> word, a <code>code</code>.</p>"
        '<ul><li>first</li><li><a class="out" href="http://there/?a=1&amp;b=2">second</a></li></ul>'
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
        "[x](data:text/html,hi)",
        "[x](//elsewhere)",
        '[x](http://a"onclick=alert(1))',
    ],
)
def test_nothing_in_a_text_runs(text: str) -> None:
    made = prose.html(text).lower()
    assert not any(sign in made for sign in ("<script", "<b ", "<i>", "javascript:", "data:", 'href="//', '"onclick'))


def test_an_empty_text_is_nothing() -> None:
    assert prose.html("") == ""
