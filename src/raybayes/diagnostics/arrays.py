"""What comes in: arrays of stated shapes, without a NaN."""

import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array
from raybayes.errors import InputError


def checked(name: str, values: ArrayLike, *shape: int | str) -> Array:
    """The values as float64, refused unless finite and of this shape; a letter is any length."""
    array = np.asarray(values, np.float64)
    fits = array.ndim == len(shape) and all(
        isinstance(want, str) or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(str(s) for s in shape)
        raise InputError(f"{name} has shape {array.shape}; it must be [{wanted}]")
    if array.size == 0:
        raise InputError(f"{name} is empty, of shape {array.shape}; give at least one row")
    bad = ~np.isfinite(array)
    if bad.any():
        raise InputError(
            f"{name} holds {bad.sum()} values that are NaN or infinite, the first at index "
            f"{[int(i) for i in np.argwhere(bad)[0]]}; mend or leave them out"
        )
    return array


def at_least(name: str, count: int, least: int, why: str) -> None:
    """Refuse too few."""
    if count < least:
        raise InputError(f"{count} {name} are too few: {why}; give at least {least}")
