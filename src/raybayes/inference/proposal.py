"""A proposal that is fitted to draws: a mixture of multivariate t distributions."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from scipy.stats import multivariate_t
from threadpoolctl import threadpool_limits

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.inference.importance import Refined, importance

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

DEGREES_OF_FREEDOM = 5  # of a t distribution: its tails are heavier than a normal one's
COMPONENTS = (1, 2, 4, 8)  # numbers of components that are tried
DRAWS_PER_COMPONENT = 10  # for each parameter, or there are too few to fit a component
FITTED = 1000  # draws at most: more change a fit little
SINGULAR = 1e-12  # least to largest eigenvalue of a correlation; below, the draws lie in a plane


def refitted(
    theta: ArrayLike, log_p: Callable[[Array], Array], n: int = 10_000, seed: int = 0
) -> Refined:
    """Fit a mixture of multivariate t distributions to draws of p, draw from it and weigh that.

    Draws of a Markov chain do not say how many independent ones they are worth, nor what the
    evidence is. The weights of these draws do, where a mixture with few components and heavy tails
    is near enough to p.

    Args:
        theta: [m, d] draws of p.
        log_p: [n, d] -> [n], log p(x | theta) p(theta).

    Raises:
        InputError: as `importance`; or the draws lie in a plane, to which no density can be fitted.
    """
    rng = np.random.default_rng(seed)
    proposal = TMixture(np.asarray(theta, np.float64), rng)
    proposed = proposal.sample(n, rng)
    return importance(proposed, log_p(proposed), proposal.log_prob(proposed))


class Components:
    """Multivariate t distributions with means [k, d] and covariances [k, d, d], in shares [k]."""

    def __init__(self, share: Array, means: Array, covariances: Array) -> None:
        self.share = share
        self.each = [
            multivariate_t(mean, covariance, DEGREES_OF_FREEDOM)
            for mean, covariance in zip(means, covariances, strict=True)
        ]

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """[n, d], in no order."""
        counts = rng.multinomial(n, self.share)
        drawn = [
            one.rvs(count, random_state=rng).reshape(count, one.dim)
            for one, count in zip(self.each, counts, strict=True)
        ]
        return rng.permutation(np.concatenate(drawn))

    def log_prob(self, theta: Array) -> Array:
        """[n], in nats per unit of theta [n, d]."""
        logs = np.stack([np.reshape(one.logpdf(theta), len(theta)) for one in self.each])
        return logsumexp(logs, axis=0, b=self.share[:, None])


class TMixture:
    """A mixture of multivariate t distributions near draws [n, d], so many times as wide."""

    def __init__(self, draws: Array, rng: np.random.Generator, wider: float = 1.0) -> None:
        some = np.unique(draws, axis=0)  # duplicate draws would be taken for a peak
        some = some[:: -(-len(some) // FITTED)]
        self.mean, sd = some.mean(axis=0), some.std(axis=0)
        if not sd.all():
            raise InputError("a parameter is the same in all draws; fit no density to them")
        size, axes = np.linalg.eigh(np.atleast_2d(np.corrcoef(some.T)))
        if size[0] < SINGULAR * size[-1]:
            raise InputError(
                "some parameters are a linear function of the others in all draws; fit no density "
                "to them"
            )
        # Where the draws are white; parameters may differ by many digits.
        self.to_theta = sd[:, None] * axes * np.sqrt(size)
        self.to_white = (axes / np.sqrt(size)).T / sd
        self.log_det = -np.log(sd).sum() - np.log(size).sum() / 2
        fitted = _mixture((some - self.mean) @ self.to_white.T, int(rng.integers(1 << 31)))
        # Peaks that hardly a draw has found yet are tried often enough to fill.
        share = (fitted.weights_ + 1 / len(fitted.weights_)) / 2
        self.white = Components(share, fitted.means_, wider**2 * fitted.covariances_)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """[n, d], in no order."""
        return self.mean + self.white.sample(n, rng) @ self.to_theta.T

    def log_prob(self, theta: Array) -> Array:
        """[n], in nats per unit of theta [n, d]."""
        return self.white.log_prob((theta - self.mean) @ self.to_white.T) + self.log_det


def _mixture(white: Array, seed: int) -> "GaussianMixture":
    """Of as many normal components as the BIC asks for."""
    from sklearn.mixture import GaussianMixture

    n, d = white.shape
    with threadpool_limits(1):  # matrices of d x d; their threads would wait for each other
        fits = [
            GaussianMixture(
                count, tol=0.01, max_iter=1000, n_init=2, init_params="k-means++", random_state=seed
            ).fit(white)
            for count in COMPONENTS
            if count == 1 or n >= DRAWS_PER_COMPONENT * d * count
        ]
    return min(fits, key=lambda fit: fit.bic(white))
