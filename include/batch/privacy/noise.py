"""Noise that is reproducible only with a secret key.

A published seed would allow anyone to subtract the noise. The stream is SHAKE-256 of HMAC(key, release), so only the
key's owner can repeat a release. Not covered: the rounding of floating-point Gaussians (Mironov, CCS 2012).
"""

import hashlib
import hmac

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from include.batch.samples import Floats, Rows
from include.contracts.errors import SettingsError
from include.contracts.settings import MIN_KEY_BYTES, PREFIX, BatchSettings

WORD_DTYPE = np.dtype("<u8")


class Noise:
    """One stream of random numbers; the same seed gives the same stream."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._blocks = 0

    @classmethod
    def for_release(cls, settings: BatchSettings, release: str) -> "Noise":
        """Return the stream of one release.

        Raises:
            SettingsError: the key is missing or short.
        """
        return cls(hmac.digest(_key(settings), release.encode(), "sha256"))

    @property
    def name(self) -> str:
        """The public name of the stream: equal names mean equal numbers, and a name reveals no number."""
        return hmac.digest(self._seed, b"name", "sha256").hex()

    def uniform(self, count: int) -> Floats:
        """Return `count` independent numbers in the open interval (0, 1), 53 bits each."""
        self._blocks += 1
        block = self._seed + self._blocks.to_bytes(8, "big")
        words: NDArray[np.uint64] = np.frombuffer(
            hashlib.shake_256(block).digest(count * WORD_DTYPE.itemsize), WORD_DTYPE
        )
        return ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, count: int) -> Floats:
        """Return `count` independent standard normal numbers, by inversion."""
        normal: Floats = ndtri(self.uniform(count))
        return normal

    def sample_users(self, users: int, rate: float) -> Rows:
        """Sample users, each independently with probability `rate`; return their numbers."""
        return np.flatnonzero(self.uniform(users) < rate)


def _key(settings: BatchSettings) -> bytes:
    key = settings.noise_key.reveal().encode()
    if len(key) < MIN_KEY_BYTES:
        raise SettingsError(
            f"{PREFIX}BATCH_NOISE_KEY is {'too short' if key else 'missing'}; the private network is not released",
            f"set it to at least {MIN_KEY_BYTES} random characters and keep it secret, because it reveals the noise",
        )
    return key
