"""What of the prior gives no light, and which parameter takes it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.simulate.counted_check import DETECTOR, least_light, lost_at
from raybayes.simulate.settings import JointSimulator, Setting

THETAS = 256  # of the prior
LIGHT = 1.0  # photon that each profile, or the image, must expect, not to be dark
INNER = 0.9  # of the lit theta lie in the range that is advised
TOLD = 0.01  # of the prior


class Prior(Protocol):
    """Where theta comes from."""

    def sample(self, n: int, rng: np.random.Generator) -> Array: ...


@dataclass(frozen=True)
class Dark:
    """The part of a prior from which no photon is expected in some setting.

    Attributes:
        share: of the prior; lost_at: the element that takes most of the light there.
        name: the parameter that separates dark theta from lit ones best; "" where none does.
        low, high: a range of it that holds INNER of the lit theta.
        enough: photons from which most of these theta would not be dark, where some light arrives
            at them; 0 where none does.
    """

    share: float
    lost_at: str = ""
    name: str = ""
    low: float = 0.0
    high: float = 0.0
    enough: float = 0.0


def dark(simulator: JointSimulator, prior: Prior, seed: int) -> Dark:
    """Simulate THETAS theta of the prior and see which give light."""
    theta = prior.sample(THETAS, np.random.default_rng((seed, THETAS)))
    lit, needed = np.ones(len(theta), bool), np.zeros(len(theta))
    taker = ""
    for setting in simulator.settings:
        light = _light(setting, simulator.own(theta, setting))
        here = setting.simulator.detector.photons * light > LIGHT
        with np.errstate(divide="ignore"):
            needed = np.maximum(needed, LIGHT / light)
        if not here.all() and not taker:
            own = simulator.own(theta[~here][:1], setting)
            taker = lost_at(setting.simulator, own, (seed,)) or DETECTOR
        lit &= here
    share = float(1 - lit.mean())
    if share < TOLD:
        return Dark(0.0)
    enough = float(np.median(needed[~lit]))
    enough = enough if np.isfinite(enough) else 0.0
    blamed = to_blame(theta, lit)
    if blamed is None:
        return Dark(share, taker, enough=enough)
    j, low, high = blamed
    return Dark(share, taker, simulator.names[j], low, high, enough)


def to_blame(theta: Array, lit: Bools) -> tuple[int, float, float] | None:
    """The parameter that separates dark theta [n, d] from lit ones, and the range that is lit.

    None where no parameter does, or none of theta is lit.
    """
    if not lit.any():
        return None
    tails = [(1 - INNER) / 2, (1 + INNER) / 2]
    low, high = np.quantile(theta[lit], tails, axis=0)
    # What is left of each parameter's own spread where there is light: least for the one to blame.
    left = (high - low) / np.maximum(np.ptp(np.quantile(theta, tails, axis=0), axis=0), 1e-300)
    j = int(left.argmin())
    return None if left[j] > INNER else (j, float(low[j]), float(high[j]))


def _light(setting: Setting, own: Array) -> Array:
    """[n]: the share of photons that the detector of a setting expects at its own theta [n, d]."""
    simulator, found = setting.simulator, np.zeros(len(own))
    for i, one in enumerate(own):
        try:
            profile, _ = simulator.profiles(one[None], None)
        except InputError:  # a campaign counts what cannot be built
            found[i] = np.inf
            continue
        found[i] = least_light(simulator.detector, profile[0])
    return found
