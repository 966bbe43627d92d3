"""Generated reviews have an unambiguous sentiment for VADER."""

import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from include.ingest.catalogue import PRODUCTS
from include.ingest.reviews import TEMPLATES, Sentiment

MIN_SCORE = 0.4


@pytest.mark.parametrize(
    ("sentiment", "low", "high"),
    [("negative", -1.0, -MIN_SCORE), ("neutral", 0.0, 0.0), ("positive", MIN_SCORE, 1.0)],
)
def test_review_templates_have_an_unambiguous_sentiment(sentiment: Sentiment, low: float, high: float) -> None:
    analyzer = SentimentIntensityAnalyzer()
    for text in TEMPLATES[sentiment]:
        for product in PRODUCTS:
            review = text.replace("{item}", product.name.lower())
            assert low <= analyzer.polarity_scores(review)["compound"] <= high, review
