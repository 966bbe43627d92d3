"""The steps of a run, by name; each is imported when it runs, for some bring heavy libraries."""

from collections.abc import Callable, Mapping
from importlib import import_module

from include.batch.context import Context

Step = Callable[[Context], Mapping[str, object]]

STEPS: dict[str, tuple[str, str]] = {
    "features": ("include.batch.features.build", "what was known of each visit before its outcome, from the archive"),
    "similar": ("include.batch.similar.find", "each user's neighbours, every candidate checked exactly"),
    "neighbours": ("include.batch.similar.publish", "the neighbours into MongoDB and Elasticsearch, at once"),
    "train": ("include.batch.models.train", "all models, their figures and their controls"),
    "privacy": ("include.batch.privacy.release", "the private network, charged to the budget; attacks on every model"),
    "explain": ("include.batch.explain.values", "why the models say what they say, on visits they were not trained on"),
    "promote": ("include.batch.track.publish", "runs and models into MLflow, and the decision who is champion"),
}
"""Step -> the module whose `run` it is, and what it makes; in an order in which each finds what it reads."""


def step(name: str) -> Step:
    """The function of a step."""
    found: Step = import_module(STEPS[name][0]).run
    return found
