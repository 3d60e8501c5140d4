"""Where a block of rays meets a surface, and the surface's normal there.

Rays are [7, n] in the frame of the element. A hit behind the ray, or none, gives a NaN position,
which no cutout contains.
"""

import math

from numba import njit

from raybayes.optics.rows import (
    ACROSS,
    DX,
    DY,
    DZ,
    JIT,
    OFFSET,
    ROTATION,
    SLOPE,
    SURFACE,
    Array,
    X,
    Y,
    Z,
)

NEWTON_STEP = 1e-8  # mm along the ray: convergence is quadratic, so what is left is below 1e-18
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
