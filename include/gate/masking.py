"""Mask personal data in free text and URLs: query strings, e-mail addresses, long runs of digits.

Each function is linear in the length of any text: quantifiers are possessive, and no match can begin in the middle of a
run. Text is compared in Unicode's compatibility form without invisible characters (`fold`). A masked text is returned
in that form; any other text is returned unchanged.
"""

import re
import unicodedata

from include.contracts.session import MAX_LABEL_LENGTH, MAX_TEXT_LENGTH

EMAIL, NUMBER = "[email]", "[number]"
MIN_DIGITS = 7
"""Minimum digits of a masked number, because the shortest local phone numbers have seven."""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]+"
)
"""Unicode's Default_Ignorable_Code_Point."""
_AT = "@\uff20\ufe6b"  # also the full-width and the small form
_NAME = rf"[^\s{_AT},;:<>()]"
# A handle (`@ada`) is masked like an address: the part before the sign may be empty.
_EMAIL = re.compile(rf"(?<!{_NAME}){_NAME}*+(?:[{_AT}][^\s{_AT},;<>()]++)++")
# Spaces around the sign: only before a likely domain, because prices are written in the same way.
_SPACED_EMAIL = re.compile(rf"(?<!{_NAME}){_NAME}++\s{{0,3}}+[{_AT}]\s{{1,3}}+{_NAME}*\.[^\W\d_]{{2,}}+")
_SPACED_SIGN = re.compile(rf"(?<!{_NAME}){_NAME}++\s{{1,3}}+[{_AT}]{_NAME}*\.[^\W\d_]{{2,}}+")
SEPARATORS = r"\s\-_./()\u00b7\u2010-\u2015\u2022\u2027\u2212\u2219\u22c5\u2800\u30fb\u0300-\u036f\u20d0-\u20ff"
"""Spaces, dashes, dots and combining marks, as the content of a character class."""
# One to three separators may divide the groups of a card or phone number; \d matches the digits of every script.
_NUMBER = re.compile(rf"\+?\d(?:[{SEPARATORS}]{{0,3}}+\d){{{MIN_DIGITS - 1},}}+")
_URL_END = re.compile(r"[?#]")
_SENTENCE_END = ".!?"
_DIGITS = b"0123456789"


def may_need_masks(text: str) -> bool:
    """Return whether `mask_text` may change the text: a fast pre-check without false negatives."""
    if not text.isascii():
        return True
    plain = text.encode()
    return b"@" in plain or len(plain) - len(plain.translate(None, _DIGITS)) >= MIN_DIGITS


def fold(text: str) -> str:
    """Return `text` in Unicode's compatibility form (NFKC), without invisible characters."""
    return text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))


def mask_text(text: str) -> str:
    """Replace e-mail addresses and runs of at least MIN_DIGITS digits.

    Args:
        text: free text, such as a review.

    Returns:
        The masked text, truncated if masks would make it longer than the contract allows.
    """
    folded = fold(text)
    masked = _mask_emails(_NUMBER.sub(NUMBER, folded))
    return text if masked == folded else masked[:MAX_TEXT_LENGTH]


def mask_page(page: str | None) -> str | None:
    """Cut query string and fragment from a page's URL and mask path segments with an e-mail address.

    Returns:
        None if nothing remains.
    """
    if page is None:
        return None
    if "?" in page or "#" in page:
        page = _URL_END.split(page, maxsplit=1)[0]
    if _has_address(page):
        page = "/".join(EMAIL if _has_address(part) else part for part in page.split("/"))[:MAX_LABEL_LENGTH]
    return page or None


def _has_address(part: str) -> bool:
    return "%40" in part or any(sign in part for sign in _AT)


def _mask_emails(text: str) -> str:
    if not any(sign in text for sign in _AT):
        return text
    for spaced in (_SPACED_EMAIL, _SPACED_SIGN):
        text = spaced.sub(EMAIL, text)
    return _EMAIL.sub(_mask_email, text)


def _mask_email(match: re.Match[str]) -> str:
    """Return the mask, followed by the punctuation that ends the sentence after the address."""
    result = match.group()
    return EMAIL + result[len(result.rstrip(_SENTENCE_END)) :]
