"""Bending-magnet radiation: the vertical angles of the photons.

I(psi) ~ (1 + X^2)^2 [K_2/3(zeta)^2 + X^2 / (1 + X^2) K_1/3(zeta)^2], X = gamma psi,
zeta = (E / 2 Ec) (1 + X^2)^(3/2), Ec = 2218.29 eV (E / GeV)^3 / (R / m) (Schwinger 1949).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import kv

from raybayes.beamline.rml import Beamline

Array = NDArray[np.float64]

REST = 0.00051099895  # electron, GeV
CRITICAL = 2218.29  # eV m / GeV^3
POINTS = 4097  # of the table of psi
BROADEST = 60.0  # in units of 1 / gamma; photons far below Ec fan out by (Ec / E)^(1/3)


def vertical_angles(beamline: Beamline, u: Array) -> Array:
    """Quantiles of the vertical law at photonEnergy: u in (0, 1) -> psi, rad."""
    source = beamline.source
    gamma = source.number("electronEnergy") / REST
    ec = CRITICAL * source.number("electronEnergy") ** 3 / source.number("bendingRadius")
    table, cumulated = _table(source.number("photonEnergy") / ec)
    return np.interp(u, cumulated, table) / gamma


@lru_cache(maxsize=8)
def _table(ratio: float) -> tuple[Array, Array]:
    """gamma psi and the share of photons below it, at E / Ec = ratio."""
    widest = min(BROADEST, 6.0 * max(1.0, ratio ** (-1 / 3)))
    x = np.linspace(-widest, widest, POINTS)
    one = 1 + x * x
    zeta = ratio / 2 * one**1.5
    # The common factor exp(-zeta) would underflow far above Ec; kve-like scaling keeps a shape.
    scale = np.exp(np.minimum(zeta.min(), 700.0))
    intensity = one**2 * (
        (scale * kv(2 / 3, zeta)) ** 2 + x * x / one * (scale * kv(1 / 3, zeta)) ** 2
    )
    steps = (intensity[1:] + intensity[:-1]) / 2
    cumulated = np.concatenate(([0.0], np.cumsum(steps)))
    return x, cumulated / cumulated[-1]
