"""Bending-magnet radiation: the vertical angles of the photons.

I(psi) ~ (1 + X^2)^2 [K_2/3(zeta)^2 + X^2 / (1 + X^2) K_1/3(zeta)^2], X = gamma psi,
zeta = (E / 2 Ec) (1 + X^2)^(3/2), Ec = 2218.29 eV (E / GeV)^3 / (R / m) (Schwinger 1949).
"""

from functools import lru_cache

import numpy as np
from scipy.special import kve

from raybayes.array_types import Array
from raybayes.beamline.emission import orientation
from raybayes.beamline.model import Beamline
from raybayes.errors import InputError

REST = 0.00051099895  # electron, GeV
CRITICAL = 2218.29  # eV m / GeV^3
POINTS = 4097  # of the table of psi
LOWEST, HIGHEST = 1e-6, 1e3  # of E / Ec
BROADEST = 600.0  # in units of 1 / gamma; photons far below Ec fan out by (Ec / E)^(1/3)


def vertical_angles(beamline: Beamline, u: Array) -> Array:
    """Quantiles of the vertical distribution at photonEnergy: u in (0, 1) -> psi, rad."""
    gamma = beamline.source.number("electronEnergy") / REST
    x, cumulated, _, _ = _table(_ratio(beamline))
    return np.interp(u, cumulated, x) / gamma


def polarised_shares(beamline: Beamline, u: Array) -> tuple[Array, Array]:
    """S1 / S0 and S3 / S0 of the photon that `vertical_angles` gives for u.

    The two components have the amplitudes K_2/3 and X / sqrt(1 + X^2) K_1/3, a quarter wave
    apart; above and below the orbit the light turns in opposite senses.
    """
    x, cumulated, horizontal, vertical = _table(_ratio(beamline))
    place = np.interp(u, cumulated, x)
    h, v = np.interp(place, x, horizontal), np.interp(place, x, vertical)
    total = np.maximum(h * h + v * v, 1e-300)
    return (h * h - v * v) / total, orientation(beamline.source) * 2 * h * v / total


def _ratio(beamline: Beamline) -> float:
    """Photon energy over critical energy."""
    source = beamline.source
    with np.errstate(all="ignore"):
        cubed = np.float64(source.number("electronEnergy")) ** 3
        ec = float(CRITICAL * cubed / source.number("bendingRadius"))
    ratio = source.number("photonEnergy") / ec if ec > 0 else 0.0
    if not LOWEST < ratio < HIGHEST:
        raise InputError(
            f"{beamline.path}:{source.line}: {source.type} {source.name!r}, parameter "
            f"'photonEnergy': it is {ratio:.2g} of the critical energy {ec:.4g} eV, beyond what a "
            "dipole emits; check electronEnergy and bendingRadius"
        )
    return ratio


@lru_cache(maxsize=8)
def _table(ratio: float) -> tuple[Array, Array, Array, Array]:
    """X = gamma psi, the share of photons below it, and the two components' amplitudes."""
    widest = min(BROADEST, 6.0 * max(1.0, ratio ** (-1 / 3)))
    x = np.linspace(-widest, widest, POINTS)
    one = 1 + x * x
    zeta = ratio / 2 * one**1.5
    # The common factor exp(-zeta at psi = 0) would underflow far above Ec: kve takes it out.
    decay = np.exp(zeta.min() - zeta)
    horizontal = one * kve(2 / 3, zeta) * decay
    vertical = x * np.sqrt(one) * kve(1 / 3, zeta) * decay
    intensity = horizontal**2 + vertical**2
    steps = (intensity[1:] + intensity[:-1]) / 2
    cumulated = np.concatenate(([0.0], np.cumsum(steps)))
    return x, cumulated / cumulated[-1], horizontal, vertical
