"""parameters.yaml as frozen objects; the file is refused as a whole where a name or a value is wrong."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from include.contracts.errors import SettingsError

FILE = Path(__file__).with_name("parameters.yaml")

Share = Annotated[float, Meta(gt=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]
Natural = Annotated[int, Meta(ge=1)]
Token = Literal["product", "category", "device", "referrer", "state", "part_of_day"]


class _Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Closed and immutable."""


class Features(_Section, frozen=True):
    """How the archive becomes columns."""

    chunk: Natural
    reviews: bool
    history_days: Positive


class Split(_Section, frozen=True):
    """What is trained on, chosen on and tested on; days count back from the window's end."""

    test_days: Positive
    test_users: Share
    inner_days: Positive
    random_test: Share


class Evaluate(_Section, frozen=True):
    """Bootstrap and controls."""

    draws: Natural
    confidence: Share
    leak_auc: Share


class Forest(_Section, frozen=True):
    """Random forest: trees, their depth, least visits in a leaf."""

    trees: Natural
    depth: Natural
    leaf: Natural


class Boost(_Section, frozen=True):
    """Gradient boosting as XGBoost names it: eta is `rate`, colsample_bytree `columns`."""

    trees: Natural
    depth: Natural
    rate: Share
    subsample: Annotated[float, Meta(gt=0, le=1)]
    columns: Annotated[float, Meta(gt=0, le=1)]
    child_weight: Positive


class Network(_Section, frozen=True):
    """A network of ReLU layers trained by Adam until the inner part gets no better for `patience` epochs."""

    hidden: tuple[Natural, ...]
    dropout: Annotated[float, Meta(ge=0, lt=1)]
    rate: Positive
    epochs: Natural
    batch: Natural
    patience: Natural


class Logistic(_Section, frozen=True):
    """Logistic regression with an L2 penalty of 1 / c."""

    c: Positive


class Models(_Section, frozen=True):
    """Parameters of each kind of model."""

    forest: Forest
    boost: Boost
    network: Network
    logistic: Logistic


class Private(_Section, frozen=True):
    """The private network. `epsilon` is one night's, `budget` that of all nights together, both at `delta`."""

    epsilon: Positive
    delta: Share
    budget: Positive
    clip: Positive
    users: Natural
    steps: Natural
    rate: Positive
    hidden: tuple[Natural, ...]
    sessions: Natural
    prior: Share


class Explain(_Section, frozen=True):
    """How many held-out visits each model is explained on."""

    rows: Natural
    forest_rows: Natural
    private_rows: Natural
    background: Natural


class Similar(_Section, frozen=True):
    """MinHash banding (`bands` of `rows` must fit into `permutations`), and what counts as a token."""

    permutations: Natural
    bands: Natural
    rows: Natural
    threshold: Share
    neighbours: Natural
    min_tokens: Natural
    tokens: tuple[Token, ...]


class Promotion(_Section, frozen=True):
    """What a challenger must show to become champion."""

    metric: Literal["roc_auc", "pr_auc"]
    confidence: Share
    max_calibration_error: Share


class Parameters(_Section, frozen=True):
    """All of parameters.yaml."""

    seed: int
    features: Features
    split: Split
    evaluate: Evaluate
    models: Models
    private: Private
    explain: Explain
    similar: Similar
    promotion: Promotion


def load(path: Path = FILE) -> Parameters:
    """Read parameters. Raises SettingsError that names the wrong or missing one."""
    try:
        found = msgspec.yaml.decode(path.read_bytes(), type=Parameters)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"{path.name}: {error}", "see include/batch/parameters.py") from error
    if found.similar.bands * found.similar.rows > found.similar.permutations:
        raise SettingsError(f"{path.name}: similar.bands x similar.rows exceed similar.permutations", "lower one")
    return found
