"""How a block of rays leaves a surface: reflected, or diffracted by lines.

Diffraction, as in RAY-UI: in the local triad at the hit, h = sqrt(nx^2 + ny^2),
x' = (ny, -nx, 0) / h, y' = n, z' = (-nx nz, -ny nz, h^2) / h, the components along x' and z'
change by ax and az. An evanescent order gives NaN.
"""

import math

from numba import njit

from raybayes.array_types import Array
from raybayes.optics.rows import (
    DX,
    DY,
    DZ,
    EQUIDISTANT,
    JIT,
    LINES,
    PATTERN,
    VARIED,
    WAVELENGTH_SHIFT,
    E,
    X,
    Y,
    Z,
)

# PATTERN of a zone plate: where the lines' design images from and to, and the kind of image.
# Source and image lie in the yz plane, at (-along, above) and (along, above) of the origin, mm.
SOURCE_ALONG, SOURCE_ABOVE, IMAGE_ALONG, IMAGE_ABOVE, MERIDIONAL = range(PATTERN, PATTERN + 5)


@njit(**JIT)
def reflect(rays: Array, normals: Array) -> None:
    """d - 2 (d.n) n."""
    for i in range(rays.shape[1]):
        nx, ny, nz = normals[0, i], normals[1, i], normals[2, i]
        dx, dy, dz = rays[DX, i], rays[DY, i], rays[DZ, i]
        twice = 2.0 * (dx * nx + dy * ny + dz * nz)
        rays[DX, i], rays[DY, i], rays[DZ, i] = dx - twice * nx, dy - twice * ny, dz - twice * nz


@njit(**JIT)
def diffract(row: Array, rays: Array, normals: Array) -> None:
    """Into the order of a grating or zone plate."""
    if row[LINES] == EQUIDISTANT:
        _equidistant(row[WAVELENGTH_SHIFT], rays, normals)
    elif row[LINES] == VARIED:
        _varied(row, rays, normals)
    else:
        _zones(row, rays, normals)


@njit(**JIT)
def diffract_or_reflect(row: Array, rays: Array, normals: Array, draws: Array) -> None:
    """Order zero for the rays whose draw, [n] uniform numbers, is below one half."""
    zero = rays.copy()
    reflect(zero, normals)
    diffract(row, rays, normals)
    for i in range(rays.shape[1]):
        if draws[i] < 0.5:
            rays[DX, i], rays[DY, i], rays[DZ, i] = zero[DX, i], zero[DY, i], zero[DZ, i]


@njit(inline="always")
def _leave(rays: Array, normals: Array, i: int, ax: float, az: float) -> None:
    nx, ny, nz = normals[0, i], normals[1, i], normals[2, i]
    dx, dy, dz = rays[DX, i], rays[DY, i], rays[DZ, i]
    h = math.sqrt(nx * nx + ny * ny)
    inverse = 1.0 / h
    mx, my = nx * inverse, ny * inverse
    along_x = my * dx - mx * dy - ax
    along_z = h * dz - nz * (mx * dx + my * dy) - az
    up = math.sqrt(1.0 - along_x * along_x - along_z * along_z)
    rays[DX, i] = my * along_x + nx * up - nz * mx * along_z
    rays[DY, i] = ny * up - mx * along_x - nz * my * along_z
    rays[DZ, i] = nz * up + h * along_z


@njit(**JIT)
def _equidistant(shift: float, rays: Array, normals: Array) -> None:
    """az = m N lambda h: the spacing is defined along the tangent, and cos(asin nz) = h."""
    for i in range(rays.shape[1]):
        nx, ny = normals[0, i], normals[1, i]
        _leave(rays, normals, i, 0.0, shift / rays[E, i] * math.sqrt(nx * nx + ny * ny))


@njit(**JIT)
def _varied(row: Array, rays: Array, normals: Array) -> None:
    """N(z) = N0 (1 + 2 b2 z + 3 b3 z^2 + 4 b4 z^3 + 5 b5 z^4 + 6 b6 z^5 + 7 b7 z^6)."""
    shift = row[WAVELENGTH_SHIFT]
    b2, b3, b4 = 2.0 * row[PATTERN], 3.0 * row[PATTERN + 1], 4.0 * row[PATTERN + 2]
    b5, b6, b7 = 5.0 * row[PATTERN + 3], 6.0 * row[PATTERN + 4], 7.0 * row[PATTERN + 5]
    for i in range(rays.shape[1]):
        z, nx, ny = rays[Z, i], normals[0, i], normals[1, i]
        density = 1.0 + z * (b2 + z * (b3 + z * (b4 + z * (b5 + z * (b6 + z * b7)))))
        az = shift / rays[E, i] * density * math.sqrt(nx * nx + ny * ny)
        _leave(rays, normals, i, 0.0, az)


@njit(**JIT)
def _zones(row: Array, rays: Array, normals: Array) -> None:
    """The lines of a zone plate that images point to point at its design energy and order.

    With unit vectors i from the design source and m to its image, in the frame of the lines:
    ax = (lambda m / lambda_d m_d) (xi + xm), az = -(lambda m / lambda_d m_d) (zi + zm).
    """
    shift = row[WAVELENGTH_SHIFT]  # design energy x order / design order, eV
    si, hi = row[SOURCE_ALONG], row[SOURCE_ABOVE]
    so, ho = row[IMAGE_ALONG], row[IMAGE_ABOVE]
    meridional = row[MERIDIONAL] == 1.0
    for i in range(rays.shape[1]):
        nx, ny, nz = normals[0, i], normals[1, i], normals[2, i]
        x, y, z = 0.0 if meridional else rays[X, i], rays[Y, i], rays[Z, i]
        h2 = nx * nx + ny * ny
        zi = nx * nz * x - h2 * (z + si) + ny * nz * (y - hi)
        xi = ny * x - nx * y + nx * hi
        yi = -nx * x - ny * y - nz * z - nz * si + ny * hi
        zm = nx * nz * x + h2 * (so - z) + ny * nz * (y - ho)
        xm = ny * x - nx * y + nx * ho
        ym = -nx * x - ny * y - nz * z + nz * so + ny * ho
        ri = 1.0 / math.sqrt(xi * xi + yi * yi + zi * zi)
        rm = 1.0 / math.sqrt(xm * xm + ym * ym + zm * zm)
        scale = shift / rays[E, i]
        _leave(rays, normals, i, scale * (xi * ri + xm * rm), -scale * (zi * ri + zm * rm))
