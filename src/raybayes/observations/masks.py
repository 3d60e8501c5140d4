"""Readings that are none: gaps and dead pixels, and light beyond what the camera can measure."""

from pathlib import Path

import numpy as np

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError

AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
ENOUGH = 5  # neighbours with a reading, from which a pixel between them can be told
PLATEAU, LEVELS = 10, 10.0  # readings at the largest value; over those of a level just below
TOP = 0.2  # of the range, which is "just below"
HIDDEN = 1e-3  # of the light, which gaps may hide from a profile


def ceiling_of(values: Array) -> float:
    """The level at which many readings end, as a 12-bit camera's do in 16-bit files; else inf.

    Near the top of a beam each level holds about as many pixels as the next; one that holds far
    more than those below it is where the camera stops.
    """
    if values.size < 2 * PLATEAU:
        return np.inf
    top, low = values.max(), values.min()
    at_top = int((values == top).sum())
    near = values[(values < top) & (values > top - TOP * (top - low))]
    step = 1.0 if (values == np.round(values)).all() else _step(near)
    levels = max(TOP * (top - low) / step, 1.0)
    if at_top < PLATEAU or at_top <= LEVELS * (len(near) / levels) or top - low < LEVELS * step:
        return np.inf
    return float(top)


def _step(values: Array) -> float:
    """The smallest difference between readings that are no whole numbers."""
    steps = np.diff(np.unique(values))
    return float(steps.min()) if len(steps) else 1.0


def filled(values: Array, bad: Bools) -> tuple[Array, Bools, tuple[str, ...]]:
    """Single pixels and lines get the mean of their neighbours; what is wider stays unknown."""
    if values.ndim != 2:
        return values, bad, ()
    from scipy.ndimage import convolve  # slow to load, and seldom needed

    good = convolve((~bad).astype(int), AROUND, mode="constant")
    sums = convolve(np.where(bad, 0.0, values), AROUND, mode="constant")
    can = bad & (good >= ENOUGH)
    mended = np.where(can, sums / np.maximum(good, 1), np.where(bad, 0.0, values))
    told = (f"{can.sum()} masked pixels got the mean of their neighbours.",) if can.any() else ()
    left = bad & ~can
    if left.any():
        told = (*told, f"{left.sum()} pixels stay unknown (gaps).")
    return mended, left, told


def hides(values: Array, bad: Bools) -> float:
    """The share of an image's light that gaps hide, by what lies on their rims."""
    from scipy.ndimage import convolve

    rim = convolve(bad.astype(int), np.ones((3, 3), int), mode="constant").astype(bool) & ~bad
    total = np.abs(values[~bad].sum())
    lost = bad.sum() * float(np.abs(values[rim]).max(initial=0.0)) if rim.any() else 0.0
    return float(lost / total) if total else 1.0


def without_gaps(path: Path, values: Array, bad: Bools | None) -> Array:
    """An image whose sums are wanted: gaps may lie beside the beam, not in it.

    Raises:
        InputError: they hide light from the sums.
    """
    if bad is None or not bad.any():
        return values
    if hides(values, bad) > HIDDEN:
        raise InputError(
            f"{path}: {int(bad.sum())} pixels have no reading and lie in the beam, so its profiles "
            "are not known; move the beam off the gap, or use a study that reads images"
        )
    return np.where(bad, 0.0, values)
