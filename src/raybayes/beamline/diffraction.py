"""Slit diffraction, as RAY-UI draws it: Fraunhofer angles, out to five times lambda / width."""

from functools import cache

import numpy as np
from scipy.special import j1

from raybayes.array_types import Array
from raybayes.optics.rows import (
    DIFFRACTION,
    ELLIPSE,
    KIND,
    OPENING,
    OPENING_SHAPE,
    SCREEN,
)

REACH = 5.0  # in units of lambda / width
POINTS = 20001


def with_diffraction(rows: Array, hc: float) -> Array:
    """[..., elements, COLUMNS]: a copy in which every opening diffracts; hc in nm eV."""
    rows = rows.copy()
    half = rows[..., OPENING : OPENING + 2]
    slit = (rows[..., KIND] == SCREEN)[..., None] & np.isfinite(half) & (half > 0)
    rows[..., DIFFRACTION : DIFFRACTION + 2] = np.where(slit, hc * 1e-6 / (2 * np.abs(half)), 0)
    return rows


def diffraction_angles(row: Array, u: Array) -> Array:
    """[2, n] points of the unit square -> [2, n], angles in units of lambda over the opening.

    Rectangle: sinc^2(pi v) along each axis. Ellipse: (2 J1(pi r) / (pi r))^2 in the plane.
    """
    if row[OPENING_SHAPE] != ELLIPSE:
        v, cumulated = _slit_distribution()
        return np.interp(u, cumulated, v)
    r, cumulated = _pinhole_distribution()
    radius, around = np.interp(u[0], cumulated, r), 2 * np.pi * u[1]
    return np.stack((radius * np.cos(around), radius * np.sin(around)))


@cache
def _slit_distribution() -> tuple[Array, Array]:
    v = np.linspace(-REACH, REACH, POINTS)
    return v, _cumulated(np.sinc(v) ** 2)


@cache
def _pinhole_distribution() -> tuple[Array, Array]:
    r = np.linspace(1e-9, REACH, POINTS)
    return r, _cumulated(r * (2 * j1(np.pi * r) / (np.pi * r)) ** 2)


def _cumulated(density: Array) -> Array:
    total = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    return np.asarray(total / total[-1])
