"""Sentiment of a review by VADER, with bounded CPU time and a cache for repeated texts.

VADER 3.3.2 is quadratic in the number of words: for each word of its lexicon it lowers the case of all words, up to
eight times, to compare the three words before it and the two after it. It also replaces each emoji by up to ten
words. The limit has two parts:

- only the neighbours of a word are passed to its checks, which changes no score;
- a review is scored by its first `MAX_WORDS` words, the reviews of one session together by `MAX_SESSION_WORDS`
  (by one word each if there are more reviews than that). An emoji counts as the words of its description.
"""

from functools import lru_cache
from typing import Any

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from include.contracts.index_documents import SentimentLabel

MIN_POSITIVE_SCORE = 0.05
MAX_NEGATIVE_SCORE = -0.05
MAX_CACHED_TEXTS = 20_000
MAX_CACHED_CHARACTERS = 400
MAX_WORDS = 200
MAX_SESSION_WORDS = 1_000
# Number of words before and after a word that its checks read.
WORDS_BEFORE, WORDS_AFTER = 3, 2


class _Analyzer(SentimentIntensityAnalyzer):  # type: ignore[misc] # vaderSentiment has no types
    """VADER with the same scores in linear time: its checks get the words around a word instead of all words."""

    @staticmethod
    def _negation_check(valence: float, words: list[str], start: int, position: int) -> float:
        first = max(0, position - WORDS_BEFORE)
        window = words[first : position + 1]
        adjusted: float = SentimentIntensityAnalyzer._negation_check(valence, window, start, position - first)
        return adjusted

    @staticmethod
    def _special_idioms_check(valence: float, words: list[str], position: int) -> float:
        # Called for words with three words before them, so that no index becomes negative.
        first = position - WORDS_BEFORE
        window = words[first : position + WORDS_AFTER + 1]
        adjusted: float = SentimentIntensityAnalyzer._special_idioms_check(valence, window, position - first)
        return adjusted


_ANALYZER = _Analyzer()
_EMOJI_WORDS: dict[str, int] = {emoji: len(text.split()) for emoji, text in _ANALYZER.emojis.items()}


def compound_score(text: str, max_words: int = MAX_WORDS) -> float:
    """Return VADER's compound score of the first words of a text, -1 to 1."""
    bounded = first_words(text, max_words)
    # Long texts rarely repeat, and caching them would use too much memory.
    return _cached_score(bounded) if len(bounded) <= MAX_CACHED_CHARACTERS else _score(bounded)


def max_words_per_review(reviews: int) -> int:
    """Return how many words of each review are scored in a session with so many reviews."""
    return max(1, min(MAX_WORDS, MAX_SESSION_WORDS // max(1, reviews)))


def first_words(text: str, max_words: int) -> str:
    """Return the start of a text, at most `max_words` words as VADER counts them."""
    words = 0
    in_word = False
    for position, character in enumerate(text):
        description_words = _EMOJI_WORDS.get(character)
        if description_words is not None:
            # The description starts a new word; characters after it without a space extend its last word.
            words += description_words
            in_word = True
        elif character.isspace():
            in_word = False
        elif not in_word:
            words += 1
            in_word = True
        if words > max_words:
            return text[:position]
    return text


def sentiment_label(score: float) -> SentimentLabel:
    """Return the label of a compound score, with the thresholds that VADER's authors recommend."""
    if score >= MIN_POSITIVE_SCORE:
        return "positive"
    return "negative" if score <= MAX_NEGATIVE_SCORE else "neutral"


def _score(text: str) -> float:
    compound: Any = _ANALYZER.polarity_scores(text)["compound"]
    return float(compound)


_cached_score = lru_cache(maxsize=MAX_CACHED_TEXTS)(_score)
