"""Where rays come from: points of the unit cube, and rays made of them.

A sample is a row of standard numbers: position x and y, angle x and y, energy, depth. A theta
scales them; so all thetas can share samples, and the same seed gives the same rays whatever
the number of threads.
"""

import math
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numba import njit
from scipy.special import ndtri
from scipy.stats import qmc

from raybayes.array_types import Array, Bools
from raybayes.beamline.dipole import polarised_shares, vertical_angles
from raybayes.beamline.emission import (
    BEND,
    DEPTH,
    DIPOLES,
    ENERGY,
    SIGMA_X,
    SIGMA_XP,
    SIGMA_Y,
    SIGMA_YP,
    SPREAD,
    from_file,
)
from raybayes.beamline.energies import energies_from_file, mean_of_file, separate_energies
from raybayes.beamline.model import Beamline, Element
from raybayes.beamline.undulator_file import file_angles
from raybayes.optics.rows import DX, DY, DZ, JIT, E, X, Y, Z

Sampling = Literal["sobol", "random"]

STANDARD = 6  # columns of a sample: x, y, x', y', energy, depth
SMALL = 0.02  # rad, an angle whose sine and cosine are a few terms of their series
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
        yield np.clip(points, 2.0**-53, 1 - 2.0**-53, out=points)


def dimensions(source: Element) -> int:
    """How many uniform numbers a ray of this source is made of; at least STANDARD."""
    return STANDARD + (1 if source.type in DIPOLES else 2 * (source.type == "Undulator File"))


def standard(beamline: Beamline, points: Array, start: int = 0, rays: int | None = None) -> Array:
    """[n, >= dimensions] points of the unit cube -> [n, STANDARD] standard numbers.

    Rays start ... start + n of `rays`: a matrix source counts them.
    """
    source = beamline.source
    samples = points[:, :STANDARD] - 0.5  # what stays is uniform, width 1
    DISTRIBUTIONS[source.type](
        beamline, points, samples, start, len(points) if rays is None else rays
    )
    _energies(beamline, points[:, 4], samples)
    return samples


def polarisation(beamline: Beamline, points: Array) -> Array:
    """[4, n]: Stokes vectors of unit intensity, S1 positive for horizontal light.

    As the file says; of a dipole as the vertical angle of the photon says.
    """
    source = beamline.source
    stokes = np.zeros((4, len(points)))
    stokes[0] = 1.0
    if source.type in DIPOLES:
        stokes[1], stokes[3] = polarised_shares(beamline, points[:, 3])
        return stokes
    given = [source.number(id_) for id_ in ("linearPol_0", "linearPol_45", "circularPol")]
    stokes[1:] = np.array(given)[:, None] / max(1.0, math.hypot(*given))
    return stokes


def normal_columns(source: Element) -> Bools:
    """[4]: whether x, y, x' and y' of a ray are normally distributed, as a splat needs it."""
    if source.type == "Point Source":
        ids = ("sourceWidth", "sourceHeight", "horDiv", "verDiv")
        return np.array([source.number(f"{id_}Distribution") == 1 for id_ in ids])
    if source.type == "Simple Undulator":
        return np.ones(4, bool)
    size = source.type in ("Undulator File", *DIPOLES)
    return np.array([size, size, False, False])


def white_band(source: Element) -> bool:
    """Whether the energies are uniform between two ends."""
    return source.number("energySpreadType") == 0 and not from_file(source)


def _energies(beamline: Beamline, u: Array, samples: Array) -> None:
    source = beamline.source
    kind = source.number("energySpreadType")
    if from_file(source):
        energies = energies_from_file(beamline, u, continuous=kind == 0)
        samples[:, 4] = energies - mean_of_file(beamline)
    elif kind == 1:  # soft edge
        samples[:, 4] = ndtri(u)
    elif kind == 2:
        samples[:, 4] = separate_energies(u, int(source.number("SeparateEnergies", 3)))


def _normal(_b: Beamline, points: Array, samples: Array, _start: int, _rays: int) -> None:
    samples[:, :4] = ndtri(points[:, :4])


def _point(beamline: Beamline, points: Array, samples: Array, _start: int, _rays: int) -> None:
    for column, id_ in enumerate(
        ("sourceWidth", "sourceHeight", "horDiv", "verDiv"),
    ):
        if beamline.source.number(f"{id_}Distribution") == 1:
            samples[:, column] = ndtri(points[:, column])


