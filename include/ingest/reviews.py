"""Review texts: many templates for each sentiment, none of them ambiguous.

Positive and negative texts begin with a strongly worded sentence and end with one of the same sentiment; neutral texts
state facts in words that no sentiment lexicon rates.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Literal

Sentiment = Literal["negative", "neutral", "positive"]

POSITIVE_OPENINGS: tuple[str, ...] = (
    "I love this {item}.",
    "Absolutely wonderful {item}!",
    "A beautiful {item}, exactly what we hoped for.",
    "Excellent {item}, and a great price.",
    "The best {item} we have ever owned.",
    "Very happy with the {item}.",
    "What a fantastic {item}!",
    "This {item} is gorgeous and very comfortable to live with.",
    "Great quality, the {item} is a delight.",
    "We are thrilled with our new {item}.",
    "Superb {item}, really impressed.",
    "Lovely, well built {item}.",
)
POSITIVE_MIDDLES: tuple[str, ...] = (
    "The finish is perfect.",
    "It looks amazing in our home.",
    "Delivery was friendly and fast.",
    "Assembly was easy and fun.",
    "It feels strong and well made.",
    "Everyone who visits loves it.",
)
POSITIVE_CLOSINGS: tuple[str, ...] = (
    "Highly recommended!",
    "Thank you, great shop.",
    "We would happily buy it again.",
    "Worth every cent, superb value.",
    "Five stars, perfect.",
)
NEGATIVE_OPENINGS: tuple[str, ...] = (
    "Terrible {item}.",
    "I hate this {item}.",
    "Very disappointed with the {item}.",
    "The worst {item} I have ever had.",
    "This {item} is awful and ugly.",
    "A horrible {item}, a waste of money.",
    "The {item} arrived damaged and broken.",
    "Poor quality, the {item} is a disaster.",
    "Dreadful {item}, we regret buying it.",
    "The {item} is a complete failure.",
    "Angry about this {item}.",
    "Bad {item}, bad service.",
)
NEGATIVE_MIDDLES: tuple[str, ...] = (
    "A leg broke in the first week.",
    "The smell is disgusting.",
    "The surface is damaged and the drawer is stuck.",
    "It is painful to sit near it.",
    "Customer service was rude.",
    "The fabric is horrible.",
)
NEGATIVE_CLOSINGS: tuple[str, ...] = (
    "Avoid it, awful.",
    "A terrible experience.",
    "We are sad and frustrated.",
    "I complained and got a useless answer.",
    "Never again, what a disappointment.",
)
NEUTRAL_OPENINGS: tuple[str, ...] = (
    "The {item} came on a Tuesday.",
    "We put the {item} next to the window.",
    "The {item} came in two boxes.",
    "Measured the {item}, it is as wide as the page says.",
    "This {item} stands in the room upstairs.",
    "We ordered the {item} in walnut.",
    "Our second {item} from this shop.",
    "The {item} has the same colour as in the photo.",
    "The {item} took an hour to put together.",
    "The {item} is for my brother.",
)
NEUTRAL_MIDDLES: tuple[str, ...] = (
    "It has four legs and a label underneath.",
    "The box stands in the hall.",
    "The instructions have twelve pages.",
    "It is made of wood and metal.",
    "The colour is darker in the evening.",
    "There are eight bolts in the bag.",
)
NEUTRAL_CLOSINGS: tuple[str, ...] = (
    "More when it has been here for a month.",
    "I will write again in spring.",
    "Delivery was between nine and ten.",
    "That is all for now.",
)

_PARTS: dict[Sentiment, tuple[Sequence[str], Sequence[str], Sequence[str]]] = {
    "negative": (NEGATIVE_OPENINGS, NEGATIVE_MIDDLES, NEGATIVE_CLOSINGS),
    "neutral": (NEUTRAL_OPENINGS, NEUTRAL_MIDDLES, NEUTRAL_CLOSINGS),
    "positive": (POSITIVE_OPENINGS, POSITIVE_MIDDLES, POSITIVE_CLOSINGS),
}

TEMPLATES: dict[Sentiment, tuple[str, ...]] = {
    sentiment: tuple(
        separator.join(text for text in (opening, middle, closing) if text)
        for opening, middle, closing in product(openings, ("", *middles), ("", *closings))
        for separator in ((" ", "\n") if middle and closing else (" ",))
    )
    for sentiment, (openings, middles, closings) in _PARTS.items()
}
"""Every text of each sentiment, with `{item}` for the product; some have several lines."""


def write_review(sentiment: Sentiment, item: str, rand: Callable[[], float]) -> str:
    """Return one review of `item`, selected by one draw of `rand` (uniform in [0, 1))."""
    texts = TEMPLATES[sentiment]
    return texts[int(rand() * len(texts))].replace("{item}", item)
