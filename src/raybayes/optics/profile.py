"""The measured heights of a surface over its ideal figure.

A table of heights starts with six numbers (places, first place and spacing across, the same
along z; mm) and goes on with four for each place [across, along]: the height, its two slopes and
its twist. Between four places the height is the bicubic Hermite polynomial of these.
"""

import math

from numba import njit

from raybayes.array_types import Array
from raybayes.optics.rows import JIT, X, Y, Z

HEADER, NODE = 6, 4  # numbers before the places, and of each place


@njit(inline="always")
def _cell(place: float, first: float, step: float, count: int) -> tuple[int, float, float]:
    """The cell that holds a place, how far into it (0..1), and 1; beyond the ends, the end and 0.

    So outside of what was measured the height is that of the border, and the slope is zero.
    """
    u = (place - first) / step
    inside = 1.0 if 0.0 <= u <= count - 1.0 else 0.0
    u = min(max(u, 0.0), count - 1.0)
    cell = min(int(u), max(count - 2, 0))
    return cell, u - cell, inside


@njit(inline="always")
def _hermite(t: float, step: float) -> tuple[float, float, float, float]:
    """Weights of the height before and after, of the slope before and after."""
    s = 1.0 - t
    return (1.0 + 2.0 * t) * s * s, t * t * (3.0 - 2.0 * t), step * t * s * s, -step * t * t * s


@njit(inline="always")
def _hermite_slope(t: float, step: float) -> tuple[float, float, float, float]:
    """The derivatives of `_hermite` by the place."""
    s = 1.0 - t
    up = 6.0 * t * s / step
    return -up, up, s * (1.0 - 3.0 * t), t * (3.0 * t - 2.0)


@njit(**JIT)
def height_at(start: int, heights: Array, x: float, z: float) -> tuple[float, float, float]:
    """Height (mm) at a place, and its slopes across and along."""
    nx, nz = int(heights[start]), int(heights[start + 3])
    dx, dz = heights[start + 2], heights[start + 5]
    i, u, in_x = _cell(x, heights[start + 1], dx, nx)
    j, v, in_z = _cell(z, heights[start + 4], dz, nz)
    along, along_slope = _hermite(v, dz), _hermite_slope(v, dz)
    across, across_slope = _hermite(u, dx), _hermite_slope(u, dx)
    height = slope_x = slope_z = 0.0
    for a in range(2):
        for b in range(2):
            row, column = min(i + a, nx - 1), min(j + b, nz - 1)
            at = start + HEADER + NODE * (row * nz + column)
            # The value and the slope across of the curve along z, then its slope and twist.
            value = along[b] * heights[at] + along[2 + b] * heights[at + 2]
            turn = along[b] * heights[at + 1] + along[2 + b] * heights[at + 3]
            value_z = along_slope[b] * heights[at] + along_slope[2 + b] * heights[at + 2]
            turn_z = along_slope[b] * heights[at + 1] + along_slope[2 + b] * heights[at + 3]
            height += across[a] * value + across[2 + a] * turn
            slope_x += across_slope[a] * value + across_slope[2 + a] * turn
            slope_z += across[a] * value_z + across[2 + a] * turn_z
    return height, in_x * slope_x, in_z * slope_z


@njit(**JIT)
def lower(start: int, heights: Array, rays: Array, offset: Array, normals: Array) -> None:
    """Shift rays down by the height where they are, so that the ideal figure is what they hit.

    offset: [n], by how much they are down already, mm; changed in place.
    """
    for i in range(rays.shape[1]):
        x, z = rays[X, i], rays[Z, i]
        if math.isfinite(x) and math.isfinite(z):
            height, _, _ = height_at(start, heights, x, z)
            rays[Y, i] -= height - offset[i]
            offset[i] = height
        normals[0, i] = math.inf  # the way so far: the hit that follows may lie behind


@njit(**JIT)
def stand_out(start: int, heights: Array, rays: Array, offset: Array, normals: Array) -> None:
    """Back up from the figure onto the measured surface; turns the normals by its slopes."""
    for i in range(rays.shape[1]):
        x, z = rays[X, i], rays[Z, i]
        if math.isfinite(x) and math.isfinite(z):
            _, slope_x, slope_z = height_at(start, heights, x, z)
            rays[Y, i] += offset[i]
            ny = normals[1, i]
            fx, fz = -normals[0, i] / ny + slope_x, -normals[2, i] / ny + slope_z
            scale = math.copysign(1.0 / math.sqrt(1.0 + fx * fx + fz * fz), ny)
            normals[0, i], normals[1, i], normals[2, i] = -scale * fx, scale, -scale * fz
