"""What a network sees of simulations: with noise that a function of the user's draws."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raybayes.array_types import Array32
from raybayes.errors import InputError

Noise = Callable[[NDArray, np.random.Generator], NDArray]


class Nuisance(NamedTuple):
    """A noise that depends on parameters which cost no simulations, drawn anew in every epoch.

    noise: as for `Estimator.train`; afresh: (theta [n, d], noise-free x, generator) -> both, with
    these parameters drawn from the prior.
    """

    noise: Noise
    afresh: Callable[[NDArray, NDArray, np.random.Generator], tuple[NDArray, NDArray]]


def noisy(noise: Noise, rows: NDArray, rng: np.random.Generator, missing: bool) -> Array32:
    """What a function of the user's makes of rows that it cannot change for the next epoch."""
    view = rows.view()
    view.flags.writeable = False
    return observed(noise(view, rng), len(rows), missing, "x with its noise")


def observed(x: ArrayLike, n: int, missing: bool, name: str = "x") -> Array32:
    """[n, size] as networks see it; NaN where entries may be missing.

    Raises:
        InputError: another shape, or numbers that are not finite as float32.
    """
    values = np.asarray(x)
    if values.ndim != 2 or len(values) != n:
        raise InputError(
            f"{name} has shape {values.shape}; it must be [{n}, size], one row per theta"
        )
    with np.errstate(over="ignore"):
        seen = values.astype(np.float32, copy=False)
    bad = ~(np.isfinite(seen) | (np.isnan(seen) & missing)).all(axis=1)
    if bad.any():
        raise InputError(
            f"{name} is not finite as float32 in {bad.sum()} of {n} rows, the first is row "
            f"{int(np.argmax(bad))} of them; mend it, or give x in a larger unit"
        )
    return seen
