"""Measured surface profiles: files of heights -> the table that the tracer looks them up in."""

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from raybayes.array_types import Array
from raybayes.beamline.data_files import LARGEST
from raybayes.errors import InputError
from raybayes.store import read_text

FORM = (
    "a measured profile has rows of z and height, or of x, z and height on a whole grid, all in "
    "mm, and lines of text only with a # before them"
)
STEEPEST = 0.01  # rad: no polished mirror has such a slope error
MOST_PLACES = 4_000_000  # 128 MB


@lru_cache(maxsize=32)
def height_table(path: Path, changed: int) -> Array:
    """The table of one file; see `raybayes.optics.profile`.

    Args:
        path: rows `z height` or `x z height`, mm, in the frame of the element (z along the beam,
            the height towards it), separated by blanks or commas; they may stand in any order.
        changed: when the file was written; a changed file is read again.

    Raises:
        InputError: it is no such file.
    """
    grids, heights = _read(path)
    counts = [1 + round(np.ptp(g) / np.diff(g).min()) if len(g) > 1 else 1 for g in grids]
    if np.prod(counts) > MOST_PLACES:
        raise InputError(f"{path}: {counts[0]} x {counts[1]} places are too many; thin them out")
    for axis, (grid, count) in enumerate(zip(grids, counts, strict=True)):
        if count > 1:  # onto even places, by the spline through those given
            even = np.linspace(grid[0], grid[-1], count)
            heights = CubicSpline(grid, heights, axis=axis)(even)
            grids[axis] = even
    nodes = [
        _derived(grids, heights, across, along) for along in (False, True) for across in (0, 1)
    ]
    slopes = np.abs(nodes[1:3]).max()
    if slopes > STEEPEST:
        raise InputError(
            f"{path}: heights rise by {slopes:.3g} mm per mm, and no mirror is that rough: give "
            "places and heights in mm"
        )
    header = [value for g in grids for value in (len(g), g[0], g[1] - g[0] if len(g) > 1 else 1.0)]
    table = np.concatenate([header, np.stack(nodes, axis=-1).ravel()])
    table.flags.writeable = False
    return table


def _derived(grids: list[Array], heights: Array, across: int, along: bool) -> Array:
    """Heights [nx, nz], or their first derivatives; none along an axis of one place."""
    for axis, wanted in enumerate((bool(across), along)):
        if wanted and len(grids[axis]) == 1:
            return np.zeros_like(heights)
        if wanted:
            heights = CubicSpline(grids[axis], heights, axis=axis)(grids[axis], 1)
    return heights


def _read(path: Path) -> tuple[list[Array], Array]:
    """[x [nx], z [nz]] and heights [nx, nz], mm; of a curve nx is 1."""
    try:
        lines = read_text(path, LARGEST).replace(",", " ").replace(";", " ").splitlines()
        with warnings.catch_warnings():  # of an empty file, which is said below
            warnings.simplefilter("ignore")
            rows = np.loadtxt(lines, np.float64, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {FORM} ({error})") from error
    if rows.size and rows.shape[1] == 2:
        rows = np.insert(rows, 0, 0.0, axis=1)
    if not rows.size or rows.shape[1] != 3 or not np.isfinite(rows).all():
        raise InputError(f"{path}: {FORM}; this one is empty, or has another form or a NaN")
    grids = [np.unique(rows[:, 0]), np.unique(rows[:, 1])]
    shape = (len(grids[0]), len(grids[1]))
    places = np.unique(rows[:, :2], axis=0)
    if len(rows) != shape[0] * shape[1] or len(places) != len(rows) or shape[1] < 4:
        raise InputError(
            f"{path}: {FORM}; this one has {len(rows)} rows for {shape[0]} places in x and "
            f"{shape[1]} in z (at least 4)"
        )
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    return grids, rows[order, 2].reshape(shape)
