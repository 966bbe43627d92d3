"""Planted review texts are clear to the sentiment analysis that the stream uses."""

import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from include.ingest.catalogue import PRODUCTS
from include.ingest.reviews import TEMPLATES, Sentiment

CLEAR = 0.4


@pytest.mark.parametrize(
    ("sentiment", "low", "high"), [("negative", -1.0, -CLEAR), ("neutral", 0.0, 0.0), ("positive", CLEAR, 1.0)]
)
def test_every_text_is_clearly_of_its_sentiment(sentiment: Sentiment, low: float, high: float) -> None:
    analyzer = SentimentIntensityAnalyzer()
    for text in TEMPLATES[sentiment]:
        for product in PRODUCTS:
            review = text.replace("{item}", product.name.lower())
            assert low <= analyzer.polarity_scores(review)["compound"] <= high, review
