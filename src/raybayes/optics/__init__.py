"""What happens to a block of rays at one surface; compiled by Numba, float64.

A row maps rays from the previous element's frame into its own, finds the hit, clips, and
reflects or diffracts. The switch is per element and block; the loops over the rays of a block
have no branch that stops them from vectorising.

Rays are [7, n]: x, y, z (mm), direction cosines, energy (eV), in the current frame. Lost rays
are traced on (they cost less than the branch) and never counted.

Sources: RAY-UI's frames and formulas; slope errors as RAY-UI turns the normal.
"""

import math

import numpy as np
from numba import njit

from raybayes.array_types import Array, Ints
from raybayes.optics.cutouts import clip, clip_slit, drop_evanescent
from raybayes.optics.lines import diffract, diffract_or_reflect, reflect
from raybayes.optics.profile import lower, stand_out
from raybayes.optics.rows import (
    DIFFRACTION,
    JIT,
    KIND,
    NO_STOP,
    OPENING,
    ORDERS,
    PLANE,
    PROFILE,
    RAY,
    SCREEN,
    STOP,
    TOROID,
    WAVELENGTH_SHIFT,
    Tables,
    Y,
    Z,
)
from raybayes.optics.slit import spread
from raybayes.optics.surfaces import hit_plane, hit_quadric, hit_toroid, tilt, to_frame

__all__ = ["JIT", "RAY", "WAVELENGTH_SHIFT", "through"]

PASSES = 3  # each divides what is left by (grazing angle / slope of the profile), 1e3 and more


@njit(**JIT)
def through(
    row: Array,
    rays: Array,
    lost: Ints,
    mark: int,
    slopes: Array,
    normals: Array,
    tables: Tables,
) -> None:
    """Take a block of rays through one element.

    Args:
        row: [COLUMNS], the element.
        rays: [7, n], changed in place: at the element, leaving it, in its frame.
        lost: [n], changed in place: gets `mark` where a living ray is lost here.
        slopes: [2, n] in units of the rms slope error (of a slit: of the diffraction angle);
            or [2, 0] for perfect surfaces. A third row, uniform, chooses between two orders.
        normals: [3, n], scratch; the surface's normals after a mirror or grating.
        tables: what the rows of the beamline point to.
    """
    to_frame(row, rays, normals[0])
    if row[KIND] == SCREEN:
        _through_screen(row, rays, lost, mark, slopes)
        return
    _hit(row, rays, normals)
    if row[PROFILE] > 0.0:
        _hit_profile(row, tables.heights, rays, normals)
    clip(row, rays, lost, mark, Z)
    if slopes.shape[1] > 0:
        tilt(row, normals, slopes)
    if row[WAVELENGTH_SHIFT] == 0.0:
        reflect(rays, normals)
    elif row[ORDERS] == 1.0 and slopes.shape[0] > 2:
        diffract_or_reflect(row, rays, normals, slopes[2])
        drop_evanescent(rays, lost, mark)
    else:
        diffract(row, rays, normals)
        drop_evanescent(rays, lost, mark)


@njit(**JIT)
def _through_screen(row: Array, rays: Array, lost: Ints, mark: int, slopes: Array) -> None:
    clip(row, rays, lost, mark, Y)
    if row[OPENING] < math.inf or row[OPENING + 1] < math.inf or row[STOP] != NO_STOP:
        clip_slit(row, rays, lost, mark)
    if slopes.shape[1] > 0 and row[DIFFRACTION] > 0.0:
        spread(row, rays, slopes)


@njit(**JIT)
def _hit(row: Array, rays: Array, normals: Array) -> None:
    """On the ideal figure."""
    if row[KIND] == PLANE:
        hit_plane(rays, normals)
    elif row[KIND] == TOROID:
        hit_toroid(row, rays, normals)
    else:
        hit_quadric(row, rays, normals)


@njit(**JIT)
def _hit_profile(row: Array, heights: Array, rays: Array, normals: Array) -> None:
    """On the measured surface, y = figure + height, from the hit on the figure."""
    start, offset = int(row[PROFILE]) - 1, np.zeros(rays.shape[1])
    for _ in range(PASSES):
        lower(start, heights, rays, offset, normals)
        _hit(row, rays, normals)
    stand_out(start, heights, rays, offset, normals)
