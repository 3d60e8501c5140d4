"""The noise-free profile at one theta from few rays: quasi-random centres, Gaussian splats.

A source point is a sampled centre N(0, (1 - eps^2) s^2) plus a carried part N(0, eps^2 s^2). The
light that passes an exit slit has an energy that is all but known from its place in the slit, so
where the source's band is wider than what the slit passes, the energy is carried too: uniform in
the slit, and from there a box along the line that it draws on the detector.

Each centre is four rays: the corners of a tetrahedron in x, y and energy, one standard deviation
away. Their mean holds the curvature of the optics, their differences the Jacobian. The slope
errors are carried through their own Jacobian, which `chief` knows. So a ray lands as a
Gaussian, blurred by a box, whose integral over the bins is exact, and a slit cuts a Gaussian: the
ray keeps the fraction that passes, and its mean and covariance become those of the truncated normal
(moment matching), in every plane that follows.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from raybayes.array_types import Array, Ints
from raybayes.beamline.emission import BEND, ENERGY, SIGMA_X, SIGMA_Y, SPREAD
from raybayes.beamline.source import emit
from raybayes.optics import through
from raybayes.optics.coating import attenuate
from raybayes.optics.rows import (
    CUTOUT,
    JIT,
    KIND,
    NO_STOP,
    OPENING,
    OPENING_SHAPE,
    RAY,
    RECTANGLE,
    SCREEN,
    SHAPE,
    STOP,
    E,
    Tables,
    X,
    Y,
)
from raybayes.simulate.chief import AROUND, blurred, chief_rays
from raybayes.simulate.splat import FAR, carry_energy, deposit, deposit_image, truncate

BLOCK = 64  # centres, 256 rays: 14 KiB, which stay in the first-level cache
CORNERS = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
SAMPLED = -1  # no slit carries the energy: every centre has its own


class Bins(NamedTuple):
    """The detector: rms point spread, width of a bin (mm) and number of bins, x and y.

    image: whether it reads all bins of the plane, or one profile along x and one along y.
    """

    psf: Array
    bin_width: Array
    bins: Ints
    image: bool


class Sampling(NamedTuple):
    """Sobol points, and the light at the source that belongs to them.

    samples: [sets, rays, STANDARD], independent scrambles of the same points.
    stokes: [sets, 4, rays]; or [sets, 4, 0] where nothing takes intensity.
    pick: [n]: which of the sets each theta uses.
    """

    samples: Array
    stokes: Array
    pick: Ints


class Light(NamedTuple):
    """One set of a `Sampling`: samples [rays, STANDARD], stokes [4, rays] or [4, 0]."""

    samples: Array
    stokes: Array


class Method(NamedTuple):
    """How splats are carried, the same for all theta of one beamline.

    slots: [elements], see `slope_slots`.
    slit: the component of the stops that energy is carried through, or SAMPLED.
    eps: the carried part of the source's size.
    """

    slots: Ints
    slit: int
    eps: float


@njit(**JIT)
def stops_of(rows: Array) -> Ints:
    """Elements whose hits count: slits with an opening, and the last one, as what sees the beam.

    rows: [elements, .]. A slit that is the last one stands twice.
    """
    stops = [
        k for k in range(rows.shape[0]) if rows[k, KIND] == SCREEN and np.isfinite(rows[k, OPENING])
    ]
    stops.append(rows.shape[0] - 1)
    return np.array(stops)


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
        if rows[k, OPENING_SHAPE] == RECTANGLE:
            halves[2 * stop : 2 * stop + 2] = rows[k, OPENING : OPENING + 2]
            hard[k, OPENING : OPENING + 2] = np.inf
            if rows[k, SHAPE] == RECTANGLE:  # the frame's edges, too
                for axis in range(2):
                    own = halves[2 * stop + axis]
                    halves[2 * stop + axis] = min(own, rows[k, CUTOUT + axis])
                hard[k, CUTOUT : CUTOUT + 2] = np.inf
    return hard, halves


@njit(**JIT)
def tetrahedra(emission: Array, eps: float, step: float, samples: Array, rays: Array) -> None:
    """[n] samples -> 4 n rays, corner after corner: eps sigma away in x and y, `step` eV in E."""
    n, centres = samples.shape[0], np.empty((RAY, samples.shape[0]))
    emit(emission, samples, centres)
    shrink = math.sqrt(1.0 - eps * eps)
    across = math.copysign(1.0, emission[BEND]) * emission[SIGMA_X]  # see `source._bend`
    for i in range(n):
        centres[X, i] -= (1.0 - shrink) * across * samples[i, 0]
        centres[Y, i] -= (1.0 - shrink) * emission[SIGMA_Y] * samples[i, 1]
    for corner in range(4):
        start = corner * n
        for c in range(RAY):
            rays[c, start : start + n] = centres[c]
        rays[X, start : start + n] += CORNERS[corner, 0] * eps * emission[SIGMA_X]
        rays[Y, start : start + n] += CORNERS[corner, 1] * eps * emission[SIGMA_Y]
        rays[E, start : start + n] += CORNERS[corner, 2] * step


@njit(**JIT)
def gather(places: Array, i: int, n: int, mean: Array, jacobian: Array) -> None:
    """Mean [F] and Jacobian [F, 3] (x, y, energy, per standard deviation) of tetrahedron i."""
    for f in range(places.shape[0]):
        a, b = places[f, i], places[f, i + n]
        c, d = places[f, i + 2 * n], places[f, i + 3 * n]
        mean[f] = 0.25 * (a + b + c + d)
        jacobian[f, 0] = 0.25 * (a + b - c - d)
        jacobian[f, 1] = 0.25 * (a - b + c - d)
        jacobian[f, 2] = 0.25 * (a - b - c + d)


@njit(**JIT)
def _misses(mean: Array, jacobian: Array, slope_cov: Array, halves: Array) -> bool:
    """Whether a slit stops all of a Gaussian: most of a monochromator's sampled rays end so."""
    for f in range(mean.shape[0] - 2):
        variance = slope_cov[f, f] + jacobian[f, 0] ** 2 + jacobian[f, 1] ** 2
        if abs(mean[f]) - FAR * math.sqrt(variance) > halves[f]:
            return True
    return False


