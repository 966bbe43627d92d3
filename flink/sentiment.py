"""Sentiment of a review by VADER, remembered for texts that return."""

from functools import lru_cache

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from include.contracts.documents import SentimentLabel

POSITIVE_FROM = 0.05
NEGATIVE_TO = -0.05
MEMO_TEXTS = 20_000
MEMO_LONGEST = 400

_ANALYZER = SentimentIntensityAnalyzer()


def compound_score(text: str) -> float:
    """VADER's compound score of a text, -1 to 1."""
    # Long texts rarely return and would make the memo's memory unbounded in practice.
    return _remembered(text) if len(text) <= MEMO_LONGEST else _score(text)


def label_of(score: float) -> SentimentLabel:
    """The customary reading of a compound score."""
    if score >= POSITIVE_FROM:
        return "positive"
    return "negative" if score <= NEGATIVE_TO else "neutral"


def _score(text: str) -> float:
    return float(_ANALYZER.polarity_scores(text)["compound"])


_remembered = lru_cache(maxsize=MEMO_TEXTS)(_score)
