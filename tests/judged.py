"""Posteriors that are right, or wrong on purpose, and what every diagnostic asks of them.

The truth is a linear Gaussian task: theta ~ N(0, I), x = theta A^T + noise, whose posterior is
N(mean(x), COVARIANCE) exactly. What a diagnostic cannot see is said in its case, and tested.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import multivariate_normal, norm

from raybayes.diagnostics import (
    c2st,
    calibration,
    conformal,
    evidence_alarm,
    hpd,
    local_c2st,
    mahalanobis,
    mmd,
    prdc,
    predictive_check,
    ranks,
    references,
    sbc,
    tarp,
    together,
)

N, L, M = 1000, 127, 1000  # simulations, draws of each, draws at one observation
TRIALS = 20  # of L-C2ST's null
A = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, -1.0]])
NOISE = 0.5
COVARIANCE = np.linalg.inv(np.eye(2) + A.T @ A / NOISE**2)
ROOT = np.linalg.cholesky(COVARIANCE)
MARGINAL = A @ A.T + NOISE**2 * np.eye(3)


def posterior_mean(x):
    return x @ A @ COVARIANCE / NOISE**2


def simulate(theta, rng):
    return theta @ A.T + NOISE * rng.standard_normal((len(theta), 3))


def log_likelihood(x, theta):
    return norm.logpdf(x, theta @ A.T, NOISE).sum(axis=-1)


@dataclass(frozen=True)
class Claimed:
    """A posterior that is right (scale 1, shift 0) or made wrong; "prior" has learned nothing."""

    scale: float = 1.0
    shift: float = 0.0
    prior: bool = False

    def distribution(self, x):
        """Mean and root of the covariance."""
        if self.prior:
            return np.zeros((*x.shape[:-1], 2)), np.eye(2)
        return posterior_mean(x) + self.shift * ROOT.diagonal(), self.scale * ROOT

    def draw(self, x, n, rng):
        mean, root = self.distribution(x)
        return mean[..., None, :] + rng.standard_normal((*x.shape[:-1], n, 2)) @ root.T

    def log_q(self, theta, x):
        mean, root = self.distribution(x)
        return multivariate_normal([0, 0], root @ root.T).logpdf(theta - mean)


POSTERIORS = {
    "right": Claimed(),
    "too narrow": Claimed(scale=0.6),
    "too wide": Claimed(scale=1.6),
    "shifted": Claimed(shift=0.7),
    "prior": Claimed(prior=True),
}


class Judged:
    """What a diagnostic may ask for: n pairs with draws for each, one observation with many."""

    def __init__(self, posterior, seed=0):
        rng = np.random.default_rng(seed)
        self.theta = rng.standard_normal((N, 2))
        self.x = simulate(self.theta, rng)
        self.draws = posterior.draw(self.x, L, rng)
        each = (self.draws, self.x[:, None])
        self.log_q = posterior.log_q(self.theta, self.x)
        self.log_q_draws = posterior.log_q(*each)
        self.log_l = log_likelihood(self.x, self.theta)
        self.log_l_draws = log_likelihood(each[1], each[0])
        self.x_o = np.array([1.0, -1.2, 1.9])
        self.draws_o = posterior.draw(self.x_o, 2 * M, rng)
        self.exact_o = Claimed().draw(self.x_o, M, rng)
        self.random = rng.uniform(-3, 3, (N, 2))
        self.rng = rng


def readings(j):
    expected = j.draws_o @ A.T
    return j.x_o, expected, np.full_like(expected, NOISE**2), simulate(j.draws_o, j.rng)


def intervals(j):
    return j.theta, *np.quantile(j.draws, [0.16, 0.84], axis=1), 0.68


@dataclass(frozen=True)
class Case:
    """arguments: Judged -> what the diagnostic takes; blind: what it cannot see."""

    diagnostic: object
    arguments: object
    blind: set = field(default_factory=set)

    def run(self, j):
        return self.diagnostic(*self.arguments(j))


CASES = {
    "ranks of parameters": Case(calibration, lambda j: (ranks(j.theta, j.draws), L + 1), {"prior"}),
    "SBC of the log-likelihood": Case(sbc, lambda j: (j.log_l, j.log_l_draws)),
    "HPD coverage": Case(hpd, lambda j: (j.log_q, j.log_q_draws), {"prior"}),
    "TARP": Case(tarp, lambda j: (j.theta, j.draws, references(j.theta, j.x))),
    "TARP, references without x": Case(tarp, lambda j: (j.theta, j.draws, j.random), {"prior"}),
    "C2ST": Case(c2st, lambda j: (j.exact_o, j.draws_o[:M])),
    "L-C2ST": Case(
        local_c2st, lambda j: (j.theta, j.draws[:, 0], j.x, j.x_o, j.draws_o[:M], TRIALS)
    ),
    "PRDC": Case(prdc, lambda j: (j.exact_o[:500], j.draws_o[:500])),
    # Of one observation; the next test is of what it does see.
    "posterior predictive": Case(predictive_check, readings, {"too narrow", "too wide", "shifted"}),
    "conformal intervals": Case(conformal, intervals, {"prior"}),
}


def evidence(x):
    return multivariate_normal(np.zeros(3), MARGINAL).logpdf(x)


OBSERVED = {
    "right": lambda rng: simulate(rng.standard_normal((40, 2)), rng),
    "other noise": lambda rng: (
        simulate(rng.standard_normal((40, 2)), rng) + 3 * rng.standard_normal((40, 3))
    ),
    "shifted": lambda rng: simulate(rng.standard_normal((40, 2)), rng) + np.array([3, -3, -3]),
}
ALARMS = {
    "Mahalanobis": Case(mahalanobis, lambda simulated, x: (simulated, x)),
    "MMD": Case(mmd, lambda simulated, x: (simulated, x, 2000)),
    "evidence": Case(evidence_alarm, lambda simulated, x: (evidence(simulated), evidence(x))),
    "sets": Case(
        together,
        lambda simulated, x: (evidence_alarm(evidence(simulated), evidence(x)), min(10, len(x))),
    ),
}