@njit(**JIT)
def cut(
    mean: Array, jacobian: Array, cov: Array, halves: Array, slit: int, band: tuple[float, float]
) -> float:
    """Cut a splat at every slit; returns what passes, mean and cov become those of what passes.

    mean [F], jacobian [F, 3]: of the splat; its last column becomes the half width of the box.
    cov [F, F]: comes as that of the slope errors. slit: the component that energy is carried
    through; band: the ends of the source's band, in steps of the energy.
    """
    if slit == SAMPLED and _misses(mean, jacobian, cov, halves):
        return 0.0
    size, box = mean.shape[0], jacobian[:, 2]
    for f in range(size):
        for g in range(size):
            cov[f, g] += jacobian[f, 0] * jacobian[g, 0] + jacobian[f, 1] * jacobian[g, 1]
    if slit == SAMPLED:
        box[:] = 0.0
        mass = 1.0
    else:
        mass = carry_energy(mean, cov, box, slit, halves[slit], band[0], band[1])
    for f in range(size - 2):
        if f != slit and mass > 0.0:
            mass *= truncate(mean, cov, f, halves[f])
    return mass


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
def intensity(stokes: Array, lost: Ints, places: Array, i: int, n: int) -> float:
    """What the four rays of tetrahedron i have kept on average; 0 where one has no place."""
    kept = 0.0
    for ray in range(i, 4 * n, n):
        if not math.isfinite(places[-1, ray]):
            return 0.0
        if lost[ray] == 0:
            kept += 0.25 * (stokes[0, ray] if stokes.shape[1] > 0 else 1.0)
    return kept


@njit(**JIT)
def tune(emission: Array, place: float, dispersion: float, half: float) -> tuple[Array, float]:
    """The source at the energy that takes the chief ray through the middle of a slit.

    place (mm) and dispersion (mm/eV) are the chief ray's in the slit of half width `half`.
    Returns the source, and the rms energy that the slit passes, eV: one step of the tetrahedra.
    """
    source = emission.copy()
    source[ENERGY] -= place / dispersion
    source[SPREAD] = 0.0
    return source, half / abs(dispersion) / math.sqrt(3.0)


