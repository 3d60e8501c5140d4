"""What happens to a block of rays at one surface; compiled by Numba, float64.

A beamline is a table of numbers with one row per element, so a new setting or another beamline
changes numbers and never code. A row maps rays from the previous element's frame into its own,
finds the hit, clips, and reflects or diffracts. The switch is per element and block; the loop
over the rays of a block has no branch that stops it from vectorising.

Rays are [7, n]: x, y, z (mm), direction cosines, energy (eV), in the current frame. `lost` is
[n]: 0 while a ray is alive, else 1 + the index of the element that lost it. Lost rays are
traced on (they cost less than the branch) and never counted.

Sources: RAY-UI's frames and formulas; slope errors as RAY-UI turns the normal.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Columns of a row.
KIND = 0  # SCREEN, QUADRIC or TOROID
ROTATION = 1  # 9 numbers: previous frame -> this frame, row by row
OFFSET = 10  # 3 numbers, mm
SHAPE = 13  # of the cutout: 0 rectangle, 1 ellipse
CUTOUT = 14  # half width, half length (mm), centre along z
OPENING = 17  # of a slit: half width, half height (mm)
SLOPE = 19  # rms slope error, sagittal and meridional (rad)
WAVELENGTH_SHIFT = 21  # grating: hc m N 1e-6 (eV), over the energy it is m N lambda; 0: mirror
SURFACE = 22  # quadric: a11 a22 a33 a12 a13 a23 a14 a24 a34 a44; toroid: R, rho
COLUMNS = 32

SCREEN, QUADRIC, TOROID = 0.0, 1.0, 2.0
X, Y, Z, DX, DY, DZ, E = range(7)
RAY = 7

# No fast-math: with fused multiply-adds the last bit would depend on what LLVM inlines, and so on
# whether a caller was compiled or came from the cache. Strict arithmetic gives the same bytes.
JIT: Any = {"cache": True, "error_model": "numpy"}
NEWTON_STEP = 1e-8  # mm along the ray: convergence is quadratic, so what is left is below 1e-18
NEWTON_MOST = 20


@njit(**JIT)
def to_frame(row: Array, rays: Array, on_screen: bool) -> None:
    """Into the element's frame, then straight to its plane (y = 0, or z = 0 for a screen)."""
    r00, r01, r02 = row[ROTATION], row[ROTATION + 1], row[ROTATION + 2]
    r10, r11, r12 = row[ROTATION + 3], row[ROTATION + 4], row[ROTATION + 5]
    r20, r21, r22 = row[ROTATION + 6], row[ROTATION + 7], row[ROTATION + 8]
    t0, t1, t2 = row[OFFSET], row[OFFSET + 1], row[OFFSET + 2]
    for i in range(rays.shape[1]):
        a, b, c = rays[X, i], rays[Y, i], rays[Z, i]
        u, v, w = rays[DX, i], rays[DY, i], rays[DZ, i]
        x = r00 * a + r01 * b + r02 * c + t0
        y = r10 * a + r11 * b + r12 * c + t1
        z = r20 * a + r21 * b + r22 * c + t2
        dx = r00 * u + r01 * v + r02 * w
        dy = r10 * u + r11 * v + r12 * w
        dz = r20 * u + r21 * v + r22 * w
        path = -z / dz if on_screen else -y / dy
        rays[X, i], rays[Y, i], rays[Z, i] = x + path * dx, y + path * dy, z + path * dz
        rays[DX, i], rays[DY, i], rays[DZ, i] = dx, dy, dz


@njit(**JIT)
def clip(row: Array, rays: Array, lost: Ints, mark: int, across: int) -> None:
    """Lose what misses the blank (`across` = Z) or the frame and opening of a slit (Y).

    A NaN, which a ray that finds no surface carries, fails every comparison and is lost too.
    """
    half_x, half_s, centre = row[CUTOUT], row[CUTOUT + 1], row[CUTOUT + 2]
    open_x, open_s = row[OPENING], row[OPENING + 1]
    ellipse = row[SHAPE] == 1.0
    for i in range(rays.shape[1]):
        x, s = abs(rays[X, i]), rays[across, i]
        u, v = x / half_x, abs(s - centre) / half_s
        inside = u * u + v * v <= 1.0 if ellipse else (u < 1.0) & (v < 1.0)
        inside &= (x < open_x) & (abs(s) < open_s)
        lost[i] = mark if (lost[i] == 0) & (not inside) else lost[i]


