"""Sources: RAY-UI's parameters -> the emission row that turns standard numbers into rays."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array
from raybayes.beamline.energies import mean_of_file
from raybayes.beamline.model import Element
from raybayes.beamline.values import Values

# Scales of the six standard numbers of a sample (mm, mrad * 1e-3, eV, mm), the mean energy, and
# the signed bending radius of a dipole's orbit (mm; 0: none).
SIGMA_X, SIGMA_Y, SIGMA_XP, SIGMA_YP, ENERGY, SPREAD, DEPTH, BEND = range(8)
EMISSION_COLUMNS = 8
# RAY-UI's table "BESSY II low Beta": um, urad, um, urad.
LOW_BETA = (71.6, 74.6, 9.93, 8.07)
FROM_FILE = 0  # energyDistributionType

Scales = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]


def emission_row(get: Values, hc: float) -> Array:
    """[n, EMISSION_COLUMNS]."""
    source = get.beamline.source
    row = np.zeros((get.n, EMISSION_COLUMNS))
    for column, value in enumerate(SCALES[source.type](get, source, hc)):
        row[:, column] = value
    row[:, ENERGY], row[:, SPREAD] = _energy(get, source)
    if source.type not in FLAT:
        row[:, DEPTH] = get(source, "sourceDepth")
    if source.type in DIPOLES:
        row[:, BEND] = 1e3 * get(source, "bendingRadius") * orientation(source)
    return row


def from_file(source: Element) -> bool:
    """Whether the source's energies come from a file."""
    for id_ in ("energyDistributionType", "photonEnergyDistributionType"):
        if id_ in source.params:
            return source.number(id_, 1) == FROM_FILE
    return False


def _energy(get: Values, source: Element) -> tuple[ArrayLike, ArrayLike]:
    """Mean and scale, eV; samples of a distribution from a file are differences to its mean."""
    energy = get(source, "photonEnergy")
    if from_file(source):
        return mean_of_file(get.beamline), 1.0
    get.check(source, "photonEnergy", energy > 0, "a photon energy must be positive")
    percent = source.number("energySpreadUnit") == 1
    spread = np.abs(get(source, "energySpread")) * (energy / 100 if percent else 1)
    # No ray may have an energy of zero or less: a white band ends at half its width, and a
    # normal distribution is cut off by sampling at 8.2 sigma.
    reach = 8.3 if source.number("energySpreadType") == 1 else 0.5
    good = energy > reach * spread
    get.check(source, "energySpread", good, "the energy band reaches down to zero; narrow it")
    return energy, spread


def _extended(get: Values, source: Element, _hc: float) -> Scales:
    """Width, height, mm, and divergences, mrad: full widths, or rms where Gaussian."""
    return (
        get(source, "sourceWidth"),
        get(source, "sourceHeight"),
        get(source, "horDiv") * 1e-3,
        get(source, "verDiv") * 1e-3,
    )


def _circles(get: Values, source: Element, _hc: float) -> Scales:
    return get(source, "sourceWidth"), get(source, "sourceHeight"), 1.0, 1.0


def diffraction_limit(wavelength: Array, length: Array, accurate: bool) -> tuple[Array, Array]:
    """Photon size (m) and divergence (rad) of an undulator; wavelength and its length in m."""
    if accurate:
        size = 3 / (4 * np.pi) * np.sqrt(wavelength * length)
        return size, 0.53 * np.sqrt(wavelength / length)
    size = np.sqrt(2 * wavelength * length) / (2 * np.pi)
    return size, np.sqrt(wavelength / (2 * length))


def _simple_undulator(get: Values, source: Element, hc: float) -> Scales:
    """Electron and diffraction-limited sizes in quadrature, RAY-UI's formulas."""
    energy = get.positive(source, "photonEnergy")
    length = get.positive(source, "undulatorLength")
    size, angle = diffraction_limit(hc / energy * 1e-9, length, source.number("sigmaType") == 1)
    ids = ("electronSigmaX", "electronSigmaXs", "electronSigmaY", "electronSigmaYs")
    manual = source.number("electronDistributionType") == 0
    electrons = [get(source, i) for i in ids] if manual else [np.asarray(s) for s in LOW_BETA]
    x, xp, y, yp = (
        np.hypot(electron * 1e-6, photon)
        for electron, photon in zip(electrons, (size, angle, size, angle), strict=True)
    )
    return x * 1e3, y * 1e3, xp, yp


def _dipole(get: Values, source: Element, _hc: float) -> Scales:
    """Rms sizes of the electron beam, mm; the vertical one depends on the energy: baked in."""
    for id_ in ("photonEnergy", "electronEnergy", "bendingRadius", "verEbeamDiv"):
        if get.varies(source, id_):
            raise get.error(source, "a prior cannot vary it; set it in the file", id_)
    get.positive(source, "electronEnergy")
    get.positive(source, "bendingRadius")
    return (
        get(source, "sourceWidth"),
        get(source, "sourceHeight"),
        get(source, "horDiv") * 1e-3,
        1.0,
    )


def _undulator_file(get: Values, source: Element, _hc: float) -> Scales:
    """Angles come from the file."""
    return get(source, "sourceWidth"), get(source, "sourceHeight"), 1.0, 1.0


def orientation(source: Element) -> float:
    """+1 where electrons turn counter-clockwise, else -1."""
    return 1.0 if source.number("electronEnergyOrientation") == 1 else -1.0


DIPOLES = ("Dipole", "Dipole Source")
FLAT = (*DIPOLES, "Matrix Source")  # all of their light starts at one depth
SCALES: dict[str, Callable[[Values, Element, float], Scales]] = {
    "Matrix Source": _extended,
    "Point Source": _extended,
    "Pixel Source": _extended,
    "Circle Source": _circles,
    "Dipole": _dipole,
    "Dipole Source": _dipole,
    "Simple Undulator": _simple_undulator,
    "Undulator File": _undulator_file,
}
