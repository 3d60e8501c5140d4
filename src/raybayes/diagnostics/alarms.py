"""Misspecification: was this observation made by anything like the simulator?

MMD of summaries: Schmitt et al., arXiv 2112.08866. Distances of summaries are known to miss a
gain that is 3 % off; the evidence against its prior-predictive distribution sees it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist, pdist

from raybayes.array_types import Array, Bools
from raybayes.diagnostics.arrays import at_least, checked
from raybayes.diagnostics.style import against_null
from raybayes.errors import InputError

LEAST = 100


@dataclass(frozen=True)
class Alarm:
    """A statistic that is large where the simulator is wrong.

    Attributes:
        name: of the statistic.
        statistic: [m], of the observations.
        null: [n], of simulations.
    """

    name: str
    statistic: Array
    null: Array

    @property
    def p_value(self) -> Array:
        """[m]: share of simulations with a statistic as large; not below 1 / (n + 1)."""
        below = np.searchsorted(np.sort(self.null), self.statistic)
        return (1 + len(self.null) - below) / (1 + len(self.null))

    def raised(self, level: float = 0.05) -> Bools:
        """[m]: at this rate of false alarms."""
        return self.p_value <= level

    def plot(self, ax: Any) -> None:
        """The observations over the simulations."""
        against_null(ax, self.null, self.statistic, self.name, self.p_value)


def mahalanobis(simulated: ArrayLike, observed: ArrayLike) -> Alarm:
    """Distance of summaries from the simulations' mean, in their covariance.

    Args:
        simulated: [n, s] summaries; one half gives mean and covariance, the other the null.
        observed: [m, s], each judged by itself.
    """
    from sklearn.covariance import LedoitWolf

    known, seen = _summaries(simulated, observed)
    # Each in its own sd, and shrunk towards independence: they may be nearly collinear.
    sd = known[::2].std(axis=0)
    known, seen = (rows / np.where(sd > 0, sd, 1.0) for rows in (known, seen))
    covariance = LedoitWolf().fit(known[::2])
    return Alarm(
        "Mahalanobis distance",
        np.sqrt(covariance.mahalanobis(seen)),
        np.sqrt(covariance.mahalanobis(known[1::2])),
    )


def mmd(simulated: ArrayLike, observed: ArrayLike, trials: int = 1000, seed: int = 0) -> Alarm:
    """Maximum mean discrepancy of a set of observations from the simulations (2112.08866).

    Gaussian kernel whose width is the median distance, after whitening each summary.

    Args:
        simulated: [n, s] summaries; one half stands for the model, sets of the other make the null.
        observed: [m, s], judged together as one set.
        trials: sets of m simulations that make the null.
    """
    known, seen = _summaries(simulated, observed)
    scale = known.std(axis=0) + np.finfo(float).tiny
    model, other, seen = known[::2] / scale, known[1::2] / scale, seen / scale
    width = np.median(pdist(model[:1000]))
    points = np.concatenate([other, seen])
    inner = np.exp(-0.5 * (cdist(points, points) / width) ** 2)
    to_model = np.exp(-0.5 * (cdist(points, model) / width) ** 2).mean(axis=1)

    def squared(rows: NDArray) -> float:  # but for the model's own term, the same for all sets
        return float(inner[np.ix_(rows, rows)].mean() - 2 * to_model[rows].mean())

    rng, m = np.random.default_rng(seed), len(seen)
    null = [squared(rng.choice(len(other), m, replace=m > len(other))) for _ in range(trials)]
    found = squared(np.arange(len(other), len(points)))
    return Alarm("squared MMD (up to a constant)", np.array([found]), np.array(null))


def evidence_alarm(simulated: ArrayLike, observed: ArrayLike) -> Alarm:
    """Is the evidence log p(x) lower than that of the simulator's own observations?

    Args:
        simulated: [n] log evidences of simulated observations, in nats; see `Posterior.refine`.
        observed: [m] of the measured ones.
    """
    known, seen = checked("simulated", simulated, "n"), checked("observed", observed, "m")
    at_least("simulations", len(known), 20, "they make the null")
    return Alarm("−log evidence [nat]", -seen, -known)


def together(alarm: Alarm, size: int, trials: int = 2000, seed: int = 0) -> Alarm:
    """Sets of `size` observations by their summed statistic: what each hardly shows, many do.

    A log Bayes factor of independent observations is the sum of theirs. Give the null many more
    simulations than a set has: its mean is known no better than from these.

    Args:
        alarm: of single observations, as many as make whole sets.
        trials: sets of simulations that make the null.

    Raises:
        InputError: the observations do not make whole sets, or too few simulations.
    """
    sets, rest = divmod(len(alarm.statistic), size)
    if rest or not sets:
        raise InputError(f"{len(alarm.statistic)} observations do not make sets of {size}")
    at_least("simulations", len(alarm.null), size, "they make the null")
    picked = np.random.default_rng(seed).integers(len(alarm.null), size=(trials, size))
    sums = alarm.statistic.reshape(sets, size).sum(axis=1)
    return Alarm(f"{alarm.name}, {size} together", sums, alarm.null[picked].sum(axis=1))


def _summaries(simulated: ArrayLike, observed: ArrayLike) -> tuple[Array, Array]:
    known = checked("simulated", simulated, "n", "s")
    at_least("simulations", len(known), LEAST, "they make the null")
    return known, checked("observed", observed, "m", known.shape[1])
