"""Where rays come from: points of the unit cube, and rays made of them.

A sample is a row of standard numbers: four standard normals (position x and y, angle x and y),
one number for the energy and one for the depth. A setting scales them; so all settings can
share samples, and the same seed gives the same rays whatever the number of threads.
"""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc

from raybayes.beamline.geometry import (
    DEPTH,
    ENERGY,
    SIGMA_X,
    SIGMA_XP,
    SIGMA_Y,
    SIGMA_YP,
    SPREAD,
)
from raybayes.beamline.rml import Element
from raybayes.optics import DX, DY, DZ, JIT, E, X, Y, Z

Array = NDArray[np.float64]
Sampling = Literal["sobol", "random"]

STANDARD = 6  # columns of a sample: x, y, x', y', energy, depth
CHUNK = 1 << 16  # rays in memory at once; part of what a seed means, so a constant


def uniforms(
    sampling: Sampling, dimensions: int, rays: int, seed: int | tuple[int, ...]
) -> Iterator[Array]:
    """Points of the open unit cube, [<= CHUNK, dimensions] at a time, `rays` in all.

    "sobol": Owen-scrambled Sobol points (Owen 1998; scipy). "random": Philox, a counter-based
    generator (Salmon et al. 2011; numpy).
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    engine = qmc.Sobol(dimensions, rng=rng) if sampling == "sobol" else None
    for start in range(0, rays, CHUNK):
        n = min(CHUNK, rays - start)
        if engine is None:
            points = rng.random((n, dimensions))
        else:  # Sobol points are balanced in powers of two
            points = engine.random(1 << (n - 1).bit_length())[:n]
        yield np.clip(points, 2.0**-53, 1 - 2.0**-53)


def standard(source: Element, points: Array) -> Array:
    """[n, >= STANDARD] points of the unit cube -> [n, STANDARD] standard numbers."""
    samples = points[:, :STANDARD] - 0.5  # energy (white band) and depth: uniform, width 1
    soft_edge = source.number("energySpreadType") == 1
    normal = slice(0, 5 if soft_edge else 4)
    samples[:, normal] = ndtri(points[:, normal])
    return samples


@njit(**JIT)
def emit(emission: Array, samples: Array, rays: Array) -> None:
    """[n, STANDARD] standard numbers -> rays [7, n] in the source's frame.

    RAY-UI: direction = (cos psi sin phi, -sin psi, cos psi cos phi).
    """
    for i in range(rays.shape[1]):
        phi, psi = emission[SIGMA_XP] * samples[i, 2], emission[SIGMA_YP] * samples[i, 3]
        rays[X, i], rays[Y, i] = (
            emission[SIGMA_X] * samples[i, 0],
            emission[SIGMA_Y] * samples[i, 1],
        )
        rays[Z, i] = emission[DEPTH] * samples[i, 5]
        rays[DX, i] = math.cos(psi) * math.sin(phi)
        rays[DY, i] = -math.sin(psi)
        rays[DZ, i] = math.cos(psi) * math.cos(phi)
        rays[E, i] = emission[ENERGY] + emission[SPREAD] * samples[i, 4]
