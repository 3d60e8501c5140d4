"""Counts moved from one set of bins to another; none is lost inside, none invented."""

import numpy as np

from raybayes.array_types import Array


def edges_between(positions: Array) -> Array:
    """[n + 1]: the edges of bins around n ascending positions, half-way between neighbours."""
    if len(positions) == 1:
        return positions[0] + np.array([-0.5, 0.5])
    middle = (positions[1:] + positions[:-1]) / 2
    first, last = 2 * positions[0] - middle[0], 2 * positions[-1] - middle[-1]
    return np.concatenate([[first], middle, [last]])


def onto(values: Array, edges: Array, wanted: Array, axis: int = -1) -> Array:
    """Counts in bins with these edges -> counts in the wanted bins.

    A bin's counts lie evenly in it, so a wanted bin gets its share of those that it overlaps.

    Args:
        values: [..., n, ...] along `axis`.
        edges: [n + 1], ascending.
        wanted: [m + 1], ascending.
    """
    rows = np.moveaxis(np.asarray(values, np.float64), axis, -1)
    below = np.concatenate([np.zeros((*rows.shape[:-1], 1)), np.cumsum(rows, axis=-1)], axis=-1)
    place = np.interp(wanted, edges, np.arange(len(edges)))  # in bins; constant outside
    whole = np.minimum(place.astype(int), len(edges) - 2)
    part = place - whole
    at = below[..., whole] * (1 - part) + below[..., whole + 1] * part
    return np.moveaxis(np.diff(at, axis=-1), -1, axis)
