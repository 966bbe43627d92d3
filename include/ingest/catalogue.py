"""Products of the synthetic shop: ten pieces of furniture in four categories, and sets that are viewed together."""

from typing import NamedTuple


class Product(NamedTuple):
    """One product. `quality` is the probability that a review is positive instead of negative."""

    product_id: str
    name: str
    category: str
    price: int
    quality: float
    units: int


CATEGORIES: tuple[str, ...] = ("living_room", "bedroom", "office", "dining_room")

PRODUCTS: tuple[Product, ...] = (
    Product("p01", "Sofa", "living_room", 5000, 0.74, 1),
    Product("p02", "Coffee Table", "living_room", 500, 0.80, 1),
    Product("p03", "Accent Chair", "living_room", 750, 0.66, 2),
    Product("p04", "Bed", "bedroom", 4500, 0.82, 1),
    Product("p05", "Bedside Table", "bedroom", 590, 0.72, 2),
    Product("p06", "Dresser", "bedroom", 1290, 0.60, 1),
    Product("p07", "Desk", "office", 1150, 0.78, 1),
    Product("p08", "Office Chair", "office", 899, 0.54, 2),
    Product("p09", "Dining Table", "dining_room", 2500, 0.79, 1),
    Product("p10", "Dining Chair", "dining_room", 650, 0.68, 6),
)

PRODUCTS_IN_CATEGORY: tuple[tuple[int, ...], ...] = tuple(
    tuple(index for index, product in enumerate(PRODUCTS) if product.category == category) for category in CATEGORIES
)

RELATED_PRODUCTS: tuple[tuple[int, ...], ...] = (
    (1, 2),
    (0, 2),
    (0, 1),
    (4, 5),
    (3, 5),
    (3, 4),
    (7,),
    (6,),
    (9,),
    (8,),
)
"""Product index -> products that visitors view next."""
