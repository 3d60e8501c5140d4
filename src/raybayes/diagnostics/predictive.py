"""Posterior predictive check: would what the posterior says have made this observation?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array
from raybayes.diagnostics.arrays import at_least, checked
from raybayes.diagnostics.style import against_null

LEAST = 50


@dataclass(frozen=True)
class Predictive:
    """One observation against what its posterior predicts.

    Attributes:
        chi2: [m], of the observation around each draw's expectation, per bin. Over draws of a
            right posterior its mean is 1, whatever the number of parameters.
        replicated: [m], of a new reading of each draw around the same expectation.
        resimulation_error: [m], rms over the bins of expectation - observation, in x's unit.
    """

    chi2: Array
    replicated: Array
    resimulation_error: Array

    @property
    def chi2_per_bin(self) -> float:
        """Of the observation, mean over the draws."""
        return float(self.chi2.mean())

    @property
    def p_value(self) -> float:
        """Of new readings with a chi^2 as large as the observation's mean; at least 1 / (m + 1)."""
        return float((1 + (self.replicated >= self.chi2_per_bin).sum()) / (1 + len(self.chi2)))

    def plot(self, ax: Any) -> None:
        """chi^2 of new readings, and that of the observation."""
        found, p_value = np.array([self.chi2_per_bin]), np.array([self.p_value])
        against_null(ax, self.replicated, found, "chi² per degree of freedom", p_value)


def chi2_per_bin(x: Array, expected: Array, variance: Array) -> Array:
    """[...]: of x [..., size] around expectations of that variance."""
    return np.asarray(((x - expected) ** 2 / variance).mean(axis=-1))


def predictive_check(
    x: ArrayLike, expected: ArrayLike, variance: ArrayLike, replicated: ArrayLike
) -> Predictive:
    """chi^2 per degree of freedom and resimulation error of one observation.

    Sees only what shows in the data: blind to a posterior that is too narrow, or that is wrong by
    less than makes a difference to the noise.

    Args:
        x: [size], the observation.
        expected: [m, size], what each posterior draw predicts without noise.
        variance: [m, size], of the noise.
        replicated: [m, size], a noisy reading of each.
    """
    mean = checked("expected", expected, "m", "size")
    seen = checked("x", x, mean.shape[1])
    spread = checked("variance", variance, *mean.shape)
    again = checked("replicated", replicated, *mean.shape)
    at_least("draws", len(mean), LEAST, "they make the p-value")
    return Predictive(
        chi2_per_bin(seen, mean, spread),
        chi2_per_bin(again, mean, spread),
        np.sqrt(((seen - mean) ** 2).mean(axis=1)),
    )
