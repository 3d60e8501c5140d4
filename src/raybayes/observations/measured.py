"""What stands in a measured file, before anything is done to it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raybayes.array_types import Array
from raybayes.errors import InputError

LARGEST = 256 * 2**20  # bytes, of a file or of what it unpacks to


@dataclass(frozen=True)
class Measured:
    """What stands in a file.

    Attributes:
        values: [n], or [rows, columns] from the upper left corner.
        axes: mm, where the readings lie, or the edges between them: along a profile, or of an
            image's columns and of its rows, in the file's order; None where the file has none.
        pixel: width and height, mm; None where the file does not say.
        ceiling: the largest number that the file's own type can hold; a reading there is
            saturated. None for real numbers.
    """

    values: Array
    axes: tuple[Array, ...] | None = None
    pixel: tuple[float, float] | None = None
    ceiling: float | None = None


def one_of(path: Path, names: list[str], wanted: str | None) -> str:
    """The array that is wanted, or the only one."""
    if wanted is not None and wanted in names:
        return wanted
    if wanted is None and len(names) == 1:
        return names[0]
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    asked = f"no array {wanted!r}" if wanted else f"{len(names)} arrays"
    raise InputError(f"{path}: holds {asked}; set dataset to one of: {listed or 'none there'}")


def measured(path: Path, array: NDArray) -> Measured:
    """An array of real or whole numbers; the whole ones have a ceiling."""
    if array.dtype.kind not in "uif":
        raise InputError(f"{path}: holds {array.dtype} where numbers are needed")
    ceiling = float(np.iinfo(array.dtype).max) if array.dtype.kind in "ui" else None
    return Measured(array.astype(np.float64), ceiling=ceiling)
