"""Personal data in text that visitors and sites write: query strings, e-mail addresses, long runs of digits.

Each function is linear in the length of its text, whatever the text is: quantifiers are possessive, and no
match can begin in the middle of a run.
"""

import re

from include.contracts.session import MAX_LABEL_LENGTH, MAX_TEXT_LENGTH

EMAIL, NUMBER = "[email]", "[number]"
MIN_DIGITS = 7
"""Digits of a number that is masked: the shortest local phone numbers have seven."""

_AT = "@\uff20\ufe6b"  # also the full-width and the small form
_NAME = rf"[^\s{_AT},;:<>()]"
# A handle (`@ada`) is masked like an address: the part before the sign may be empty.
_EMAIL = re.compile(rf"(?<!{_NAME}){_NAME}*+(?:[{_AT}][^\s{_AT},;<>()]++)++")
# One to three separators may divide the groups of a card or phone number; \d matches the digits of every script.
_NUMBER = re.compile(rf"\+?\d(?:[\s\-\u2010-\u2015./()]{{0,3}}+\d){{{MIN_DIGITS - 1},}}+")
_URL_END = re.compile(r"[?#]")
_SENTENCE_END = ".!?"
_DIGITS = b"0123456789"


def may_need_masks(text: str) -> bool:
    """Return whether `text` may change in `mask_text`; cheap, and never wrong when it returns False."""
    if not text.isascii():
        return True
    plain = text.encode()
    return b"@" in plain or len(plain) - len(plain.translate(None, _DIGITS)) >= MIN_DIGITS


def mask_text(text: str) -> str:
    """Replace e-mail addresses and runs of at least MIN_DIGITS digits.

    Args:
        text: free text, such as a review.

    Returns:
        The masked text, cut where masks would make it longer than the contract allows.
    """
    return _mask_emails(_NUMBER.sub(NUMBER, text))[:MAX_TEXT_LENGTH]


def mask_page(page: str | None) -> str | None:
    """Cut query string and fragment from a page's address and mask parts of its path that hold an e-mail address.

    Returns:
        None when nothing remains.
    """
    if page is None:
        return None
    if "?" in page or "#" in page:
        page = _URL_END.split(page, maxsplit=1)[0]
    if "@" in page or "%40" in page:
        page = "/".join(EMAIL if "@" in part or "%40" in part else part for part in page.split("/"))[:MAX_LABEL_LENGTH]
    return page or None


def _mask_emails(text: str) -> str:
    return _EMAIL.sub(_mask_email, text) if any(sign in text for sign in _AT) else text


def _mask_email(match: re.Match[str]) -> str:
    """The mask, with the marks that end a sentence behind the address."""
    found = match.group()
    return EMAIL + found[len(found.rstrip(_SENTENCE_END)) :]
