"""Slits cut Gaussians: which openings do, and what of a splat passes them.

A Gaussian that an edge cuts is one no more. Its mean and covariance become those of the truncated
normal (moment matching), which is enough where what follows blurs more than the edge cut off; where
it is not, the splat is divided along the cut into cells, each narrow enough to be a Gaussian
wherever it goes, and each is followed for itself.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from raybayes.array_types import Array, Ints
from raybayes.optics.rows import (
    CUTOUT,
    JIT,
    KIND,
    NO_STOP,
    OPENING,
    OPENING_SHAPE,
    RECTANGLE,
    SCREEN,
    SHAPE,
    STOP,
    X,
    Y,
    Z,
)
from raybayes.simulate.splat import FAR, deposit, deposit_image, truncate

NEXT, WEIGHT, SHIFT, MEAN = 0, 1, 2, 3  # columns of a pile
SAMPLED = -1  # no slit carries the energy: every centre has its own
CELLS = 12  # at most, of one splat at one edge
SHARE = 0.25  # of a slit's half width: as fine as a splat must be to be cut there
GRAZED = 2.5  # standard deviations: an edge further out takes too little to be divided for
NEGLIGIBLE = 1e-4  # of the light of one ray: cells with less are not divided again


class Bins(NamedTuple):
    """The detector: rms point spread, width of a bin (mm) and number of bins, x and y.

    image: whether it reads all bins of the plane, or one profile along x and one along y.
    place: of its middle, mm. Of many detectors psf, bin_width and place are [n, 2].
    """

    psf: Array
    bin_width: Array
    bins: Ints
    image: bool
    place: Array


@njit(**JIT)
def stops_of(rows: Array, edges: Ints) -> Ints:
    """Elements whose hits count: slits with an opening, optics whose edges cut the beam.

    And the last one, as what sees the beam; a slit that is the last one stands twice.

    rows: [elements, .]; edges: those of the optics whose edges count.
    """
    stops = np.zeros(rows.shape[0], np.bool_)
    for k in range(rows.shape[0]):
        if rows[k, KIND] == SCREEN:
            stops[k] = np.isfinite(rows[k, OPENING])
        else:
            stops[k] = (edges == k).any() and rows[k, SHAPE] == RECTANGLE
    return np.append(np.flatnonzero(stops), rows.shape[0] - 1)


@njit(**JIT)
def record(row: Array, rays: Array, stop: int, places: Array) -> None:
    """Where a block of rays [7, n] meets a stop: x, and y on a screen, z on a surface, mm.

    places: [F, n], changed in place.
    """
    places[2 * stop] = rays[X]
    places[2 * stop + 1] = rays[Y] if row[KIND] == SCREEN else rays[Z] - row[CUTOUT + 2]


def slits(rows: Array) -> Array:
    """Those of rows [elements, .] that are slits with an opening."""
    return rows[(rows[:, KIND] == SCREEN) & np.isfinite(rows[:, OPENING])]


def hard_edges(row: Array) -> bool:
    """Whether a slit stops light that `soften` lets pass: a beamstop, or a frame with no corners.

    row: [COLUMNS].
    """
    corner = np.hypot(*(row[OPENING : OPENING + 2] / row[CUTOUT : CUTOUT + 2]))
    return bool(row[STOP] != NO_STOP or (row[SHAPE] != RECTANGLE and corner > 1))


@njit(**JIT)
def soften(rows: Array, stops: Ints) -> tuple[Array, Array]:
    """The table without the openings that are cut softly; their half sizes [F], F = 2 stops."""
    hard = rows.copy()
    halves = np.full(2 * stops.shape[0], np.inf)
    for stop in range(stops.shape[0] - 1):
        k = stops[stop]
        if rows[k, KIND] != SCREEN:
            halves[2 * stop : 2 * stop + 2] = rows[k, CUTOUT : CUTOUT + 2]
            hard[k, CUTOUT : CUTOUT + 2] = np.inf
        elif rows[k, OPENING_SHAPE] == RECTANGLE:
            halves[2 * stop : 2 * stop + 2] = rows[k, OPENING : OPENING + 2]
            hard[k, OPENING : OPENING + 2] = np.inf
            if rows[k, SHAPE] == RECTANGLE:  # the frame's edges, too
                for axis in range(2):
                    own = halves[2 * stop + axis]
                    halves[2 * stop + axis] = min(own, rows[k, CUTOUT + axis])
                hard[k, CUTOUT : CUTOUT + 2] = np.inf
    return hard, halves


@njit(**JIT)
def misses(mean: Array, cov: Array, halves: Array) -> bool:
    """Whether a slit stops all of a Gaussian: most of a monochromator's sampled rays end so."""
    for f in range(mean.shape[0] - 2):
        if abs(mean[f]) - FAR * math.sqrt(cov[f, f]) > halves[f]:
            return True
    return False


@njit(**JIT)
def new_pile(size: int) -> Array:
    """Room for one splat of F = `size` components, and all that it is divided into.

    [n, MEAN + F + F^2]: the component that is cut next, light, where cells begin (in cells, 0 to
    1), mean, covariance. One array, as Numba loses what is written into arrays of a tuple.
    """
    return np.zeros((1 + (1 + CELLS) * size, MEAN + size + size * size))


