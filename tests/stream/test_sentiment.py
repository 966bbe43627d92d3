"""Sentiment scores equal VADER's up to the word limit; longer texts are truncated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer, SentiText

from flink import sentiment
from flink.documents import build_documents
from flink.sentiment import MAX_SESSION_WORDS, MAX_WORDS, compound_score, first_words, max_words_per_review
from include.contracts.index_documents import ProductSentiment
from include.contracts.session import MAX_VIEWS
from include.ingest.catalogue import PRODUCTS
from include.ingest.reviews import TEMPLATES
from tests.valid_sessions import valid_session, viewed

VADER = SentimentIntensityAnalyzer()
MAX_REVIEW_CHARACTERS = 4_000
EXPENSIVE_TEXTS = {
    "emoji": "\N{FACE WITH TEARS OF JOY}" * MAX_REVIEW_CHARACTERS,
    "spaced emoji": "\N{FACE WITH TEARS OF JOY} " * (MAX_REVIEW_CHARACTERS // 2),
    "but": "but good x " * (MAX_REVIEW_CHARACTERS // 11),
    "capitals": "VERY GOOD x " * (MAX_REVIEW_CHARACTERS // 12),
    "punctuation": "!?" * (MAX_REVIEW_CHARACTERS // 2),
    "spaced punctuation": "!? " * (MAX_REVIEW_CHARACTERS // 3),
    "mixed": "GOOD but \N{FACE WITH TEARS OF JOY}not :) !!! " * (MAX_REVIEW_CHARACTERS // 24),
    "one word": "x" * MAX_REVIEW_CHARACTERS,
}
# Every branch of VADER: lexicon, negations, boosters, idioms, capitals, emoticons, emoji, punctuation.
_WORDS = (
    "good BAD great awful no not never so this without doubt least at very VERY really kind of sort but But or nor"
    " the shit bomb bad ass yeah right kiss death to die for isn't don't :) :( ;-) ! ?? !!!! chair sofa"
    " \N{FACE WITH TEARS OF JOY} \N{ANGRY FACE} ok\N{SMILING FACE WITH SMILING EYES}well"
)
WORDS = st.sampled_from(_WORDS.split())


def vader_words(text: str) -> int:
    """Return the number of words of a text as VADER counts them."""
    written = "".join(f" {VADER.emojis[character]}" if character in VADER.emojis else character for character in text)
    return len(SentiText(written).words_and_emoticons)


@given(st.lists(WORDS, max_size=60).map(" ".join))
def test_compound_score_within_the_bound_equals_vader(text: str) -> None:
    assert compound_score(text) == VADER.polarity_scores(text)["compound"]


@given(st.text(max_size=120))
def test_compound_score_of_any_short_text_equals_vader(text: str) -> None:
    assert compound_score(text) == VADER.polarity_scores(text)["compound"]


def test_compound_score_of_every_generated_review_equals_vader() -> None:
    for texts in TEMPLATES.values():
        for text in texts:
            for product in PRODUCTS:
                review = text.replace("{item}", product.name.lower())
                assert compound_score(review) == VADER.polarity_scores(review)["compound"], review


@pytest.mark.parametrize("name", sorted(EXPENSIVE_TEXTS))
def test_first_words_of_costly_text_are_within_the_limit(name: str) -> None:
    bounded = first_words(EXPENSIVE_TEXTS[name], MAX_WORDS)
    assert vader_words(bounded) <= MAX_WORDS
    assert EXPENSIVE_TEXTS[name].startswith(bounded)


@given(st.text(), st.integers(1, 20))
def test_first_words_of_any_text_are_its_prefix_within_the_limit(text: str, words: int) -> None:
    bounded = first_words(text, words)
    assert text.startswith(bounded)
    assert vader_words(bounded) <= words


def test_compound_score_passes_only_neighbours_to_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[int] = []
    negated, idioms = (
        SentimentIntensityAnalyzer._negation_check,
        SentimentIntensityAnalyzer._special_idioms_check,
    )

    def negation_check(valence: float, words: list[str], start: int, position: int) -> float:
        passed.append(len(words))
        return float(negated(valence, words, start, position))

    def special_idioms_check(valence: float, words: list[str], position: int) -> float:
        passed.append(len(words))
        return float(idioms(valence, words, position))

    monkeypatch.setattr(SentimentIntensityAnalyzer, "_negation_check", staticmethod(negation_check))
    monkeypatch.setattr(SentimentIntensityAnalyzer, "_special_idioms_check", staticmethod(special_idioms_check))
    for bomb in EXPENSIVE_TEXTS.values():
        compound_score(bomb)
    assert passed
    assert max(passed) <= sentiment.WORDS_BEFORE + 1 + sentiment.WORDS_AFTER


@pytest.mark.parametrize(("reviews", "words"), [(0, MAX_WORDS), (1, MAX_WORDS), (5, 200), (32, 31), (MAX_VIEWS, 1)])
def test_words_per_review_shares_the_words_of_a_session(reviews: int, words: int) -> None:
    assert max_words_per_review(reviews) == words


def test_session_of_costly_reviews_is_scored_by_bounded_words(monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[str] = []

    def score(text: str) -> float:
        scored.append(text)
        return 0.0

    monkeypatch.setattr(sentiment, "_score", score)
    monkeypatch.setattr(sentiment, "_cached_score", score)
    session = valid_session(views=[viewed(review=bomb) for bomb in EXPENSIVE_TEXTS.values()] * 4)
    rows = [item for item in build_documents(session) if isinstance(item.document, ProductSentiment)]
    assert len(rows) == len(scored) == 4 * len(EXPENSIVE_TEXTS)
    assert sum(map(vader_words, scored)) <= MAX_SESSION_WORDS
