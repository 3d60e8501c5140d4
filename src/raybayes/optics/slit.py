"""Fraunhofer diffraction of a block of rays at a slit's opening, as RAY-UI draws it."""

import math

from numba import njit

from raybayes.array_types import Array
from raybayes.optics.rows import DIFFRACTION, DX, DY, DZ, JIT, E


@njit(**JIT)
def spread(row: Array, rays: Array, draws: Array) -> None:
    """Turn each ray by angles with sin(angle) = draw lambda / width, sideways and upwards.

    draws: [2, n], of the distribution that the opening's shape gives (see `beamline.diffraction`).
    The angles of a ray are phi = atan2(dx, dz) and psi = asin(dy).
    """
    wide, high = row[DIFFRACTION], row[DIFFRACTION + 1]
    for i in range(rays.shape[1]):
        phi = math.atan2(rays[DX, i], rays[DZ, i])
        psi = math.asin(rays[DY, i])
        phi += math.asin(min(1.0, max(-1.0, draws[0, i] * wide / rays[E, i])))
        psi += math.asin(min(1.0, max(-1.0, draws[1, i] * high / rays[E, i])))
        rays[DX, i] = math.cos(psi) * math.sin(phi)
        rays[DY, i] = math.sin(psi)
        rays[DZ, i] = math.cos(psi) * math.cos(phi)