@njit(**JIT)
def follow(rows: Array, rays: Array, lost: Ints, stops: Ints, kept: Array, tables: Tables) -> Array:
    """Take a block of rays down the beamline; their places at the stops [F, n].

    kept: [4, n], the Stokes vectors of the rays, changed in place; or [4, 0].
    """
    n = rays.shape[1]
    normals, perfect, places = np.empty((3, n)), np.empty((2, 0)), np.empty((2 * len(stops), n))
    stop = 0
    for k in range(rows.shape[0]):
        through(rows[k], rays, lost, k + 1, perfect, normals, tables)
        if kept.shape[1] > 0:
            attenuate(rows[k], tables, rays, normals, kept)
        while stop < len(stops) and stops[stop] == k:
            places[2 * stop], places[2 * stop + 1] = rays[X], rays[Y]
            stop += 1
    return places


@njit(**JIT)
def one_profile(
    emission: Array,
    rows: Array,
    method: Method,
    light: Light,
    bins: Bins,
    tables: Tables,
    profile: Array,
) -> float:
    """Fill one profile [bins]; returns the transmission."""
    (slots, slit, eps), (samples, stokes) = method, light
    stops = stops_of(rows)
    hard, halves = soften(rows, stops)
    size, total = halves.shape[0], samples.shape[0]
    spread = np.array([math.sqrt(np.mean(samples[:, c] ** 2)) for c in range(AROUND)])
    chief, shrink = (
        chief_rays(emission, hard, slots, stops, spread, tables),
        math.sqrt(1.0 - eps * eps),
    )
    known = np.isfinite(chief.bend).all()  # else rays arrive where the chief ray has no place
    source, step, band = emission, 0.0, (0.0, 0.0)
    if slit != SAMPLED:
        source, step = tune(emission, chief.place[slit], chief.dispersion[slit], halves[slit])
        middle, half = emission[ENERGY] - source[ENERGY], 0.5 * emission[SPREAD]
        band = ((middle - half) / step, (middle + half) / step)
    mean, jacobian, edges = np.empty(size), np.empty((size, 3)), np.empty(bins.bins.max() + 1)
    transmission = 0.0
    for start in range(0, total, BLOCK):
        n = min(BLOCK, total - start)
        # New arrays, not slices of larger ones: only contiguous rows vectorise in `through`.
        rays, lost = np.empty((RAY, 4 * n)), np.zeros(4 * n, np.int64)
        tetrahedra(source, eps, step, samples[start : start + n], rays)
        kept = np.empty((4, 4 * n if stokes.shape[1] > 0 else 0))
        for i in range(kept.shape[1]):
            kept[:, i] = stokes[:, start + i % n]
        places = follow(hard, rays, lost, stops, kept, tables)
        cov = blurred(chief.blur, samples[start : start + n], shrink)
        for i in range(n):
            weight = intensity(kept, lost, places, i, n)
            if weight > 0.0 and not known:
                profile[:] = np.nan
                return np.nan
            if weight > 0.0:
                gather(places, i, n, mean, jacobian)
                mean += chief.bend
                weight *= cut(mean, jacobian, cov[i], halves, slit, band)
            if weight > 0.0:
                land(mean, cov[i], jacobian[:, 2], bins, profile, weight, edges)
                transmission += weight
    profile /= total
    return transmission / total


@njit(parallel=True, **JIT)
def expected_profiles(
    emission: Array,
    rows: Array,
    method: Method,
    sampling: Sampling,
    bins: Bins,
    tables: Tables,
    profiles: Array,
) -> Array:
    """Fill profiles [n, bins], one theta per iteration; returns the transmission [n].

    tables: what the rows point to. What is filled stands in no tuple: Numba's parallel loops write
    into a copy of an array that they find in one, in silence.
    """
    samples, stokes, pick = sampling
    transmission = np.zeros(rows.shape[0])
    for i in prange(rows.shape[0]):
        light = Light(samples[pick[i]], stokes[pick[i]])
        transmission[i] = one_profile(
            emission[i], rows[i], method, light, bins, tables, profiles[i]
        )
    return transmission
