"""parameters.yaml as immutable structs; an unknown name or an invalid value is an error."""

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
    """An immutable section without unknown fields."""


class FeatureParameters(_Section, frozen=True):
    """Feature table: documents per chunk, whether reviews are read, and days of user history."""

    chunk: Natural
    reviews: bool
    history_days: Positive


class SplitParameters(_Section, frozen=True):
    """Splits: days of the test part and of the validation part before it, share of test users, random test share."""

    test_days: Positive
    test_users: Share
    validation_days: Positive
    random_test: Share


class EvaluationParameters(_Section, frozen=True):
    """Bootstrap resamples, confidence level, and the ROC-AUC at which one column counts as a leak."""

    draws: Natural
    confidence: Share
    leak_auc: Share


class ForestParameters(_Section, frozen=True):
    """Random forest, as `sklearn.ensemble.RandomForestClassifier` names it."""

    n_estimators: Natural
    max_depth: Natural
    min_samples_leaf: Natural


class BoostParameters(_Section, frozen=True):
    """Gradient boosting, as `xgboost.XGBClassifier` names it."""

    n_estimators: Natural
    max_depth: Natural
    learning_rate: Share
    subsample: Annotated[float, Meta(gt=0, le=1)]
    colsample_bytree: Annotated[float, Meta(gt=0, le=1)]
    min_child_weight: Positive


class NetworkParameters(_Section, frozen=True):
    """A network of ReLU layers, trained by Adam with early stopping after `patience` epochs."""

    hidden_layer_sizes: tuple[Natural, ...]
    dropout: Annotated[float, Meta(ge=0, lt=1)]
    learning_rate: Positive
    epochs: Natural
    batch_size: Natural
    patience: Natural


class LogisticParameters(_Section, frozen=True):
    """Logistic regression, as `sklearn.linear_model.LogisticRegression` names it: an L2 penalty of 1 / C."""

    C: Positive


class ModelParameters(_Section, frozen=True):
    """Hyper-parameters of each kind of model."""

    forest: ForestParameters
    boost: BoostParameters
    network: NetworkParameters
    logistic: LogisticParameters


class PrivateParameters(_Section, frozen=True):
    """The private network. `epsilon` is the cost of one run, `budget` the limit of all runs; both at `delta`."""

    epsilon: Positive
    delta: Share
    budget: Positive
    clip: Positive
    users_per_step: Natural
    steps: Natural
    learning_rate: Positive
    hidden_layer_sizes: tuple[Natural, ...]
    max_sessions_per_user: Natural
    prior: Share


class ExplainParameters(_Section, frozen=True):
    """Number of test rows that are explained for each kind of model."""

    rows: Natural
    forest_rows: Natural
    private_rows: Natural
    background: Natural


class SimilarParameters(_Section, frozen=True):
    """MinHash banding and the kinds of token; `bands` x `rows` must not exceed `permutations`."""

    permutations: Natural
    bands: Natural
    rows: Natural
    threshold: Share
    neighbours: Natural
    min_tokens: Natural
    tokens: tuple[Token, ...]


class PromotionParameters(_Section, frozen=True):
    """Conditions for the promotion of a challenger."""

    metric: Literal["roc_auc", "pr_auc"]
    confidence: Share
    max_calibration_error: Share


class Parameters(_Section, frozen=True):
    """All sections of parameters.yaml."""

    seed: int
    features: FeatureParameters
    split: SplitParameters
    evaluation: EvaluationParameters
    models: ModelParameters
    private: PrivateParameters
    explain: ExplainParameters
    similar: SimilarParameters
    promotion: PromotionParameters


def load(path: Path = FILE) -> Parameters:
    """Load the parameters.

    Raises:
        SettingsError: the file is unreadable, or a name or value in it is invalid.
    """
    try:
        parameters = msgspec.yaml.decode(path.read_bytes(), type=Parameters)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"{path.name}: {error}", "see include/batch/parameters.py") from error
    similar = parameters.similar
    if similar.bands * similar.rows > similar.permutations:
        raise SettingsError(
            f"{path.name}: similar.bands x similar.rows exceed similar.permutations", "lower one of them"
        )
    return parameters
