"""Importance sampling: draws of q become weighted draws of p, with a word on how far to trust them.

Pareto smoothing and its diagnostic: Vehtari et al., arXiv 1507.02646; a trained posterior
corrected by the exact likelihood: Dax et al., arXiv 2210.05686.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from raybayes.array_types import Array
from raybayes.errors import InputError

APART = 4  # distinct draws for each parameter, or they span no space
TRUSTED = 0.7  # Pareto k above which no number of draws makes the weights' mean reliable
LEAST = 100  # weights that make a tail


@dataclass(frozen=True)
class Refined:
    """Weighted draws of the exact posterior.

    Attributes:
        theta: [n, d], draws of the proposal.
        log_weight: [n], smoothed; their exponentials sum to 1.
        pareto_k: shape of the weights' tail, the larger of two estimates (`importance`); above 0.7
            the proposal was too narrow.
        log_evidence: log p(x), in nats.
        standard_error: of the log evidence, as far as the weights know.
    """

    theta: Array
    log_weight: Array
    pareto_k: float
    log_evidence: float
    standard_error: float

    @property
    def weight(self) -> Array:
        """[n], summing to 1."""
        return np.exp(self.log_weight)

    @property
    def ess(self) -> float:
        """Effective sample size: as many independent exact draws give a mean as well."""
        return effective_size(self.log_weight)

    @property
    def trusted(self) -> bool:
        """Whether Pareto k is at most 0.7: the weights' mean is reliable."""
        return self.pareto_k <= TRUSTED

    @property
    def sentence(self) -> str:
        """How far to trust it, in words."""
        if self.trusted:
            return (
                f"Corrected by the exact likelihood: {self._worth} (Pareto k {self.pareto_k:.2f})."
            )
        if too_few_distinct(self._allowed):
            return f"{self.fault}: do not act on it."
        return (
            f"{self.fault}: train longer, or move its draws to the exact posterior by MCMC "
            "(raybayes refine, or Posterior.tempered)."
        )

    @property
    def fault(self) -> str:
        """Why the weights cannot be trusted, where they cannot."""
        if too_few_distinct(self._allowed):
            return (
                f"The network's draws that could have made this are in {in_places(self._allowed)}, "
                "as it was not trained on anything like this observation"
            )
        return (
            "The network's posterior is too narrow here to be corrected by weights (Pareto k "
            f"{self.pareto_k:.2f} > {TRUSTED}, {self._worth})"
        )

    @property
    def _allowed(self) -> Array:
        return self.theta[np.isfinite(self.log_weight)]

    @property
    def _worth(self) -> str:
        return f"worth {self.ess:.0f} of {len(self.theta)} draws"

    def quantile(self, levels: Sequence[float]) -> Array:
        """[k, d] for k levels, each parameter by itself."""
        columns = []
        for column in self.theta.T:
            order = np.argsort(column)
            below = np.cumsum(self.weight[order]) - self.weight[order] / 2
            columns.append(np.interp(levels, below, column[order]))
        return np.stack(columns, axis=-1)

    def sample(self, n: int, seed: int = 0) -> Array:
        """[n, d] draws of equal weight, many of them duplicate where n is not well below `ess`.

        `tempered` parts them by MCMC moves.
        """
        picked = np.random.default_rng(seed).choice(len(self.theta), n, p=self.weight)
        return self.theta[picked]

    def mean(self) -> Array:
        """[d], of the exact posterior."""
        return self.weight @ self.theta

    def sd(self) -> Array:
        """[d]."""
        return np.sqrt(self.weight @ (self.theta - self.mean()) ** 2)


def importance(theta: ArrayLike, log_p: ArrayLike, log_q: ArrayLike) -> Refined:
    """Weigh draws of q by p / q, with the largest weights smoothed.

    Draws of a q that is much narrower than p do not reach the tail of the weights, and the shape of
    their largest says nothing of it. But there p is nearly even, so that p / q ~ q^-k with k near
    1, which is seen everywhere: k is told by the slope of log (p / q) over log q, too.

    Args:
        theta: [n, d] draws of q.
        log_p: [n], log p(x | theta) p(theta); -inf where it cannot be.
        log_q: [n], log of the normalised density they were drawn from.

    Raises:
        InputError: a NaN, too few draws, or no draw that p allows.
    """
    points, above, below = (np.asarray(a, np.float64) for a in (theta, log_p, log_q))
    n = len(points)
    if points.ndim != 2 or not above.shape == below.shape == (n,):
        raise InputError(
            f"theta {points.shape}, log p {above.shape} and log q {below.shape} must be [n, d], "
            "[n] and [n]"
        )
    log_w = above - below
    if np.isnan(log_w).any() or (log_w == np.inf).any():
        raise InputError("a weight is NaN or infinite; look for it in log p and log q")
    allowed = np.isfinite(log_w)
    if allowed.sum() < LEAST:
        raise InputError(
            f"{allowed.sum()} of {n} draws could have made this observation; importance sampling "
            f"needs {LEAST}: give more draws, or sample with reference_posterior"
        )
    log_total = logsumexp(log_w)
    ess = effective_size(log_w)
    smoothed = np.full(n, -np.inf)
    smoothed[allowed], tail = _smoothed(log_w[allowed])
    pareto_k = max(tail, _slope(log_w[allowed], below[allowed]))
    if too_few_distinct(points[allowed]):
        pareto_k = np.inf
    error = np.sqrt(max(1 / ess - 1 / n, 0))  # of the mean weight over itself
    return Refined(points, smoothed, pareto_k, float(log_total - np.log(n)), float(error))


def distinct(theta: Array) -> int:
    """How many different ones there are among draws [n, d]."""
    return len(np.unique(theta, axis=0))


def too_few_distinct(theta: Array) -> bool:
    """Whether draws are in so few places that their weights say nothing of others."""
    return distinct(theta) < min(APART * theta.shape[1], len(theta))


def in_places(theta: Array) -> str:
    """In how many places draws [n, d] are, in words: "3 places"."""
    places = distinct(theta)
    return f"{places} place{'s' * (places > 1)}"


def effective_size(log_w: Array) -> float:
    """Of weights that need not sum to 1."""
    return float(np.exp(2 * logsumexp(log_w) - logsumexp(2 * log_w)))


def _slope(log_w: Array, log_q: Array) -> float:
    """The k of w ~ q^-k that is nearest."""
    apart = log_q - log_q.mean()
    return float(-(apart @ log_w) / (apart @ apart)) if np.ptp(log_q) > 0 else -np.inf


def _smoothed(log_w: Array) -> tuple[Array, float]:
    """Normalised log weights, their tail replaced by a generalised Pareto's quantiles; its k."""
    from arviz_stats.base.array import array_stats

    plain = log_w - logsumexp(log_w)
    if np.ptp(log_w) < 1e-6:  # q is p: there is no tail
        return plain, -np.inf
    try:
        with np.errstate(all="ignore"):  # where all of the tail but the largest underflows
            smoothed, k = array_stats.psislw(-log_w)
    except ValueError:  # the tail's weights are all the same
        return plain, np.inf
    usable = np.isfinite(k) and not np.isnan(smoothed).any()
    return (smoothed, float(k)) if usable else (plain, np.inf)