@njit(**JIT)
def hit_quadric(row: Array, rays: Array, normals: Array) -> None:
    """From the tangent plane to the nearest hit: t = -C / (B + sgn(B) sqrt(B^2 - A C)).

    This root has no cancellation, and A = 0 (a plane, a ruling of a cylinder) is no special
    case. No intersection gives NaN.
    """
    a11, a22, a33 = row[SURFACE], row[SURFACE + 1], row[SURFACE + 2]
    a12, a13, a23 = row[SURFACE + 3], row[SURFACE + 4], row[SURFACE + 5]
    a14, a24, a34, a44 = row[SURFACE + 6], row[SURFACE + 7], row[SURFACE + 8], row[SURFACE + 9]
    for i in range(rays.shape[1]):
        x, y, z = rays[X, i], rays[Y, i], rays[Z, i]
        dx, dy, dz = rays[DX, i], rays[DY, i], rays[DZ, i]
        gx = a11 * x + a12 * y + a13 * z + a14
        gy = a12 * x + a22 * y + a23 * z + a24
        gz = a13 * x + a23 * y + a33 * z + a34
        hx = a11 * dx + a12 * dy + a13 * dz
        hy = a12 * dx + a22 * dy + a23 * dz
        hz = a13 * dx + a23 * dy + a33 * dz
        a = dx * hx + dy * hy + dz * hz
        b = dx * gx + dy * gy + dz * gz
        c = x * (gx + a14) + y * (gy + a24) + z * (gz + a34) + a44
        path = -c / (b + math.copysign(math.sqrt(b * b - a * c), b))
        rays[X, i], rays[Y, i], rays[Z, i] = x + path * dx, y + path * dy, z + path * dz
        nx, ny, nz = gx + path * hx, gy + path * hy, gz + path * hz
        scale = math.copysign(1.0 / math.sqrt(nx * nx + ny * ny + nz * nz), -(a * path + b))
        normals[0, i], normals[1, i], normals[2, i] = scale * nx, scale * ny, scale * nz


@njit(**JIT)
def _toroid_start(row: Array, rays: Array) -> None:
    """A first guess: the osculating paraboloid y = x^2 / 2 rho + z^2 / 2 R."""
    cx, cz = 1.0 / row[SURFACE + 1], 1.0 / row[SURFACE]
    for i in range(rays.shape[1]):
        x, y, z = rays[X, i], rays[Y, i], rays[Z, i]
        dx, dy, dz = rays[DX, i], rays[DY, i], rays[DZ, i]
        a = cx * dx * dx + cz * dz * dz
        b = cx * x * dx + cz * z * dz - dy
        c = cx * x * x + cz * z * z - 2.0 * y
        path = -c / (b + math.copysign(math.sqrt(b * b - a * c), b))
        rays[X, i], rays[Y, i], rays[Z, i] = x + path * dx, y + path * dy, z + path * dz


@njit(**JIT)
def _toroid_newton(row: Array, rays: Array, normals: Array) -> int:
    """One Newton step along each ray; leaves the normal, returns how many still move.

    The height is y = (2 R s - s^2 + z^2) / (R + sqrt((R - s)^2 - z^2)) with the sagitta
    s = x^2 / (rho + sqrt(rho^2 - x^2)): RAY-UI's torus, written without cancellation.
    """
    big, rho = row[SURFACE], row[SURFACE + 1]
    moving = 0
    for i in range(rays.shape[1]):
        x, y, z = rays[X, i], rays[Y, i], rays[Z, i]
        dx, dy, dz = rays[DX, i], rays[DY, i], rays[DZ, i]
        p = math.sqrt(rho * rho - x * x)
        sagitta = x * x / (rho + p)
        q = math.sqrt((big - sagitta) * (big - sagitta) - z * z)
        height = (2.0 * big * sagitta - sagitta * sagitta + z * z) / (big + q)
        inverse = 1.0 / (p * q)
        fx, fz = (big - sagitta) * x * inverse, z * p * inverse
        path = (height - y) / (dy - fx * dx - fz * dz)
        rays[X, i], rays[Y, i], rays[Z, i] = x + path * dx, y + path * dy, z + path * dz
        scale = 1.0 / math.sqrt(fx * fx + fz * fz + 1.0)
        normals[0, i], normals[1, i], normals[2, i] = -fx * scale, scale, -fz * scale
        moving += abs(path) > NEWTON_STEP
    return moving


