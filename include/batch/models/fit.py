"""Every kind of model that a run fits, by name."""

from collections.abc import Callable

from include.batch.models.baselines import majority, one_rule
from include.batch.models.boost import boost
from include.batch.models.forest import forest
from include.batch.models.logistic import logistic
from include.batch.models.model import Model
from include.batch.models.network import network
from include.batch.parameters import ModelParameters
from include.batch.samples import Samples

Fit = Callable[[Samples, Samples, ModelParameters, int], Model]
"""Map train, validation, parameters and seed to a model; `validation` is for early stopping and selection only."""

FITS: dict[str, Fit] = {
    "majority": majority,
    "one_rule": one_rule,
    "logistic": logistic,
    "forest": forest,
    "boost": boost,
    "network": network,
}
"""Equal input and seed give identical probabilities, independent of earlier fits in the process."""
