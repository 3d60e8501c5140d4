"""Calibration: ranks of the truth among posterior draws are uniform, for any test quantity.

Simulation-based calibration: Talts et al., arXiv 1804.06788; simultaneous ECDF bands:
Säilynoja, Bürkner and Vehtari, arXiv 2103.10522; test quantities that use the data: Modrák et
al., arXiv 2211.02383. HPD coverage and TARP (Lemos et al., arXiv 2302.03026) are the same test of
other quantities: log q, and the distance to a reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom, chisquare, kstest

from raybayes.array_types import Array, Bools, Ints
from raybayes.diagnostics.arrays import at_least, checked
from raybayes.diagnostics.style import GREY
from raybayes.errors import InputError

CHI2_BINS = 20
SCATTER = 2302_03026  # stream of random numbers
LEAST = 5 * CHI2_BINS  # simulations: five in each bin, below which chi^2 is no chi^2


def ranks(theta: ArrayLike, draws: ArrayLike) -> Ints:
    """Rank of the truth among L posterior draws, for each test quantity: 0..L.

    Args:
        theta: [n, d] truths, or any d quantities of theta and x at the truth.
        draws: [n, L, d] the same of the draws.

    Returns:
        [n, d].
    """
    values = checked("theta", theta, "n", "d")
    drawn = checked("draws", draws, len(values), "L", values.shape[1])
    return (drawn < values[:, None, :]).sum(axis=1)


@dataclass(frozen=True)
class Calibration:
    """Uniformity of ranks, for each of d quantities.

    Attributes:
        rank: [n, d].
        levels: the number of values that a rank can take (L + 1).
        chi2: [d], p-value of the chi^2 test of a histogram of CHI2_BINS bins: sees steps, tails.
        ks: [d], p-value of the Kolmogorov-Smirnov test: sees a slow drift with more power.
        ecdf: [d, levels], fraction of ranks at or below each value. For HPD this is the coverage
            of the region that holds that share of the draws, for TARP that of the region
            around the reference.
        low, high: [levels], the simultaneous band around uniformity.
        confidence: of the band, for one quantity.
    """

    rank: Ints
    levels: int
    chi2: Array
    ks: Array
    ecdf: Array
    low: Array
    high: Array
    confidence: float

    @property
    def n(self) -> int:
        """Simulations."""
        return len(self.rank)

    @property
    def p_value(self) -> Array:
        """[d]: of both tests together (Bonferroni)."""
        return np.minimum(1, 2 * np.minimum(self.chi2, self.ks))

    @property
    def inside(self) -> Bools:
        """[d]: the whole curve lies in the band."""
        return np.all((self.ecdf >= self.low) & (self.ecdf <= self.high), axis=1)

    def uniform(self, level: float = 0.01) -> Bools:
        """[d]: inside the band, or p above level / d (Bonferroni)."""
        return self.inside | (self.p_value > level / len(self.p_value))

    def plot(self, ax: Any, labels: Sequence[str] = ()) -> None:
        """The ECDF less its expectation; a calibrated posterior's curve stays in the band."""
        share = np.arange(1, self.levels + 1) / self.levels
        band = f"{self.confidence:.0%} band"
        ax.fill_between(
            share, self.low - share, self.high - share, color=GREY, alpha=0.3, label=band
        )
        for j, curve in enumerate(self.ecdf):
            name = labels[j] if labels else f"quantity {j + 1}"
            ax.plot(share, curve - share, lw=1, label=f"{name}, p = {self.p_value[j]:.2g}")
        ax.axhline(0, color=GREY, lw=0.8)
        ax.set(xlabel="share of draws below", ylabel="share of truths − share of draws")
        ax.legend(frameon=False, fontsize="small")


