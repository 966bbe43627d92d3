"""Numba's compiler, typed, with its cache where the project keeps all its caches."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

CACHE = Path(__file__).parents[3] / ".showroom" / "cache" / "numba"

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(*, parallel: bool = False) -> Callable[[_F], _F]:
    """Compile a function to machine code when it is first called, and keep that for later processes."""
    return cast(Callable[[_F], _F], numba.njit(cache=True, parallel=parallel, nogil=True, boundscheck=False))


def _keep_cache() -> None:
    """Where the folder cannot be written, numba looks for one itself: beside the module, or the user's."""
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(CACHE, os.W_OK) and not os.environ.get("NUMBA_CACHE_DIR"):
        setattr(numba.config, "CACHE_DIR", str(CACHE))  # noqa: B010


_keep_cache()
