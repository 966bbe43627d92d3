"""Sentiment of a review by VADER, bounded in CPU, remembered for texts that return.

VADER 3.3.2 is quadratic in the number of words: for each word of its lexicon it lowers the case of all words, up to
eight times, to look at the three words before it and the two after it; and it writes each emoji out as up to ten
words. The bound is one rule with two parts:

- only the neighbours of a word are passed to its checks, which changes no score;
- a review is scored by its first `MAX_WORDS` words, the reviews of one session together by `MAX_SESSION_WORDS`
  (by one word each where there are more reviews than that). An emoji counts as the words of its description.
"""

from functools import lru_cache
from typing import Any

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from include.contracts.index_documents import SentimentLabel

POSITIVE_FROM = 0.05
NEGATIVE_TO = -0.05
MEMO_TEXTS = 20_000
MEMO_LONGEST = 400
MAX_WORDS = 200
MAX_SESSION_WORDS = 1_000
# How far the checks look back and ahead.
WORDS_BEFORE, WORDS_AFTER = 3, 2


class _Analyzer(SentimentIntensityAnalyzer):  # type: ignore[misc] # vaderSentiment has no types
    """VADER with the same scores in linear time: its checks get the words around a word instead of all words."""

    @staticmethod
    def _negation_check(valence: float, words: list[str], start: int, position: int) -> float:
        first = max(0, position - WORDS_BEFORE)
        window = words[first : position + 1]
        checked: float = SentimentIntensityAnalyzer._negation_check(valence, window, start, position - first)
        return checked

    @staticmethod
    def _special_idioms_check(valence: float, words: list[str], position: int) -> float:
        # Called for words with three words before them, so that no index becomes negative.
        first = position - WORDS_BEFORE
        window = words[first : position + WORDS_AFTER + 1]
        checked: float = SentimentIntensityAnalyzer._special_idioms_check(valence, window, position - first)
        return checked


_ANALYZER = _Analyzer()
_EMOJI_WORDS: dict[str, int] = {emoji: len(text.split()) for emoji, text in _ANALYZER.emojis.items()}


def compound_score(text: str, max_words: int = MAX_WORDS) -> float:
    """Return VADER's compound score of the first words of a text, -1 to 1."""
    bounded = first_words(text, max_words)
    # Long texts rarely return and would make the memo's memory unbounded in practice.
    return _remembered(bounded) if len(bounded) <= MEMO_LONGEST else _score(bounded)


def words_per_review(reviews: int) -> int:
    """Return how many words of each review are scored in a session with so many reviews."""
    return max(1, min(MAX_WORDS, MAX_SESSION_WORDS // max(1, reviews)))


def first_words(text: str, max_words: int) -> str:
    """Return the beginning of a text that VADER reads as at most `max_words` words; all of a shorter text."""
    words = 0
    in_word = False
    for position, character in enumerate(text):
        described = _EMOJI_WORDS.get(character)
        if described is not None:
            # The description begins a word of its own, and what follows without a space continues its last word.
            words += described
            in_word = True
        elif character.isspace():
            in_word = False
        elif not in_word:
            words += 1
            in_word = True
        if words > max_words:
            return text[:position]
    return text


def label_of(score: float) -> SentimentLabel:
    """The customary reading of a compound score."""
    if score >= POSITIVE_FROM:
        return "positive"
    return "negative" if score <= NEGATIVE_TO else "neutral"


def _score(text: str) -> float:
    compound: Any = _ANALYZER.polarity_scores(text)["compound"]
    return float(compound)


_remembered = lru_cache(maxsize=MEMO_TEXTS)(_score)
