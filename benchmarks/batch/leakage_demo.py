"""Examples of leakage: metrics that are too high because rows of one session are on both sides of the split."""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import train_test_split

from include.batch.samples import Labels, Matrix, Rows, Samples

SESSIONS, NOISE = 4000, 12
"""Number of sessions and of columns with pure noise."""
TREES = 200
THREADS = 2


@dataclass(frozen=True)
class LeakComparison:
    """Accuracy, F1 and ROC-AUC of the same forest: with the leak, and without."""

    leaky: tuple[float, float, float]
    honest: tuple[float, float, float]


def comparisons(samples: Samples, seed: int) -> dict[str, LeakComparison]:
    """Compare each kind of leak with the valid split, by name."""
    return {"oversampled before the split": oversampled(samples, seed), "noise, each session twice": copied(seed)}


def oversampled(samples: Samples, seed: int) -> LeakComparison:
    """Oversample purchases to half of all rows, before the split or only in its training part."""
    rows = np.arange(len(samples))
    leaky = train_test_split(_oversample_positives(samples.y, rows, seed), test_size=0.2, random_state=seed)
    train, test = train_test_split(rows, test_size=0.2, random_state=seed, stratify=samples.y)
    honest = _oversample_positives(samples.y, train, seed), test
    return LeakComparison(*(_score(samples.x, samples.y, part[0], part[1], seed) for part in (leaky, honest)))


def copied(seed: int, sessions: int = SESSIONS) -> LeakComparison:
    """Compare splits by row and by session on random labels, with every session twice."""
    random = np.random.default_rng(seed)
    x = np.tile(random.normal(size=(sessions, NOISE)).astype(np.float32), (2, 1))
    y = np.tile(random.integers(0, 2, sessions).astype(np.bool_), 2)
    leaky = train_test_split(np.arange(2 * sessions), test_size=0.2, random_state=seed)
    train, test = train_test_split(np.arange(sessions), test_size=0.2, random_state=seed)
    honest = np.concatenate([train, train + sessions]), np.concatenate([test, test + sessions])
    return LeakComparison(*(_score(x, y, part[0], part[1], seed) for part in (leaky, honest)))


def _oversample_positives(y: Labels, rows: Rows, seed: int) -> Rows:
    bought, others = rows[y[rows]], rows[~y[rows]]
    extra = np.random.default_rng(seed).choice(bought, len(others) - len(bought))
    return np.concatenate([rows, extra])


def _score(x: Matrix, y: Labels, train: Rows, test: Rows, seed: int) -> tuple[float, float, float]:
    forest = RandomForestClassifier(TREES, n_jobs=THREADS, random_state=seed).fit(x[train], y[train])
    p = forest.predict_proba(x[test])[:, 1]
    predicted = p >= 0.5  # noqa: PLR2004 - as a classifier's own predict does
    return (
        round(float(accuracy_score(y[test], predicted)), 3),
        round(float(f1_score(y[test], predicted)), 3),
        round(float(roc_auc_score(y[test], p)), 3),
    )