def calibration(
    rank: ArrayLike, levels: int, confidence: float = 0.95, seed: int = 0
) -> Calibration:
    """Test ranks for uniformity.

    Args:
        rank: [n, d], in 0..levels - 1.
        levels: the number of values that a rank can take.
        confidence: of the band, for one quantity.

    Raises:
        InputError: ranks outside that range, or too few of them.
    """
    values = np.asarray(checked("rank", rank, "n", "d"), np.int64)
    n, d = values.shape
    at_least("simulations", n, LEAST, f"chi^2 takes {CHI2_BINS} bins of five")
    if not (values.min() >= 0 and values.max() < levels):
        raise InputError(f"ranks go from {values.min()} to {values.max()}, not 0..{levels - 1}")
    count = min(CHI2_BINS, levels)
    bins = values * count // levels
    expected = np.bincount(np.arange(levels) * count // levels) * n / levels
    chi2 = [chisquare(np.bincount(bins[:, j], minlength=count), expected).pvalue for j in range(d)]
    # A rank between two of its values at random is uniform on [0, 1]: KS wants no ties.
    place = (values + np.random.default_rng(seed).uniform(size=values.shape)) / levels
    ks = [kstest(place[:, j], "uniform").pvalue for j in range(d)]
    ecdf = np.stack([np.cumsum(np.bincount(values[:, j], minlength=levels)) / n for j in range(d)])
    low, high = ecdf_band(n, levels, confidence, seed)
    return Calibration(values, levels, np.array(chi2), np.array(ks), ecdf, low, high, confidence)


@lru_cache
def ecdf_band(
    n: int, levels: int, confidence: float, seed: int = 0, trials: int = 2000
) -> tuple[Array, Array]:
    """Band that the ECDF of n uniform ranks leaves nowhere with probability `confidence`.

    Pointwise binomial quantiles at a level gamma, adjusted by simulation (2103.10522, alg. 2).
    """
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n, np.full(levels, 1 / levels), size=trials).cumsum(axis=1)
    p = np.arange(1, levels + 1) / levels
    tail = np.minimum(binom.cdf(counts, n, p), binom.sf(counts - 1, n, p))[:, :-1].min(axis=1)
    gamma = np.quantile(2 * tail, 1 - confidence)
    low, high = binom.ppf(gamma / 2, n, p) / n, binom.ppf(1 - gamma / 2, n, p) / n
    low.flags.writeable = high.flags.writeable = False  # the next caller gets the same arrays
    return low, high


def sbc(theta: ArrayLike, draws: ArrayLike, confidence: float = 0.95, seed: int = 0) -> Calibration:
    """Simulation-based calibration of test quantities.

    Parameters alone are blind to a posterior that equals the prior; the log-likelihood as a
    quantity is not (2211.02383).

    Args:
        theta: [n, d] truths, or [n] of one quantity, such as log p(x | theta) or log q(theta | x).
        draws: [n, L, d], or [n, L].
    """
    values, drawn = np.asarray(theta, np.float64), np.asarray(draws, np.float64)
    if values.ndim == 1:
        values, drawn = values[:, None], drawn[..., None]
    rank = ranks(values, drawn)
    return calibration(rank, drawn.shape[1] + 1, confidence, seed)


def hpd(
    log_q: ArrayLike, log_q_draws: ArrayLike, confidence: float = 0.95, seed: int = 0
) -> Calibration:
    """Coverage of highest-density regions, from log q; blind to a posterior that is the prior.

    Args:
        log_q: [n], log q(theta | x) of the truths.
        log_q_draws: [n, L], of the draws.
    """
    return sbc(-np.asarray(log_q), -np.asarray(log_q_draws), confidence, seed)


def tarp(
    theta: ArrayLike,
    draws: ArrayLike,
    references: ArrayLike,
    confidence: float = 0.95,
    seed: int = 0,
) -> Calibration:
    """Tests of accuracy with random points (2302.03026, alg. 2): coverage of regions
    around a reference.

    Distances are taken in the unit box that the truths span. With references that do not depend
    on x it is blind to a posterior that is the prior.

    Args:
        theta: [n, d] truths.
        draws: [n, L, d].
        references: [n, d], the regions' centres; see `references`.
    """
    values = checked("theta", theta, "n", "d")
    drawn = checked("draws", draws, len(values), "L", values.shape[1])
    centres = checked("references", references, *values.shape)
    side = np.ptp(values, axis=0)
    truth = np.linalg.norm((values - centres) / side, axis=-1)
    far = np.linalg.norm((drawn - centres[:, None]) / side, axis=-1)
    return sbc(truth, far, confidence, seed)


def references(theta: ArrayLike, x: ArrayLike, seed: int = 0) -> Array:
    """[n, d] references for `tarp` that depend on x: what a line through the others makes of it.

    Cross-fitted ridge regression, so that no reference has seen its own truth, scattered by the
    regression's error so that regions lie in all directions.

    Args:
        theta: [n, d] truths.
        x: [n, size].
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = checked("theta", theta, "n", "d")
    seen = checked("x", x, len(values), "size")
    at_least("simulations", len(values), LEAST, "the references are fitted to them")
    line = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 7)))
    guess = cross_val_predict(line, seen, values, cv=5).reshape(values.shape)
    error = (guess - values).std(axis=0)
    # A stream of its own: truths drawn with the same seed must not come back in their references.
    rng = np.random.default_rng((seed, SCATTER))
    return guess + error * rng.standard_normal(values.shape)
