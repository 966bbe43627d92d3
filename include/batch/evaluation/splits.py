"""Train, validation and test rows: by time and by user for the temporal holdout, at random for comparison."""

import zipfile
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.util import hash_array

from include.batch import parameters
from include.batch.features.columns import HISTORY
from include.batch.features.table import Table
from include.batch.samples import Labels, Matrix, Rows
from include.batch.window import Window
from include.contracts.errors import TerminalError

FILE = "split.npz"
KINDS, PARTS = ("temporal", "random"), ("train", "validation", "test")
VALIDATION_SHARE = 0.1
"""Share of validation rows among the rows that are not test rows, in the random split."""

DAY_US = 86_400_000_000
_HASH_KEY = b"showroom test users"
_HASHES = 1 << 64


@dataclass(frozen=True)
class Split:
    """Row numbers of a table, each ascending; `validation` is for early stopping and model selection only."""

    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True)
class Splits:
    """The temporal split, and the random split, which is optimistic."""

    temporal: Split
    random: Split


def is_test_user(user_id: str, share: float) -> bool:
    """Return whether a user belongs to the test share; the same users in every run."""
    digest = blake2b(user_id.encode(), digest_size=8, key=_HASH_KEY).digest()
    return int.from_bytes(digest, "big") < share * _HASHES


def temporal(table: Table, window: Window, split: parameters.SplitParameters) -> Split:
    """Split by time and by user.

    Test: the last `test_days` of the test users. Train: earlier visits of the other users, except the last
    `validation_days`, which are the validation part. Earlier visits of test users and later visits of others are
    unused, so no user is on both sides and no training visit is later than a test visit.

    Raises:
        TerminalError: a part is empty or has one outcome only.
    """
    cut = round(window.cut(split.test_days).timestamp() * 1e6)
    validation_start = cut - round(split.validation_days * DAY_US)
    is_test_user_row = _test_users(table.user_id, split.test_users)
    earlier = table.started_us < cut
    validation = table.started_us >= validation_start
    parts = Split(
        train=np.flatnonzero(~is_test_user_row & earlier & ~validation),
        validation=np.flatnonzero(~is_test_user_row & earlier & validation),
        test=np.flatnonzero(is_test_user_row & ~earlier),
    )
    _assert_both_outcomes(table, parts)
    return parts


def random(table: Table, split: parameters.SplitParameters, seed: int) -> Split:
    """Split visits at random, regardless of user and time: optimistic, for comparison only.

    Records of one user with equal start times count as one visit and stay together.
    """
    keys = pd.MultiIndex.from_arrays([table.user_id, table.started_us])
    visit = pd.factorize(keys)[0]
    draw = np.random.default_rng(seed).random(int(visit.max()) + 1 if len(visit) else 0)[visit]
    validation_limit = split.random_test + (1 - split.random_test) * VALIDATION_SHARE
    parts = Split(
        train=np.flatnonzero(draw >= validation_limit),
        validation=np.flatnonzero((draw >= split.random_test) & (draw < validation_limit)),
        test=np.flatnonzero(draw < split.random_test),
    )
    _assert_both_outcomes(table, parts)
    return parts


def check(table: Table, split: Split) -> None:
    """Check that train, validation and test are disjoint by row, user and session, and ordered by time.

    A copy of a session is a row with equal start time and equal columns, except those of the user's history.

    Raises:
        TerminalError: the split is invalid.
    """
    trained = np.concatenate((split.train, split.validation))
    users, visits, copies = (pd.factorize(keys)[0] for keys in (table.user_id, table.session_id, _contents(table)))
    _assert_disjoint(split.train, split.validation, "row", "train and validation")
    _assert_disjoint(trained, split.test, "row", "training and test")
    _assert_disjoint(users[trained], users[split.test], "user", "training and test")
    for keys, what in ((visits, "session"), (copies, "copy of a session")):
        _assert_disjoint(keys[trained], keys[split.test], what, "training and test")
        _assert_disjoint(keys[split.train], keys[split.validation], what, "train and validation")
    _assert_ordered(table.started_us[split.train], table.started_us[split.validation], "validation")
    _assert_ordered(table.started_us[trained], table.started_us[split.test], "test")


def _contents(table: Table) -> pd.Index:
    """Return a hash of each row's start time and columns."""
    past = {column.name for column in HISTORY}
    own = [index for index, name in enumerate(table.columns) if name not in past]
    hashed = np.zeros(len(table), dtype=np.uint64)
    for values in (table.started_us.astype(np.uint64), *(_bits(table.x[:, index]) for index in own)):
        hashed = hash_array(hashed * np.uint64(31) + values, categorize=False)
    return pd.Index(hashed)


def _bits(values: Matrix) -> NDArray[np.uint64]:
    return np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)


def _assert_disjoint(left: Rows, right: Rows, what: str, sides: str) -> None:
    both = np.intersect1d(left, right)
    if len(both):
        raise TerminalError(f"{len(both)} rows of the same {what} are in both {sides}", "correct the split")


def _assert_ordered(before: Rows, after: Rows, name: str) -> None:
    if len(before) and len(after) and before.max() >= after.min():
        raise TerminalError(f"a visit of the {name} part began before a training visit", "correct the split")


def _test_users(users: NDArray[np.object_], share: float) -> Labels:
    codes, distinct = pd.factorize(users)
    chosen = np.fromiter((is_test_user(user, share) for user in distinct), dtype=np.bool_, count=len(distinct))
    return np.asarray(chosen[codes], dtype=np.bool_)


def _assert_both_outcomes(table: Table, split: Split) -> None:
    for name in ("train", "validation", "test"):
        made = table.made[getattr(split, name)]
        if not len(made) or made.all() or not made.any():
            what = f"{len(made)} visits, {int(made.sum())} of them with a purchase"
            raise TerminalError(
                f"the {name} part of the split has {what}", "give a longer window, or archive more sessions first"
            )


def describe(table: Table, group: Rows, split: Split) -> dict[str, dict[str, float]]:
    """Return visits, users and base rate of each part; `group` (n,) numbers the users."""
    parts = {name: getattr(split, name) for name in PARTS}
    return {
        name: {
            "sessions": len(rows),
            "users": len(np.unique(group[rows])),
            "base_rate": float(table.made[rows].mean()),
        }
        for name, rows in parts.items()
    }


def save(splits: Splits, folder: Path) -> Path:
    """Write both splits into `folder`, replacing the file atomically."""
    arrays = {f"{name}_{part}": getattr(getattr(splits, name), part) for name in KINDS for part in PARTS}
    path = folder / FILE
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(path)
    return path


def load(folder: Path) -> Splits:
    """Load the splits of a folder.

    Raises:
        TerminalError: the file is missing or unreadable.
    """
    path = folder / FILE
    try:
        with np.load(path, allow_pickle=False) as arrays:
            temporal_parts, random_parts = ([arrays[f"{name}_{part}"] for part in PARTS] for name in KINDS)
            return Splits(temporal=Split(*temporal_parts), random=Split(*random_parts))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TerminalError(f"reading {path} failed: {type(error).__name__}", "run the step features first") from error
