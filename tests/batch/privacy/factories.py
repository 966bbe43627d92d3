"""Factories of mechanisms and samples."""

from dataclasses import replace

import numpy as np

from include.batch.parameters import PrivateParameters
from include.batch.privacy.mechanism import Mechanism
from include.batch.samples import Samples
from tests.batch import factories

PRIVATE = PrivateParameters(
    epsilon=3.0,
    delta=1e-5,
    budget=8.0,
    clip=1.0,
    users_per_step=200,
    steps=40,
    learning_rate=0.02,
    hidden_layer_sizes=(8, 4),
    max_sessions_per_user=3,
    prior=0.3,
)


def mechanism(**changes: object) -> Mechanism:
    """Return a mechanism of about epsilon 1, with some of its fields changed."""
    fields: dict[str, object] = {"sigma": 3.0, "clip": 1.0, "rate": 0.1, "steps": 60, "delta": 1e-5, "users": 1000}
    return Mechanism(**(fields | changes))  # type: ignore[arg-type]


def visits(users: int, each: int, seed: int = 1) -> Samples:
    """Return samples with `each` visits per user, shuffled."""
    result = factories.samples(users * each, seed)
    return replace(result, group=np.random.default_rng(seed).permutation(np.arange(users * each) % users))
