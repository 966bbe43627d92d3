"""Typed wrapper of numba.njit, with its cache in the project's cache folder."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

CACHE = Path(__file__).parents[3] / ".showroom" / "cache" / "numba"

_F = TypeVar("_F", bound=Callable[..., Any])


def jit(*, parallel: bool = False) -> Callable[[_F], _F]:
    """Compile a function to machine code on its first call, and cache the result for later processes."""
    return cast(Callable[[_F], _F], numba.njit(cache=True, parallel=parallel, nogil=True, boundscheck=False))


def _configure_cache() -> None:
    """Use the project's cache folder; numba chooses another folder if it is not writable."""
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(CACHE, os.W_OK) and not os.environ.get("NUMBA_CACHE_DIR"):
        setattr(numba.config, "CACHE_DIR", str(CACHE))  # noqa: B010


_configure_cache()