@njit(**JIT)
def moments(pile: Array, k: int, size: int) -> tuple[Array, Array]:
    """Mean [F] and covariance [F, F], mm, of splat k: views."""
    return pile[k, MEAN : MEAN + size], pile[k, MEAN + size :].reshape(size, size)


@njit(**JIT)
def widest_cell(cov: Array, f: int, halves: Array, bins: Bins) -> float:
    """How wide a cell along component f may be, in its standard deviations.

    Where it lands on the detector, or meets a later slit, it must not be wider than what blurs it
    there, or than what is seen there: a bin, or a part of the slit.
    """
    size, widest = cov.shape[0], math.inf
    for g in range(f + 1, size):
        axis = g - (size - 2)
        seen, blur = SHARE * halves[g], 0.0
        if axis >= 0:
            seen, blur = bins.bin_width[axis], bins.psf[axis]
        moved = abs(cov[g, f]) / math.sqrt(cov[f, f])  # per standard deviation along f
        if moved > 0.0 and math.isfinite(seen):
            rest = max(cov[g, g] - moved * moved, 0.0) + blur * blur
            widest = min(widest, math.sqrt(rest + seen * seen) / moved)
    return widest


@njit(**JIT)
def land(
    mean: Array, cov: Array, box: Array, bins: Bins, profile: Array, weight: float, edges: Array
) -> None:
    """Add a splat that was cut to the image, or to the profiles along x and y.

    edges: scratch, as `deposit` needs it.
    """
    across, first = bins.bins[0], mean.shape[0] - 2
    if bins.image:
        x, y = first, first + 1
        spread = (cov[x, x] + bins.psf[0] ** 2, cov[x, y], cov[y, y] + bins.psf[1] ** 2)
        spread = (max(spread[0], 1e-18), spread[1], max(spread[2], 1e-18))
        image = profile.reshape(bins.bins[1], across)
        halves = box[x], box[y]
        centre = mean[x], mean[y]
        deposit_image(image, centre, spread, halves, bins.bin_width, weight, edges)
        return
    for axis in range(2):
        f = first + axis
        sd = math.sqrt(max(cov[f, f], 0.0) + bins.psf[axis] ** 2)
        part = profile[:across] if axis == 0 else profile[across:]
        deposit(part, mean[f], max(sd, 1e-9), abs(box[f]), bins.bin_width[axis], weight, edges)


@njit(**JIT)
def _divide(pile: Array, top: int, halves: Array, bins: Bins) -> int:
    """Cut the splat on top at its next slit; what is left of it lies there in cells.

    Gaussians in place of equal cells ripple where they are wider than a bin; cells that begin
    elsewhere for each splat do not do so together.

    Returns the number of splats on the pile.
    """
    mean, cov = moments(pile, top, halves.shape[0])
    f, weight = int(pile[top, NEXT]), pile[top, WEIGHT]
    sd, half, cells, step = math.sqrt(cov[f, f]), halves[f], 1, 0.0
    low, high = max(-half, mean[f] - FAR * sd), min(half, mean[f] + FAR * sd)
    if high > low and weight > NEGLIGIBLE and half - abs(mean[f]) < GRAZED * sd:
        widest = widest_cell(cov, f, halves, bins) * sd
        cells = max(1, min(CELLS, math.ceil((high - low) / widest)))
        step = (high - low) / cells
        if cells > 1:
            low -= pile[top, SHIFT] * step
            cells += 1
    for cell in range(cells - 1, -1, -1):  # the first cell last: it takes the place of the splat
        k = top + cell
        pile[k] = pile[top]
        a = -half if cell == 0 else low + cell * step
        b = half if cell == cells - 1 else low + (cell + 1) * step
        mean, cov = moments(pile, k, halves.shape[0])
        pile[k, WEIGHT] *= truncate(mean, cov, f, a, b)
        pile[k, NEXT] = f + 1
    return top + cells


@njit(**JIT)
def pass_on(
    pile: Array, box: Array, halves: Array, slit: int, bins: Bins, profile: Array, edges: Array
) -> float:
    """Take the one splat of the pile through the slits onto the detector; the light that arrives.

    box: [F], half widths, mm; slit: the component that needs no cut, as energy is carried
    through it; edges: scratch, as `deposit` needs it.
    """
    stops, left, arrived = box.shape[0] - 2, 1, 0.0
    while left > 0:
        top = left - 1
        f, weight = int(pile[top, NEXT]), pile[top, WEIGHT]
        mean, cov = moments(pile, top, box.shape[0])
        if weight <= 0.0:
            left = top
        elif f == stops:
            land(mean, cov, box, bins, profile, weight, edges)
            arrived += weight
            left = top
        elif f != slit and abs(mean[f]) + FAR * math.sqrt(cov[f, f]) > halves[f]:
            left = _divide(pile, top, halves, bins)
        else:
            pile[top, NEXT] += 1.0
    return arrived
