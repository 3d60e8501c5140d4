"""Is a posterior right? Arrays in, frozen results out.

Simulation-based calibration: Talts et al., arXiv 1804.06788; simultaneous ECDF bands:
Säilynoja, Bürkner and Vehtari, arXiv 2103.10522.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, chisquare

from raybayes.errors import InputError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

CHI2_BINS = 20


def ranks(theta: Array, draws: Array) -> Ints:
    """Rank of the truth among L posterior draws, for each parameter: 0..L.

    Args:
        theta: [n, d] truths.
        draws: [n, L, d].
    """
    if draws.ndim != 3 or theta.shape != (draws.shape[0], draws.shape[2]):
        raise InputError(f"theta {theta.shape} and draws {draws.shape} must be [n, d], [n, L, d]")
    if not (np.isfinite(theta).all() and np.isfinite(draws).all()):
        raise InputError("theta or draws hold a NaN or an infinity; ranks would hide it")
    return (draws < theta[:, None, :]).sum(axis=1)


@dataclass(frozen=True)
class Calibration:
    """Uniformity of ranks, for each of d quantities.

    Attributes:
        n, levels: simulations, and the number of values that a rank can take (L + 1).
        p_value: [d], chi^2 test of a histogram of CHI2_BINS bins.
        ecdf: [d, levels], fraction of ranks at or below each value.
        low, high: [levels], the simultaneous band around uniformity.
        confidence: of the band, for one quantity.
    """

    n: int
    levels: int
    p_value: Array
    ecdf: Array
    low: Array
    high: Array
    confidence: float

    @property
    def inside(self) -> NDArray[np.bool_]:
        """[d]: the whole curve lies in the band."""
        return np.all((self.ecdf >= self.low) & (self.ecdf <= self.high), axis=1)

    def uniform(self, level: float = 0.01) -> NDArray[np.bool_]:
        """[d]: inside the band, or p above level / d (Bonferroni)."""
        return self.inside | (self.p_value > level / len(self.p_value))


def calibration(rank: Ints, levels: int, confidence: float = 0.95, seed: int = 0) -> Calibration:
    """Test ranks [n, d] in 0..levels - 1 for uniformity."""
    n, d = rank.shape
    bins = rank * CHI2_BINS // levels
    expected = np.bincount(np.arange(levels) * CHI2_BINS // levels) * n / levels
    p_value = np.array(
        [chisquare(np.bincount(bins[:, j], minlength=CHI2_BINS), expected).pvalue for j in range(d)]
    )
    low, high = ecdf_band(n, levels, confidence, seed)
    ecdf = np.stack([_ecdf(rank[:, j], levels) for j in range(d)])
    return Calibration(n, levels, p_value, ecdf, low, high, confidence)


def _ecdf(rank: Ints, levels: int) -> Array:
    return np.cumsum(np.bincount(rank, minlength=levels)) / len(rank)


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
    return binom.ppf(gamma / 2, n, p) / n, binom.ppf(1 - gamma / 2, n, p) / n
