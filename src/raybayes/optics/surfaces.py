"""Where a block of rays meets a surface, and the surface's normal there.

Rays are [7, n] in the frame of the element. A hit behind the ray, or none, gives a NaN position,
which no cutout contains.
"""

import math

from numba import njit

from raybayes.array_types import Array
from raybayes.optics.rows import ACROSS, DX, DY, DZ, JIT, OFFSET, ROTATION, SLOPE, SURFACE, X, Y, Z

NEWTON_LEFT = 1e-9  # mm along the ray, between the last step's end and the surface
NEWTON_MOST = 20


@njit(**JIT)
def to_frame(row: Array, rays: Array, travel: Array) -> None:
    """Into the element's frame, then straight to its plane y = 0 or z = 0.

    travel [n] gets the path to that plane, mm.
    """
    across = row[ACROSS] == 1.0
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
        path = -z / dz if across else -y / dy
        travel[i] = path
        rays[X, i], rays[Y, i], rays[Z, i] = x + path * dx, y + path * dy, z + path * dz
        rays[DX, i], rays[DY, i], rays[DZ, i] = dx, dy, dz


@njit(**JIT)
def hit_quadric(row: Array, rays: Array, normals: Array) -> None:
    """From the tangent plane to the nearest hit: t = -C / (B + sgn(B) sqrt(B^2 - A C)).

    This root has no cancellation, and A = 0 (a plane, a ruling of a cylinder) is no special
    case. No intersection gives NaN. normals[0] holds the path so far and is overwritten.
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
        forward = normals[0, i] + path > 0.0
        rays[X, i] = x + path * dx if forward else math.nan
        rays[Y, i], rays[Z, i] = y + path * dy, z + path * dz
        nx, ny, nz = gx + path * hx, gy + path * hy, gz + path * hz
        scale = math.copysign(1.0 / math.sqrt(nx * nx + ny * ny + nz * nz), -(a * path + b))
        normals[0, i], normals[1, i], normals[2, i] = scale * nx, scale * ny, scale * nz


@njit(**JIT)
def hit_plane(rays: Array, normals: Array) -> None:
    """On the plane y = 0; as `hit_quadric`, whose division and roots a plane does not need."""
    for i in range(rays.shape[1]):
        dx, dy, dz = rays[DX, i], rays[DY, i], rays[DZ, i]
        path = -rays[Y, i] / dy
        forward = normals[0, i] + path > 0.0
        x = rays[X, i] + path * dx
        rays[X, i] = x if forward else math.nan
        rays[Y, i], rays[Z, i] = 0.0, rays[Z, i] + path * dz
        normals[0, i], normals[1, i], normals[2, i] = 0.0, math.copysign(1.0, -dy), 0.0


@njit(**JIT)
def _toroid_start(row: Array, rays: Array, normals: Array) -> None:
    """A first guess: the quadric y^2 + z^2 + (R / rho) x^2 = 2 R y, exact but for x^4."""
    big, ratio = row[SURFACE], row[SURFACE] / row[SURFACE + 1]
    for i in range(rays.shape[1]):
        x, y, z = rays[X, i], rays[Y, i], rays[Z, i]
        dx, dy, dz = rays[DX, i], rays[DY, i], rays[DZ, i]
        a = dy * dy + dz * dz + ratio * dx * dx
        b = (y - big) * dy + z * dz + ratio * x * dx
        c = y * y + z * z + ratio * x * x - 2.0 * big * y
        path = -c / (b + math.copysign(math.sqrt(b * b - a * c), b))
        forward = normals[0, i] + path > 0.0
        rays[X, i] = x + path * dx if forward else math.nan
        rays[Y, i], rays[Z, i] = y + path * dy, z + path * dz


@njit(**JIT)
def _toroid_newton(row: Array, rays: Array, normals: Array, last: bool) -> int:
    """One Newton step along each ray; leaves the normal, returns how many still move.

    After the `last` step those have no hit.

    RAY-UI's torus (R - y)^2 + z^2 = (R - s)^2 with the sagitta s = rho - p, p^2 = rho^2 - x^2,
    is written without cancellation: f = (y^2 + z^2 - s^2) / 2 - R (y - s) = 0, s = x^2 / (rho + p).
    """
    big, rho = row[SURFACE], row[SURFACE + 1]
    ratio, moving = abs(big / rho), 0
    for i in range(rays.shape[1]):
        x, y, z = rays[X, i], rays[Y, i], rays[Z, i]
        dx, dy, dz = rays[DX, i], rays[DY, i], rays[DZ, i]
        p = math.copysign(math.sqrt(rho * rho - x * x), rho)
        s = x * x / (rho + p)
        f = 0.5 * (y * y + z * z - s * s) - big * (y - s)
        # df/dt = z dz - (R - y) dy + (R - s) ds/dt, ds/dt = -dp/dt = x dx / p
        slope = p * (z * dz - (big - y) * dy) + (big - s) * x * dx
        step = f / slope
        path, turn = -step * p, step * x * dx
        x, y, z = x + path * dx, y + path * dy, z + path * dz
        p, s = p + turn, s - turn  # at the new place: exact to the square of the step
        nx, ny, nz = (s - big) * x, (big - y) * p, -z * p
        scale = 1.0 / math.copysign(math.sqrt(nx * nx + ny * ny + nz * nz), ny)
        normals[0, i], normals[1, i], normals[2, i] = scale * nx, scale * ny, scale * nz
        # Newton's method leaves path^2 f'' / 2 f', and f'' is about 1 + R / rho dx^2.
        left = 0.5 * path * path * (1.0 + ratio * dx * dx) * abs(p)
        moves = left > NEWTON_LEFT * abs(slope)
        moving += moves
        rays[X, i], rays[Y, i], rays[Z, i] = math.nan if moves & last else x, y, z
    return moving


@njit(**JIT)
def hit_toroid(row: Array, rays: Array, normals: Array) -> None:
    """The hit on a torus by Newton's method; mostly the first step is the last."""
    _toroid_start(row, rays, normals)
    for step in range(NEWTON_MOST):
        if _toroid_newton(row, rays, normals, step == NEWTON_MOST - 1) == 0:
            return


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
