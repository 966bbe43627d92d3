"""Visits grouped by user: the unit of sampling, clipping and protection."""

import hashlib
from dataclasses import dataclass

import numpy as np

from include.batch.samples import Labels, Matrix, Rows, Samples
from include.contracts.errors import TerminalError


@dataclass(frozen=True)
class Users:
    """Visits of u users.

    `z` (n, e) and `y` (n,) are columns and outcomes of all visits. `visits` (u, s) are the row numbers of each user,
    padded with -1.
    """

    z: Matrix
    y: Labels
    visits: Rows

    def __len__(self) -> int:
        return len(self.visits)

    @property
    def digest(self) -> str:
        """SHA-256 over all input of the training."""
        sha256 = hashlib.sha256(repr((self.z.shape, self.visits.shape)).encode())
        for numbers in (self.z, self.y, self.visits):
            sha256.update(np.ascontiguousarray(numbers).tobytes())
        return sha256.hexdigest()


def users(samples: Samples, max_visits: int) -> Users:
    """Return the last `max_visits` rows of each user; the selection is independent of other users.

    Raises:
        TerminalError: there are no rows, or a scaled column is not finite.
    """
    if not len(samples) or not np.isfinite(samples.z).all():
        raise TerminalError(
            "there is no visit to train the private network on"
            if not len(samples)
            else "a scaled column is not finite",
            "check the output of the step features",
        )
    order = np.argsort(samples.group, kind="stable")
    _, first, count = np.unique(samples.group[order], return_index=True, return_counts=True)
    back = np.arange(min(max_visits, int(count.max())))[np.newaxis, :]
    at = (first + count)[:, np.newaxis] - 1 - back
    visits = np.where(back < count[:, np.newaxis], order[np.maximum(at, 0)], -1)
    return Users(samples.z, samples.y, visits)


@dataclass(frozen=True)
class Batch:
    """u users and their r visits: `rows` (r,) of the data, `owner` (r,) the index of the user, ascending.

    `pairs` (m, 2) are the positions in `rows` of every two visits of one user.
    """

    rows: Rows
    owner: Rows
    pairs: Rows
    users: int


def batch(visits: Rows) -> Batch:
    """Return the batch of users' visits (u, s): row numbers from the left, padded with -1."""
    present = visits >= 0
    owner, _ = np.nonzero(present)
    position = np.cumsum(present).reshape(visits.shape) - 1
    first, second = np.triu_indices(visits.shape[1], 1)
    is_pair = present[:, second]
    pairs = np.stack([position[:, first][is_pair], position[:, second][is_pair]], axis=1)
    return Batch(visits[present], owner, pairs, len(visits))
