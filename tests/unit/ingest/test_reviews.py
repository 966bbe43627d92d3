"""Review texts: many, different, and within the contract."""

from functools import partial
from operator import truediv

import pytest

from include.ingest.catalogue import CATEGORIES, PRODUCTS, PRODUCTS_IN_CATEGORY, RELATED_PRODUCTS
from include.ingest.locations import CITIES
from include.ingest.reviews import TEMPLATES, Sentiment, write_review


@pytest.mark.parametrize("sentiment", ["negative", "neutral", "positive"])
def test_sentiments_have_hundreds_of_texts(sentiment: Sentiment) -> None:
    texts = TEMPLATES[sentiment]
    assert len(set(texts)) == len(texts) >= 500
    assert all("{item}" in text and len(text) < 500 for text in texts)
    assert {write_review(sentiment, "bed", partial(truediv, location, 7)) for location in range(7)}.isdisjoint(texts)


def test_texts_have_one_sentiment() -> None:
    sets = [set(texts) for texts in TEMPLATES.values()]
    assert len(set().union(*sets)) == sum(len(texts) for texts in sets)


def test_catalogue_has_the_products_of_the_shop() -> None:
    prices = {product.name: product.price for product in PRODUCTS}
    assert prices == {
        "Sofa": 5000,
        "Coffee Table": 500,
        "Accent Chair": 750,
        "Bed": 4500,
        "Bedside Table": 590,
        "Dresser": 1290,
        "Desk": 1150,
        "Office Chair": 899,
        "Dining Table": 2500,
        "Dining Chair": 650,
    }
    assert sorted(index for group in PRODUCTS_IN_CATEGORY for index in group) == list(range(len(PRODUCTS)))
    assert len(CATEGORIES) == 4
    assert all(index not in beside and beside for index, beside in enumerate(RELATED_PRODUCTS))


def test_places_name_a_city_once() -> None:
    assert len({(location.country, location.city) for location in CITIES}) == len(CITIES)
    assert all(location.zips and -12 <= location.offset_h <= 14 for location in CITIES)
