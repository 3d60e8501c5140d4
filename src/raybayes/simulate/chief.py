"""Rays along and near the axis: the dispersion, and the blur by slope errors, of all rays.

Slope errors are tiny, so a ray's place is linear in them; but the optics are not ideal, so how far
an error moves a ray depends on where and whereto the ray starts, and the blur of a source of some
width is not the same on both sides of the beam.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from raybayes.array_types import Array, Ints
from raybayes.beamline.emission import SPREAD
from raybayes.beamline.source import STANDARD, emit
from raybayes.optics import through
from raybayes.optics.rows import JIT, RAY, E, Tables
from raybayes.simulate.openings import record

NUDGE = 0.01  # of the band: how far the chief ray's energy moves to find the dispersion
AROUND = 4  # columns of a sample that say where and whereto a ray starts
MONOMIALS = (1 + AROUND) * (2 + AROUND) // 2  # of those columns, up to the second degree


class Chief(NamedTuple):
    """What rays along the axis, and one standard deviation away from it, say of all rays.

    Attributes:
        place, dispersion: [F], at the stops, mm, and its change with the energy, mm/eV.
        bend: [F], how far all slope errors together move the mean: half their curvature, mm.
        blur: [MONOMIALS, F, F], covariance of the places by all slope errors together, as a
            polynomial of the ray's sample: optics that are not ideal blur more on one side.
    """

    place: Array
    dispersion: Array
    bend: Array
    blur: Array


@njit(**JIT)
def _tilts(slot: int, n: int, group: int, errors: int) -> Array:
    """Slope errors [2, n] of the rays of `chief_rays` at one element; [2, 0] where it has none."""
    if slot < 0:
        return np.empty((2, 0))
    tilts, back = np.zeros((2, n)), n - 1 - errors
    for axis in range(2):
        tilts[axis, 1 + 2 * slot + axis : back : group] = 1.0
        tilts[axis, back + 2 * slot + axis] = -1.0
    return tilts


@njit(**JIT)
def chief_rays(
    emission: Array, rows: Array, slots: Ints, stops: Ints, spread: Array, tables: Tables
) -> Chief:
    """spread [AROUND]: of the samples, each column's root mean square."""
    errors = 2 * (slots.max() + 1)
    around = AROUND if errors > 0 else 0
    # Groups of a ray and the same ray with each slope error: on the axis, then off it in each
    # column; last the axis with each error reversed, and with another energy.
    group = 1 + errors
    back = group * (1 + around)
    n = back + errors + 1
    samples, rays, lost = np.zeros((n, STANDARD)), np.empty((RAY, n)), np.zeros(n, np.int64)
    for c in range(around):
        samples[group * (1 + c) : group * (2 + c), c] = spread[c]
    emit(emission, samples, rays)
    nudge = NUDGE * emission[SPREAD]
    rays[E, n - 1] += nudge
    normals, places, stop = np.empty((3, n)), np.empty((2 * stops.shape[0], n)), 0
    for k in range(rows.shape[0]):
        tilts = _tilts(slots[k], n, group, errors)
        through(rows[k], rays, lost, k + 1, tilts, normals, tables)
        while stop < stops.shape[0] and stops[stop] == k:
            record(rows[k], rays, stop, places)
            stop += 1
    chief = places[:, 0].copy()
    dispersion = (places[:, n - 1] - chief) / nudge if nudge > 0.0 else np.zeros_like(chief)
    moved, behind = places[:, :back], places[:, back : back + errors]
    bend = 0.5 * (moved[:, 1:group] + behind).sum(axis=1) - errors * chief
    if errors == 0:
        bend[:] = 0.0  # also where the chief ray has no place
    return Chief(chief, dispersion, bend, _blur(moved, behind, spread, group))


@njit(inline="always")
def _blur(moved: Array, behind: Array, spread: Array, group: int) -> Array:
    """`Chief.blur`: moved [F, groups], behind [F, errors], see `chief_rays`."""
    size, errors, around = moved.shape[0], group - 1, moved.shape[1] // group - 1
    jacobians = np.zeros((1 + AROUND, size, errors))
    for f in range(size):
        for e in range(errors):
            ahead = moved[f, 1 + e] - moved[f, 0]
            jacobians[0, f, e] = 0.5 * (moved[f, 1 + e] - behind[f, e])
            for c in range(around):
                start = group * (1 + c)
                if spread[c] > 0.0:
                    off = moved[f, start + 1 + e] - moved[f, start]
                    jacobians[1 + c, f, e] = (off - ahead) / spread[c]
    blur, m = np.empty((MONOMIALS, size, size)), 0
    for a in range(1 + AROUND):
        for b in range(a + 1):
            blur[m] = jacobians[a] @ jacobians[b].T
            if a != b:
                blur[m] += blur[m].T.copy()
            m += 1
    return blur


@njit(inline="always")
def _monomials(centres: Array) -> Array:
    """[MONOMIALS, n] of centres [n, STANDARD]."""
    n, m = centres.shape[0], 0
    at, products = np.ones((1 + AROUND, n)), np.empty((MONOMIALS, n))
    for c in range(AROUND):
        at[1 + c] = centres[:, c]
    for a in range(1 + AROUND):
        for b in range(a + 1):
            products[m] = at[a] * at[b]
            m += 1
    return products


@njit(inline="always")
def blurred(blur: Array, centres: Array) -> Array:
    """[n, F, F]: the slope errors' covariance of each of n centres [n, STANDARD]."""
    monomials, size = _monomials(centres), blur.shape[1]
    cov = np.zeros((size, size, centres.shape[0]))
    for f in range(size):
        for g in range(f + 1):
            part = cov[f, g]
            for m in range(MONOMIALS):
                coefficient = blur[m, f, g]
                for i in range(part.shape[0]):
                    part[i] += coefficient * monomials[m, i]
            cov[g, f] = part
    return np.ascontiguousarray(cov.transpose(2, 0, 1))
