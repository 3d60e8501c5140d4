"""Readings that are none: gaps and dead pixels, and light beyond what the camera can measure."""

import numpy as np

from raybayes.array_types import Array, Bools

AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
ENOUGH = 5  # neighbours with a reading, from which a pixel between them can be told
PLATEAU, LEVELS = 10, 10.0  # readings at the largest value; over those of a level just below
TOP = 0.2  # of the range, which is "just below"
MANY = 30  # counts of a line, beside which one of 0 is none by chance
HIDDEN = 1e-3  # of a profile's peak, which gaps may hide from it


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


def dead_lines(values: Array, bad: Bools | None) -> tuple[str, ...]:
    """A caution where whole columns or rows of an image [rows, columns] are 0 amid light."""
    told = []
    for name, axis in (("columns", 0), ("rows", 1)):
        known = values if bad is None else np.where(bad, np.nan, values)
        empty = (known == 0).all(axis=axis)
        lit = np.flatnonzero(~empty)
        between = empty[lit[0] : lit[-1]].sum() if len(lit) else 0
        sums = np.nansum(np.abs(known), axis=axis)
        # Beside few photons a whole line may be dark by chance.
        if between and np.median(sums[lit]) > MANY:
            told.append(
                f"Caution: {between} {name} hold nothing but 0 amid lit ones; if they are dead, "
                "give a mask."
            )
    return tuple(told)


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


def hidden_light(values: Array, bad: Bools) -> Array:
    """[rows, columns]: how much light a pixel without a reading may hide, by the nearest readings.

    0 where there is a reading.
    """
    from scipy.ndimage import distance_transform_edt, maximum_filter

    around = maximum_filter(np.abs(np.where(bad, 0.0, values)), size=3, mode="nearest")
    nearest = distance_transform_edt(bad, return_distances=False, return_indices=True)
    return np.where(bad, around[tuple(nearest)], 0.0)


def summed(values: Array, bad: Bools | None, axis: int) -> tuple[Array, Bools]:
    """A profile of an image, and where it is unknown: gaps beside the beam take nothing from it.

    Args:
        axis: that is summed over.
    """
    if bad is None or not bad.any():
        sums = values.sum(axis=axis)
        return sums, np.zeros(sums.shape, bool)
    sums = np.where(bad, 0.0, values).sum(axis=axis)
    if bad.all():
        return sums, np.ones(sums.shape, bool)
    lost = hidden_light(values, bad).sum(axis=axis)
    return sums, lost > HIDDEN * np.abs(sums).max()