@njit(**JIT)
def hit_toroid(row: Array, rays: Array, normals: Array) -> None:
    """The hit on a torus by Newton's method; the normal is that of the last step's start."""
    _toroid_start(row, rays)
    for _ in range(NEWTON_MOST):
        if _toroid_newton(row, rays, normals) == 0:
            return
    for i in range(rays.shape[1]):  # no convergence within reason: no hit
        rays[X, i] = math.nan


@njit(**JIT)
def tilt(row: Array, normals: Array, slopes: Array) -> None:
    """Turn the normals by slope errors: slopes [2, n] in units of the rms, sagittal first."""
    for i in range(normals.shape[1]):
        a, b = row[SLOPE] * slopes[0, i], row[SLOPE + 1] * slopes[1, i]
        # Sine and cosine by their series, exact in float64 for |angle| < 3e-3 (600 arcsec),
        # where a call to sin and cos would stop the loop from vectorising.
        sa, ca = a - a * a * a / 6.0, 1.0 - a * a / 2.0 + a * a * a * a / 24.0
        sb, cb = b - b * b * b / 6.0, 1.0 - b * b / 2.0 + b * b * b * b / 24.0
        nx, ny, nz = normals[0, i], normals[1, i], normals[2, i]
        f = ny * cb + nz * sb
        normals[0, i] = nx * ca + f * sa
        normals[1, i] = f * ca - nx * sa
        normals[2, i] = nz * cb - ny * sb


@njit(**JIT)
def reflect(rays: Array, normals: Array) -> None:
    """d - 2 (d.n) n."""
    for i in range(rays.shape[1]):
        nx, ny, nz = normals[0, i], normals[1, i], normals[2, i]
        dx, dy, dz = rays[DX, i], rays[DY, i], rays[DZ, i]
        twice = 2.0 * (dx * nx + dy * ny + dz * nz)
        rays[DX, i], rays[DY, i], rays[DZ, i] = dx - twice * nx, dy - twice * ny, dz - twice * nz


@njit(**JIT)
def diffract(shift: float, rays: Array, normals: Array) -> None:
    """Into an order: the component along the grooves' normal changes by m N lambda.

    RAY-UI's local triad at the hit, h = sqrt(nx^2 + ny^2): x' = (ny, -nx, 0) / h, y' = n,
    z' = (-nx nz, -ny nz, h^2) / h. An evanescent order gives NaN.
    """
    for i in range(rays.shape[1]):
        nx, ny, nz = normals[0, i], normals[1, i], normals[2, i]
        dx, dy, dz = rays[DX, i], rays[DY, i], rays[DZ, i]
        h = math.sqrt(nx * nx + ny * ny)
        # The groove spacing is defined along the tangent: cos(asin nz) = h.
        along_x = (ny * dx - nx * dy) / h
        along_z = (-nx * nz * dx - ny * nz * dy) / h + h * dz - shift / rays[E, i] * h
        up = math.sqrt(1.0 - along_x * along_x - along_z * along_z)
        rays[DX, i] = ny / h * along_x + nx * up - nx * nz / h * along_z
        rays[DY, i] = -nx / h * along_x + ny * up - ny * nz / h * along_z
        rays[DZ, i] = nz * up + h * along_z


@njit(**JIT)
def through(row: Array, rays: Array, lost: Ints, mark: int, slopes: Array, normals: Array) -> None:
    """Take a block of rays through one element.

    Args:
        row: [COLUMNS], the element.
        rays: [7, n], changed in place: at the element, leaving it, in its frame.
        lost: [n], changed in place: gets `mark` where a living ray is lost here.
        slopes: [2, n] in units of the rms slope error; or [2, 0] for perfect surfaces.
        normals: [3, n], scratch.
    """
    screen = row[KIND] == SCREEN
    to_frame(row, rays, screen)
    if screen:
        clip(row, rays, lost, mark, Y)
        return
    if row[KIND] == TOROID:
        hit_toroid(row, rays, normals)
    else:
        hit_quadric(row, rays, normals)
    clip(row, rays, lost, mark, Z)
    if slopes.shape[1] > 0:
        tilt(row, normals, slopes)
    if row[WAVELENGTH_SHIFT] == 0.0:
        reflect(rays, normals)
    else:
        diffract(row[WAVELENGTH_SHIFT], rays, normals)
