"""Was a measurement made by another simulator? The efficient score of an alternative model.

Where the alternative differs little, its expected counts differ by delta from the study's. The
parameters take up a part of delta; what is left is as far as a measurement can distinguish the two.
Neyman's C(alpha) test ("Optimal asymptotic tests of composite hypotheses", 1959) with the prior's
precision beside the data's: G the Jacobian, W one over the readings' variance, P the prior's
precision, delta' = delta - G (G^t W G + P)^-1 G^t W delta, score = delta'^t W (x - mu), its
information delta'^t W delta; score - information / 2 is the log likelihood ratio.
"""

from dataclasses import dataclass

import numpy as np

from raybayes.array_types import Array
from raybayes.simulate.settings import JointSimulator

STEP = 0.01  # of a parameter's range, for central differences
PASSES = 8
SHARES = (1.0, 0.5, 0.25, 0.06)  # of a step of Fisher scoring that are tried


@dataclass(frozen=True)
class Score:
    """How much m measurements speak for the alternative model, each by itself.

    Attributes:
        value, information: [m], nats.
    """

    value: Array
    information: Array

    @property
    def log_ratio(self) -> Array:
        """[m]: log likelihood of the alternative over the study's simulator, nats."""
        return self.value - self.information / 2


def score(simulator: JointSimulator, alternative: JointSimulator, x: Array, theta: Array) -> Score:
    """At theta [m, d], the most probable parameters of each measurement x [m, size]."""
    mean, slopes = _local(simulator, theta)
    delta = alternative.detectors.expected_counts(alternative.profiles(theta, None)[0]) - mean
    weight = 1 / simulator.detectors.variance(mean)
    solved = np.linalg.solve(
        _precision(slopes, weight), _project(slopes, weight * delta)[..., None]
    )
    left = delta - (slopes @ solved)[..., 0]
    value = (left * weight * (x - mean)).sum(axis=-1)
    return Score(value, (left * weight * delta).sum(axis=-1))


def ascend(simulator: JointSimulator, x: Array, theta: Array) -> tuple[Array, Array]:
    """From theta [m, d] to a maximum of the likelihood of x [m, size] within the support.

    Fisher scoring, damped by the prior's precision, so that what nothing is known of stays.

    Returns:
        theta [m, d] and the log-likelihood there [m].
    """
    low, high = np.asarray(simulator.support, np.float64)
    best = log_likelihood(simulator, x, theta[:, None])[:, 0]
    for _ in range(PASSES):
        mean, slopes = _local(simulator, theta)
        weight = 1 / simulator.detectors.variance(mean)
        pull = _project(slopes, weight * (x - mean))
        step = np.linalg.solve(_precision(slopes, weight), pull[..., None])[..., 0]
        shares = np.array(SHARES)[:, None]
        tried = np.clip(theta[:, None] + shares * (step * (high - low))[:, None], low, high)
        values = log_likelihood(simulator, x, tried)
        which = values.argmax(axis=1)
        rows = np.arange(len(x))
        better = values[rows, which] > best
        theta = np.where(better[:, None], tried[rows, which], theta)
        best = np.where(better, values[rows, which], best)
    return theta, best


def _local(simulator: JointSimulator, theta: Array) -> tuple[Array, Array]:
    """Expected counts [m, size] and their slopes [m, size, d], in units of the ranges."""
    m, d = theta.shape
    low, high = np.asarray(simulator.support, np.float64)
    moves = STEP * (high - low) * np.concatenate([np.zeros((1, d)), np.eye(d), -np.eye(d)])
    profiles, _ = simulator.profiles((theta[:, None] + moves).reshape(-1, d), None)
    counts = simulator.detectors.expected_counts(profiles).reshape(m, 1 + 2 * d, -1)
    slopes = (counts[:, 1 : 1 + d] - counts[:, 1 + d :]) / (2 * STEP)
    return counts[:, 0], np.swapaxes(slopes, 1, 2)


def _project(slopes: Array, weighted: Array) -> Array:
    """G^t [m, d] of [m, size]."""
    return np.einsum("msd,ms->md", slopes, weighted)


def _precision(slopes: Array, weight: Array) -> Array:
    """G^t W G + P [m, d, d]; a uniform prior of range 1 has the variance 1 / 12."""
    gram = np.einsum("msd,ms,mse->mde", slopes, weight, slopes)
    return gram + 12 * np.eye(slopes.shape[2])


def log_likelihood(simulator: JointSimulator, x: Array, theta: Array) -> Array:
    """[m, k] of x [m, size] at theta [m, k, d]."""
    m, k, d = theta.shape
    profiles, _ = simulator.profiles(theta.reshape(-1, d), None)
    return simulator.detectors.log_likelihood(x[:, None], profiles.reshape(m, k, -1))
