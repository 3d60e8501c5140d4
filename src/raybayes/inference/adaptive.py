"""Draws of a density that is quick to ask, from rough ones: adaptive multiple importance sampling.

Each batch is drawn from a mixture fitted to the draws so far; all batches are weighed as if drawn
from the mixture of all of them (Cornuet et al., arXiv 0907.1254).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from raybayes.array_types import Array
from raybayes.inference.importance import effective_size
from raybayes.inference.proposal import TMixture

ABOUT, APART = 1000, 0.1  # draws that a mixture is fitted to, moved apart by so many sd
TRIED, BATCHES = 10_000, 10  # draws of a mixture; of so many mixtures at most


@dataclass(frozen=True)
class Weighted:
    """Weighted draws of a density.

    Attributes:
        theta: [n, d]; log_weight: [n], their exponentials sum to 1.
        log_mass: log of the density's integral, in nats.
        standard_error: of that, as far as the weights know.
    """

    theta: Array
    log_weight: Array
    log_mass: float
    standard_error: float

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """[n, d] of equal weight, none more often than its weight asks for (systematic)."""
        places = (np.arange(n) + rng.random()) / n
        upto = np.cumsum(np.exp(self.log_weight))
        return self.theta[np.minimum(np.searchsorted(upto, places), len(upto) - 1)]


def parted(draws: Array, rng: np.random.Generator) -> Array:
    """Draws moved a little, so that those that were taken more than once part."""
    return draws + APART * draws.std(axis=0) * rng.standard_normal(draws.shape)


def adaptive(
    log_p: Callable[[Array], Array], about: Array, worth: float, rng: np.random.Generator
) -> Weighted:
    """Draws of p that are worth some independent ones, or as many as BATCHES give.

    Args:
        log_p: theta [n, d] -> [n], in nats.
        about: [k, d], roughly of p.
        worth: the effective sample size that is enough.

    Raises:
        InputError: the draws of a batch lie in a plane.
    """
    mixtures: list[TMixture] = []
    theta, found, log_q = np.zeros((0, about.shape[1])), np.zeros(0), np.zeros(0)
    for _ in range(BATCHES):
        mixtures.append(TMixture(about, rng))
        tried = mixtures[-1].sample(TRIED, rng)
        # Earlier draws know the earlier mixtures already.
        if len(theta):
            log_q = np.logaddexp(log_q, mixtures[-1].log_prob(theta))
        ours = logsumexp([each.log_prob(tried) for each in mixtures], axis=0)
        theta, found = np.concatenate((theta, tried)), np.concatenate((found, log_p(tried)))
        log_q = np.concatenate((log_q, ours))
        log_w = found - log_q + np.log(len(mixtures))
        if effective_size(log_w) > worth:
            break
        about = parted(theta[rng.choice(len(theta), ABOUT, p=softmax(log_w))], rng)
    log_mass = float(logsumexp(log_w) - np.log(len(log_w)))
    error = np.sqrt(max(1 / effective_size(log_w) - 1 / len(log_w), 0.0))
    return Weighted(theta, log_w - logsumexp(log_w), log_mass, float(error))
