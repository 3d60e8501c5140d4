"""What a block of rays loses at a surface: Fresnel, Parratt's layers, Nevot-Croce roughness.

The intensity of a ray is its Stokes vector [4]: S0, S1 (horizontal - vertical), S2, S3, in the
frame of the beam. An element has its s direction across and its p direction in its plane of
incidence; as in RAY-UI, these are the element's, not each ray's own.

Optical constants: n = 1 - 415.252 rho (f1 - i f2) / (A E^2), f1 and f2 linear between the nodes
of the CXRO tables (Henke, Gullikson, Davis 1993).
"""

import cmath
import math

import numpy as np
from numba import njit

from raybayes.array_types import Array
from raybayes.optics.rows import (
    BILAYERS,
    COATING,
    COATING1,
    COATING2,
    CRYSTAL,
    DZ,
    FOIL,
    GIVEN,
    GIVEN_S,
    JIT,
    KIND,
    LATTICE,
    PERFECT,
    SCREEN,
    SUBSTRATE,
    TOP,
    TURN,
    E,
    Tables,
)

ELECTRON = 2.8179403205e-6  # classical radius, nm
DELTA = 415.252  # eV^2 cm^3 / mol, RAY-UI's


@njit(**JIT)
def attenuate(row: Array, tables: Tables, rays: Array, normals: Array, stokes: Array) -> None:
    """Change the Stokes vectors of a block of rays that `through` took through this element.

    Args:
        row: [COLUMNS], the element.
        tables: what the rows of the beamline point to.
        rays: [7, n], as they leave; normals: [3, n], as `through` left them.
        stokes: [4, n], changed in place.
    """
    kind = row[COATING]
    if kind == PERFECT:
        return
    c, s = row[TURN], row[TURN + 1]
    screen = row[KIND] == SCREEN
    for i in range(rays.shape[1]):
        # After a mirror d.n is the cosine of the angle of incidence again.
        cosine = rays[DZ, i]
        if not screen:
            cosine = 0.0
            for j in range(3):
                cosine += rays[3 + j, i] * normals[j, i]
        energy = rays[E, i]
        if kind == GIVEN:
            rs = complex(math.sqrt(row[GIVEN_S]), 0.0)
            rp = math.sqrt(row[GIVEN_S + 1]) * cmath.exp(1j * row[GIVEN_S + 2])
        elif kind == FOIL:
            rs = rp = transmitted(row, tables, energy, abs(cosine))
        elif kind == CRYSTAL:
            rs, rp = bragg(row, tables.hc / energy, abs(cosine))
        else:
            rs, rp = reflected(row, tables, energy, abs(cosine))
        _mueller(stokes, i, c, s, rs, rp)


@njit(**JIT)
def _mueller(stokes: Array, i: int, c: float, s: float, rs: complex, rp: complex) -> None:
    """Into the element's s and p, through the amplitudes, and back."""
    s1 = c * stokes[1, i] + s * stokes[2, i]
    s2 = c * stokes[2, i] - s * stokes[1, i]
    along_s = 0.5 * (stokes[0, i] + s1) * (rs.real * rs.real + rs.imag * rs.imag)
    along_p = 0.5 * (stokes[0, i] - s1) * (rp.real * rp.real + rp.imag * rp.imag)
    both = rs * rp.conjugate() * complex(s2, stokes[3, i])
    stokes[0, i] = along_s + along_p
    stokes[1, i] = c * (along_s - along_p) - s * both.real
    stokes[2, i] = s * (along_s - along_p) + c * both.real
    stokes[3, i] = both.imag


@njit(**JIT)
def _index(row: Array, layer: int, tables: Tables, energy: float) -> complex:
    grid, factors, material = tables.grid, tables.factors, int(row[layer])
    e = min(max(energy, grid[0]), grid[-1])
    j = min(max(int(np.searchsorted(grid, e)) - 1, 0), grid.shape[0] - 2)
    t = (e - grid[j]) / (grid[j + 1] - grid[j])
    f1 = factors[material, j, 0] + t * (factors[material, j + 1, 0] - factors[material, j, 0])
    f2 = factors[material, j, 1] + t * (factors[material, j + 1, 1] - factors[material, j, 1])
    scale = DELTA * row[layer + 1] / (energy * energy)
    return complex(1.0 - scale * f1, scale * f2)