def _matrix(_b: Beamline, points: Array, samples: Array, start: int, rays: int) -> None:
    """k x k rays, k = floor(sqrt(N)), from edge to edge; the rest of N begin again."""
    k = math.isqrt(rays)
    edge = np.linspace(-0.5, 0.5, k) if k > 1 else np.zeros(1)
    i = np.arange(start, start + len(points))
    samples[:, 0] = samples[:, 2] = edge[i % k]
    samples[:, 1] = samples[:, 3] = edge[i // k % k]
    samples[:, 5] = 0.0


def _pixel(_b: Beamline, points: Array, samples: Array, _start: int, _rays: int) -> None:
    """Positions in the outer thirds of width and height: four pixels at the corners."""
    third = samples[:, :2] * (2 / 3)
    samples[:, :2] = third + np.copysign(1 / 6, third)


def _circles(beamline: Beamline, points: Array, samples: Array, _start: int, _rays: int) -> None:
    """Directions on cones of equidistant opening angles, each as thick as deltaOpeningAngle."""
    source = beamline.source
    low, high, thick = (
        source.number(f"{id_}OpeningAngle") * 1e-3 for id_ in ("minimum", "maximum", "delta")
    )
    count = max(1, int(source.number("numberCircles", 1)))
    which = points[:, 2] * count
    circle = np.minimum(np.floor(which), count - 1)
    between = (high - low) / (count - 1) if count > 1 else 0.0
    theta = low + between * circle + (which - circle - 0.5) * thick
    around = 2 * np.pi * points[:, 3]
    samples[:, 2] = np.arctan2(np.sin(theta) * np.cos(around), np.cos(theta))
    samples[:, 3] = -np.arcsin(np.sin(theta) * np.sin(around))


def _dipole(beamline: Beamline, points: Array, samples: Array, _start: int, _rays: int) -> None:
    samples[:, :2] = ndtri(points[:, :2])
    divergence = beamline.source.number("verEbeamDiv") * 1e-6
    angles = vertical_angles(beamline, points[:, 3])
    samples[:, 3] = angles + divergence * ndtri(points[:, STANDARD])
    samples[:, 5] = 0.0


def _undulator_file(beamline: Beamline, points: Array, samples: Array, _s: int, _r: int) -> None:
    samples[:, :2] = ndtri(points[:, :2])
    spread = ndtri(points[:, STANDARD : STANDARD + 2])
    divergence = [beamline.source.number(f"{axis}BeamDiv") * 1e-6 for axis in ("hor", "ver")]
    samples[:, 2:4] = file_angles(beamline, points[:, 2:4]) + spread * divergence


DISTRIBUTIONS: dict[str, Callable[[Beamline, Array, Array, int, int], None]] = {
    "Matrix Source": _matrix,
    "Point Source": _point,
    "Pixel Source": _pixel,
    "Circle Source": _circles,
    "Dipole": _dipole,
    "Dipole Source": _dipole,
    "Simple Undulator": _normal,
    "Undulator File": _undulator_file,
}


@njit(**JIT)
def emit(emission: Array, samples: Array, rays: Array) -> None:
    """[n, STANDARD] standard numbers -> rays [7, n] in the source's frame.

    RAY-UI: direction = (cos psi sin phi, -sin psi, cos psi cos phi).
    """
    wide, high = emission[SIGMA_X], emission[SIGMA_Y]
    across, up = emission[SIGMA_XP], emission[SIGMA_YP]
    energy, spread, depth = emission[ENERGY], emission[SPREAD], emission[DEPTH]
    for i in range(rays.shape[1]):  # one loop that strides, so that the next one vectorises
        rays[X, i], rays[Y, i] = wide * samples[i, 0], high * samples[i, 1]
        rays[DX, i], rays[DY, i] = across * samples[i, 2], up * samples[i, 3]
        rays[E, i], rays[Z, i] = energy + spread * samples[i, 4], depth * samples[i, 5]
    steep = 0
    for i in range(rays.shape[1]):
        phi, psi = rays[DX, i], rays[DY, i]
        steep += max(abs(phi), abs(psi)) > SMALL
        flat = _cosine(psi)
        rays[DX, i], rays[DY, i], rays[DZ, i] = flat * _sine(phi), -_sine(psi), flat * _cosine(phi)
    if steep > 0:
        _emit_steep(emission, samples, rays)
    if emission[BEND] != 0.0:
        _bend(emission, samples, rays)


@njit(**JIT)
def _emit_steep(emission: Array, samples: Array, rays: Array) -> None:
    """Directions of the rays whose angles are not SMALL."""
    for i in range(rays.shape[1]):
        phi, psi = emission[SIGMA_XP] * samples[i, 2], emission[SIGMA_YP] * samples[i, 3]
        if max(abs(phi), abs(psi)) > SMALL:
            rays[DX, i] = math.cos(psi) * math.sin(phi)
            rays[DY, i] = -math.sin(psi)
            rays[DZ, i] = math.cos(psi) * math.cos(phi)


@njit(inline="always")
def _sine(a: float) -> float:
    """The series, exact in float64 below SMALL; a call to sin would stop a loop vectorising."""
    q = a * a
    return a * (1.0 - q * (1 / 6) * (1.0 - q * (1 / 20) * (1.0 - q * (1 / 42))))


@njit(inline="always")
def _cosine(a: float) -> float:
    q = a * a
    return 1.0 - q * 0.5 * (1.0 - q * (1 / 12) * (1.0 - q * (1 / 30) * (1.0 - q * (1 / 56))))


@njit(**JIT)
def _bend(emission: Array, samples: Array, rays: Array) -> None:
    """Onto the arc of a dipole: x = s (x1 cos phi + R (1 - cos phi)), z = s (R - x1) sin phi."""
    sign = math.copysign(1.0, emission[BEND])
    for i in range(rays.shape[1]):
        x1, phi = sign * rays[X, i], emission[SIGMA_XP] * samples[i, 2]
        half = math.sin(phi / 2.0)
        rays[X, i] = x1 * math.cos(phi) + emission[BEND] * 2.0 * half * half
        rays[Z, i] = (emission[BEND] - x1) * math.sin(phi)
