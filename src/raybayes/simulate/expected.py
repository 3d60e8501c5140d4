"""The noise-free profile at one theta from few rays: quasi-random centres, Gaussian splats.

A source point is a sampled centre N(0, (1 - eps^2) s^2) plus a carried part N(0, eps^2 s^2), in its
place, and in its direction where the study's error asks for it; an energy of a white band carries a
part, too. The light that passes an exit slit has an energy that is all but known from its place in
the slit, so where the source's band is wider than what the slit passes, all of it is carried:
uniform in the slit, and from there a box along the line that it draws on the detector.

Each centre is a few rays: the corners of a simplex in what is carried, one standard deviation away
(a tetrahedron in x, y and energy). Their mean holds the curvature of the optics, their differences
the Jacobian. The slope errors are carried through their own Jacobian, which `chief` knows. So a ray
lands as a Gaussian, blurred by a box, whose integral over the bins is exact, and a slit cuts a
Gaussian, see `openings`.

Rays that never arrive cost as much as those that do: `pilot` finds where the light comes from, and
centres there stand for less light each.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.linalg import helmert

from raybayes.array_types import Array, Ints
from raybayes.beamline.emission import BEND, ENERGY, SIGMA_X, SIGMA_Y, SPREAD
from raybayes.beamline.source import emit
from raybayes.optics import through
from raybayes.optics.coating import attenuate
from raybayes.optics.rows import JIT, RAY, E, Tables, X, Y
from raybayes.optics.threads import in_threads
from raybayes.simulate.chief import AROUND, Chief, blurred, chief_rays
from raybayes.simulate.openings import (
    NEXT,
    SAMPLED,
    SHIFT,
    WEIGHT,
    Bins,
    misses,
    moments,
    new_pile,
    pass_on,
    record,
    soften,
    stops_of,
)
from raybayes.simulate.splat import carry_energy

ENERGIES = 4  # column of a sample
GOLDEN = 0.6180339887498949  # multiples of it are spread evenly
BLOCK = 64  # centres, 256 rays: 14 KiB, which stay in the first-level cache
# Columns: energy, then x, y, x', y'; rows: zero mean, unit covariance.
TETRAHEDRON = np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0], [1.0, -1.0, -1.0]])
SIMPLEX = np.ascontiguousarray(np.sqrt(6.0) * helmert(6).T)


class Sampling(NamedTuple):
    """Sobol points, and the light at the source that belongs to them.

    samples: [sets, rays, STANDARD], independent scrambles of the same points.
    weights: [sets, rays]: the light that each stands for, 1 on average.
    stokes: [sets, 4, rays]; or [sets, 4, 0] where nothing takes intensity.
    pick: [n]: which of the sets each theta uses.
    each: whether it is told what arrives of each point; one kernel does both, as each takes a
        minute to compile.
    """

    samples: Array
    weights: Array
    stokes: Array
    pick: Ints
    each: bool = False


class Light(NamedTuple):
    """One set of a `Sampling`: samples [rays, STANDARD], weights [rays], stokes [4, rays or 0]."""

    samples: Array
    weights: Array
    stokes: Array


class Beams(NamedTuple):
    """A beamline at many thetas: emission and rows [n, .], and what the rows point to."""

    emission: Array
    rows: Array
    tables: Tables


class Method(NamedTuple):
    """How splats are carried, the same for all theta of one beamline.

    slots: [elements], see `slope_slots`; edges: elements whose edges are cut softly.
    slit: the component of the stops that energy is carried through, or SAMPLED.
    eps: [5], the carried parts of the source's size, divergence and band of energies.
    """

    slots: Ints
    edges: Ints
    slit: int
    eps: Array


class Way(NamedTuple):
    """What all rays of one theta share.

    source: the emission, tuned to a slit that carries energy; rows: without the edges that are cut
    softly; stops: see `openings.stops_of`; halves: [F], their half sizes, mm.
    chief: rays along and near the axis; step: of energy, eV; band: its ends in steps.
    """

    source: Array
    rows: Array
    stops: Ints
    halves: Array
    chief: Chief
    step: float
    band: tuple[float, float]


@njit(inline="always")
def corner_rays(
    emission: Array, eps: Array, step: float, corners: Array, samples: Array
) -> tuple[Array, Array]:
    """Centres [n, STANDARD] of n samples, and rays [7, c n], corner after corner.

    corners: [c, 3 or 5]; a corner is `eps` standard deviations away in what is carried, and `step`
    eV in energy.
    """
    n, count = samples.shape[0], corners.shape[0]
    centres = samples.copy()
    for c in range(AROUND):  # not energies: a narrower white band would be a brighter one
        centres[:, c] *= math.sqrt(1.0 - eps[c] * eps[c])
    # New arrays, not slices of larger ones: only contiguous rows vectorise in `through`.
    rays, some = np.empty((RAY, count * n)), np.empty((RAY, n))
    across = math.copysign(1.0, emission[BEND]) * emission[SIGMA_X]  # see `source._bend`
    emit(emission, centres, some)
    for corner in range(count):
        if corners.shape[1] > TETRAHEDRON.shape[1]:
            around = centres.copy()
            for c in range(2, AROUND):
                around[:, c] += eps[c] * corners[corner, 1 + c]
            emit(emission, around, some)
        part = rays[:, corner * n : (corner + 1) * n]
        part[:] = some
        part[X] += corners[corner, 1] * eps[X] * across
        part[Y] += corners[corner, 2] * eps[Y] * emission[SIGMA_Y]
        part[E] += corners[corner, 0] * step
    return centres, rays


@njit(**JIT)
def gather(places: Array, i: int, corners: Array, mean: Array, jacobian: Array) -> None:
    """Mean [F] and Jacobian [F, carried] (energy first, per standard deviation) of simplex i."""
    count = corners.shape[0]
    n = places.shape[1] // count
    for f in range(places.shape[0]):
        if count == 4:  # without multiplications, as for most beamlines
            a, b = places[f, i], places[f, i + n]
            c, d = places[f, i + 2 * n], places[f, i + 3 * n]
            mean[f] = 0.25 * (a + b + c + d)
            jacobian[f, 0] = 0.25 * (a - b - c + d)
            jacobian[f, 1] = 0.25 * (a + b - c - d)
            jacobian[f, 2] = 0.25 * (a - b + c - d)
            continue
        mean[f] = 0.0
        jacobian[f] = 0.0
        for corner in range(count):
            place = places[f, i + corner * n] / count
            mean[f] += place
            for k in range(corners.shape[1]):
                jacobian[f, k] += place * corners[corner, k]


@njit(**JIT)
def intensity(stokes: Array, lost: Ints, places: Array, i: int, n: int) -> float:
    """What the rays of simplex i of n have kept on average; 0 where one has no place."""
    kept, count = 0.0, lost.shape[0] // n
    for ray in range(i, lost.shape[0], n):
        if not math.isfinite(places[-1, ray]):
            return 0.0
        if lost[ray] == 0:
            kept += stokes[0, ray] if stokes.shape[1] > 0 else 1.0
    return kept / count


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


@njit(inline="always")
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
            record(rows[k], rays, stop, places)
            stop += 1
    return places


@njit(inline="always")
def _carried(
    pile: Array, jacobian: Array, halves: Array, slit: int, band: tuple[float, float], box: Array
) -> None:
    """Make the one splat of a pile, whose cov is that of the slope errors, the one of a centre.

    jacobian: [F, carried]; band: the ends of the source's band, in steps of the energy.
    box: [F], gets the half widths of the box that the energy draws.
    """
    mean, cov = moments(pile, 0, halves.shape[0])
    pile[0, NEXT] = 0.0
    first = 0 if slit == SAMPLED else 1  # energy is a part of the Gaussian, or draws a box
    for f in range(mean.shape[0]):
        for g in range(mean.shape[0]):
            for c in range(first, jacobian.shape[1]):
                cov[f, g] += jacobian[f, c] * jacobian[g, c]
    if slit == SAMPLED:
        box[:] = 0.0
        if misses(mean, cov, halves):
            pile[0, WEIGHT] = 0.0
    else:
        box[:] = jacobian[:, 0]
        pile[0, WEIGHT] *= carry_energy(mean, cov, box, slit, halves[slit], band[0], band[1])


@njit(inline="always")
def _prepared(emission: Array, rows: Array, method: Method, samples: Array, tables: Tables) -> Way:
    """What all rays of one theta share."""
    stops = stops_of(rows, method.edges)
    hard, halves = soften(rows, stops)
    spread = np.array([math.sqrt(np.mean(samples[:, c] ** 2)) for c in range(AROUND)])
    chief = chief_rays(emission, hard, method.slots, stops, spread, tables)
    slit = method.slit
    # A white band's standard deviation is 1 / sqrt(12) of its width; no other is carried.
    source, step = emission, method.eps[ENERGIES] * emission[SPREAD] / math.sqrt(12.0)
    band = (0.0, 0.0)
    if slit != SAMPLED:
        source, step = tune(emission, chief.place[slit], chief.dispersion[slit], halves[slit])
        middle, half = emission[ENERGY] - source[ENERGY], 0.5 * emission[SPREAD]
        band = ((middle - half) / step, (middle + half) / step)
    return Way(source, hard, stops, halves, chief, step, band)


@njit(inline="always")  # in one place: less to compile than a function of its own
def _block(
    way: Way, method: Method, light: Light, bins: Bins, tables: Tables, profile: Array
) -> Array:
    """Add the light of a block of centres to a profile [bins]; what arrives of each [n]."""
    slit, eps, halves = method.slit, method.eps, way.halves
    corners = TETRAHEDRON if eps[2] + eps[3] == 0.0 else SIMPLEX
    centres, rays = corner_rays(way.source, eps, way.step, corners, light.samples)
    lost, n, size = np.zeros(rays.shape[1], np.int64), centres.shape[0], halves.shape[0]
    kept = np.empty((4, rays.shape[1] if light.stokes.shape[1] > 0 else 0))
    for i in range(kept.shape[1]):
        kept[:, i] = light.stokes[:, i % n]
    places = follow(way.rows, rays, lost, way.stops, kept, tables)
    blur = blurred(way.chief.blur, centres)
    known = np.isfinite(way.chief.bend).all()  # else rays arrive where the chief ray has no place
    pile, box, arrived = new_pile(size), np.empty(size), np.zeros(n)
    mean, cov = moments(pile, 0, size)
    jacobian, edges = np.empty((size, corners.shape[1])), np.empty(bins.bins.max() + 1)
    for i in range(n):
        weight = intensity(kept, lost, places, i, n) * light.weights[i]
        if weight > 0.0 and not known:
            profile[:] = np.nan
        elif weight > 0.0:
            gather(places, i, corners, mean, jacobian)
            mean += way.chief.bend
            mean[size - 2 :] -= bins.place
            cov[:] = blur[i]
            pile[0, WEIGHT], pile[0, SHIFT] = weight, (i * GOLDEN) % 1.0
            _carried(pile, jacobian, halves, slit, way.band, box)
            arrived[i] = pass_on(pile, box, halves, slit, bins, profile, edges)
    return arrived


def expected_profiles(
    emission: Array,
    rows: Array,
    method: Method,
    sampling: Sampling,
    bins: Bins,
    tables: Tables,
    profiles: Array,
) -> tuple[Array, Array]:
    """Fill profiles [n, bins]; the light that arrives [n], and that of each point, [n, rays].

    Or [n, 0], see `Sampling`. bins: of a detector for each; tables: what the rows point to.
    """
    n, points = len(rows), sampling.samples.shape[1]
    transmission, arrivals = np.zeros(n), np.zeros((n, points if sampling.each else 0))

    def some(start: int, stop: int) -> None:
        part = slice(start, stop)
        beams = Beams(emission[part], rows[part], tables)
        dealt = sampling._replace(pick=sampling.pick[part])
        own = bins._replace(
            psf=bins.psf[part], bin_width=bins.bin_width[part], place=bins.place[part]
        )
        _profiles(beams, method, dealt, own, profiles[part], transmission[part], arrivals[part])

    in_threads(some, n)
    return transmission, arrivals


@njit(nogil=True, **JIT)
def _profiles(
    beams: Beams,
    method: Method,
    sampling: Sampling,
    bins: Bins,
    profiles: Array,
    transmission: Array,
    arrivals: Array,
) -> None:
    """`expected_profiles`, one theta after the other."""
    samples, weights, stokes, pick, each = sampling
    total, tables = samples.shape[1], beams.tables
    for i in range(beams.rows.shape[0]):
        j, profile, arrived = pick[i], profiles[i], np.zeros(total)
        own = Bins(bins.psf[i], bins.bin_width[i], bins.bins, bins.image, bins.place[i])
        way = _prepared(beams.emission[i], beams.rows[i], method, samples[j], tables)
        for start in range(0, total, BLOCK):
            stop = min(start + BLOCK, total)
            part = Light(samples[j, start:stop], weights[j, start:stop], stokes[j, :, start:stop])
            arrived[start:stop] = _block(way, method, part, own, tables, profile)
        profile /= total
        transmission[i] = arrived.mean()
        if each:
            arrivals[i] = arrived