@njit(**JIT)
def reflected(row: Array, tables: Tables, energy: float, cosine: float) -> tuple[complex, complex]:
    """Amplitudes of s and p: Parratt's recursion from the substrate up (Parratt 1954)."""
    k = 2.0 * math.pi * energy / tables.hc  # 1/nm
    sine2 = 1.0 - cosine * cosine
    below = _index(row, SUBSTRATE, tables, energy)
    sigma = row[SUBSTRATE + 3]
    rs = rp = complex(0.0, 0.0)
    thickness = -1.0  # of the medium below: none yet, the substrate has no back
    bilayers = int(row[BILAYERS])
    for layer in range(2 * bilayers + 2):
        if layer == 2 * bilayers + 1:
            here = -1  # vacuum
        elif layer == 2 * bilayers:
            here = TOP
        else:
            here = COATING2 if layer % 2 == 0 else COATING1
        if here >= 0 and (row[here] < 0.0 or row[here + 2] <= 0.0):
            continue
        above = complex(1.0, 0.0) if here < 0 else _index(row, here, tables, energy)
        qa, qb = cmath.sqrt(above * above - sine2), cmath.sqrt(below * below - sine2)
        rough = cmath.exp(-2.0 * k * k * sigma * sigma * qa * qb)  # Nevot and Croce 1980
        na, nb = above * above, below * below
        fs = (qa - qb) / (qa + qb) * rough
        fp = (nb * qa - na * qb) / (nb * qa + na * qb) * rough
        turn = cmath.exp(2j * k * qb * thickness) if thickness > 0.0 else complex(0.0, 0.0)
        rs, rp = (
            (fs + rs * turn) / (1.0 + fs * rs * turn),
            (fp + rp * turn) / (1.0 + fp * rp * turn),
        )
        if here >= 0:
            below, thickness, sigma = above, row[here + 2], row[here + 3]
    return rs, rp


@njit(**JIT)
def transmitted(row: Array, tables: Tables, energy: float, cosine: float) -> complex:
    """Amplitude after the foil's absorption, along the ray's way through it."""
    k = 2.0 * math.pi * energy / tables.hc
    index = _index(row, SUBSTRATE, tables, energy)
    q = cmath.sqrt(index * index - (1.0 - cosine * cosine))
    return complex(math.exp(-k * q.imag * row[SUBSTRATE + 2]), 0.0)


@njit(**JIT)
def bragg(row: Array, wavelength: float, sine: float) -> tuple[complex, complex]:
    """Amplitudes of s and p of a thick perfect crystal (Batterman and Cole 1964).

    wavelength: nm; sine: of the grazing angle on the surface. No Bragg angle, no reflection.
    """
    if wavelength >= row[LATTICE]:
        return complex(0.0, 0.0), complex(0.0, 0.0)
    cut = row[LATTICE + 2]
    theta, theta_b = math.asin(min(sine, 1.0)) + cut, math.asin(wavelength / row[LATTICE])
    b = -math.sin(theta_b - cut) / math.sin(theta_b + cut)
    gamma = ELECTRON * wavelength * wavelength / (math.pi * row[LATTICE + 1])
    f0 = complex(row[LATTICE + 3], row[LATTICE + 4])
    fh = complex(row[LATTICE + 5], row[LATTICE + 6])
    fhc = complex(row[LATTICE + 7], row[LATTICE + 8])
    top = b * (theta - theta_b) * math.sin(2.0 * theta) + 0.5 * gamma * f0 * (1.0 - b)
    scale = gamma * math.sqrt(abs(b)) * cmath.sqrt(fh * fhc)
    ratio = cmath.sqrt(fh / fhc)
    eta_p = abs(math.cos(2.0 * theta_b))
    rp = ratio * _darwin(top / (scale * eta_p)) if eta_p > 0.0 else complex(0.0, 0.0)
    return ratio * _darwin(top / scale), rp


@njit(**JIT)
def _darwin(eta: complex) -> complex:
    """eta -+ sqrt(eta^2 - 1), the one that decays."""
    root = cmath.sqrt(eta * eta - 1.0)
    return eta - root if eta.real > 0.0 else eta + root
