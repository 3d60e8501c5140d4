"""Problems with known answers: the benchmark tasks that simulation-based inference is judged by.

Sources: Lueckmann et al., arXiv 2101.04653, appendix T (the first eight); Ardizzone et al.,
arXiv 1808.04730, sec. 4.2 (inverse kinematics).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from scipy.stats import binom, norm

from raybayes.array_types import Array
from raybayes.prior import Independent, LogNormal, Normal, Prior, box

Simulate = Callable[[Array, np.random.Generator], Array]
Exact = Callable[[Array, int, np.random.Generator], Array]
LogLikelihood = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Task:
    """A prior and a simulator.

    Attributes:
        simulate: (theta [n, d], generator) -> x [n, size].
        log_likelihood: (theta [n, d], x [size]) -> log p(x | theta) [n], in nats.
        exact: (x [size], n, generator) -> [n, d] draws of the exact posterior, where one is known;
            else `reference_posterior` makes them from the likelihood.
    """

    prior: Prior
    simulate: Simulate
    log_likelihood: LogLikelihood
    exact: Exact | None = None


def _names(dim: int) -> tuple[str, ...]:
    return tuple(f"theta_{i + 1}" for i in range(dim))


def _box(dim: int, half: float) -> Independent:
    return box(_names(dim), [-half] * dim, [half] * dim)


def _within(half: float, propose: Exact) -> Exact:
    """Draws of a proposal that lie inside a box: the posterior under a uniform prior."""

    def exact(x: Array, n: int, rng: np.random.Generator) -> Array:
        kept = np.empty((0, 0))
        while len(kept) < n:
            draws = propose(x, 4 * n, rng)
            good = draws[(np.abs(draws) < half).all(axis=1)]
            kept = good if kept.size == 0 else np.concatenate([kept, good])
        return kept[:n]

    return exact


def _normal(x: Array, mean: float | Array, sd: float | Array) -> Array:
    """[n]: log density of independent normal numbers x [..., k]."""
    return norm.logpdf(x, mean, sd).sum(axis=-1)


def gaussian_linear(dim: int = 10, variance: float = 0.1) -> Task:
    """theta ~ N(0, 0.1 I), x ~ N(theta, 0.1 I)."""
    sd = np.sqrt(variance)

    def simulate(theta: Array, rng: np.random.Generator) -> Array:
        return theta + sd * rng.standard_normal(theta.shape)

    def exact(x: Array, n: int, rng: np.random.Generator) -> Array:
        return x / 2 + sd / np.sqrt(2) * rng.standard_normal((n, dim))

    prior = Independent(_names(dim), (Normal(mean=0, sd=sd),) * dim)
    return Task(prior, simulate, lambda theta, x: _normal(x, theta, sd), exact)


def gaussian_linear_uniform(dim: int = 10, variance: float = 0.1) -> Task:
    """theta uniform on [-1, 1]^10, x ~ N(theta, 0.1 I)."""
    sd = np.sqrt(variance)
    inside = _within(1.0, lambda x, n, rng: x + sd * rng.standard_normal((n, 1)))

    def simulate(theta: Array, rng: np.random.Generator) -> Array:
        return theta + sd * rng.standard_normal(theta.shape)

    def exact(x: Array, n: int, rng: np.random.Generator) -> Array:
        # Independent coordinates: each is a truncated normal.
        return np.concatenate([inside(x[i : i + 1], n, rng) for i in range(dim)], axis=1)

    return Task(_box(dim, 1.0), simulate, lambda theta, x: _normal(x, theta, sd), exact)


def gaussian_mixture() -> Task:
    """x from an equal mixture of N(theta, I) and N(theta, 0.01 I) in the plane."""

    def spread(n: int, rng: np.random.Generator) -> Array:
        return rng.choice([1.0, 0.1], (n, 1)) * rng.standard_normal((n, 2))

    def simulate(theta: Array, rng: np.random.Generator) -> Array:
        return theta + spread(len(theta), rng)

    def log_likelihood(theta: Array, x: Array) -> Array:
        parts = _normal(x, theta, 1.0), _normal(x, theta, 0.1)
        return np.logaddexp(*parts) - np.log(2)

    exact = _within(10.0, lambda x, n, rng: x + spread(n, rng))
    return Task(_box(2, 10.0), simulate, log_likelihood, exact)


def two_moons() -> Task:
    """A crescent at a place that the sign of theta_1 + theta_2 does not change."""

    def crescent(n: int, rng: np.random.Generator) -> Array:
        angle = rng.uniform(-np.pi / 2, np.pi / 2, n)
        radius = 0.1 + 0.01 * rng.standard_normal(n)
        return np.stack([radius * np.cos(angle) + 0.25, radius * np.sin(angle)], axis=1)

    def place_of(theta: Array) -> Array:
        total, difference = theta.sum(axis=1), theta[:, 1] - theta[:, 0]
        return np.stack([-np.abs(total), difference], axis=1) / np.sqrt(2)

    def simulate(theta: Array, rng: np.random.Generator) -> Array:
        return crescent(len(theta), rng) + place_of(theta)

    def log_likelihood(theta: Array, x: Array) -> Array:
        across, along = (x - place_of(theta) - [0.25, 0.0]).T
        radius = np.hypot(across, along)
        inside = norm.logpdf(radius, 0.1, 0.01) - np.log(np.pi * radius)
        return np.where(across > 0, inside, -np.inf)

    def propose(x: Array, n: int, rng: np.random.Generator) -> Array:
        place = np.sqrt(2) * (x - crescent(n, rng))
        place = place[place[:, 0] < 0]
        total = place[:, 0] * rng.choice([-1.0, 1.0], len(place))
        return np.stack([(total - place[:, 1]) / 2, (total + place[:, 1]) / 2], axis=1)

    return Task(_box(2, 1.0), simulate, log_likelihood, _within(1.0, propose))


def slcp() -> Task:
    """Simple likelihood, complex posterior: four draws of a Gaussian that five numbers shape."""

    def simulate(theta: Array, rng: np.random.Generator) -> Array:
        s1, s2, rho = theta[:, 2] ** 2, theta[:, 3] ** 2, np.tanh(theta[:, 4])
        noise = rng.standard_normal((4, 2, len(theta)))
        first = theta[:, 0] + s1 * noise[:, 0]
        second = theta[:, 1] + s2 * (rho * noise[:, 0] + np.sqrt(1 - rho**2) * noise[:, 1])
        return np.stack([first, second], axis=1).reshape(8, -1).T

    def log_likelihood(theta: Array, x: Array) -> Array:
        s1, s2, rho = theta[:, 2] ** 2, theta[:, 3] ** 2, np.tanh(theta[:, 4])
        first, second = (x[i::2] - theta[:, i, None] for i in (0, 1))
        given = rho * s2 / s1  # the second's mean, per unit of the first
        rest = s2 * np.sqrt(1 - rho**2)
        return _normal(first, 0.0, s1[:, None]) + _normal(
            second, given[:, None] * first, rest[:, None]
        )

    return Task(_box(5, 3.0), simulate, log_likelihood)


@dataclass(frozen=True)
class Correlated:
    """N(0, C): a prior whose bijection is the whitening by a Cholesky factor."""

    factor: Array
    names: tuple[str, ...]

    @property
    def dim(self) -> int:
        return len(self.factor)

    @property
    def sd(self) -> Array:
        return np.sqrt((self.factor**2).sum(axis=1))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return self.from_real(rng.standard_normal((n, self.dim)))

    def to_real(self, theta: ArrayLike) -> Array:
        return np.linalg.solve(self.factor, np.asarray(theta)[..., None])[..., 0]

    def from_real(self, z: ArrayLike) -> Array:
        return np.asarray(z, np.float64) @ self.factor.T

    def log_det_to_real(self, theta: ArrayLike) -> Array:
        return np.full(np.shape(theta)[:-1], -np.log(np.diag(self.factor)).sum())

    def log_prob(self, theta: ArrayLike) -> Array:
        z = self.to_real(theta)
        log_normal = -0.5 * (z**2).sum(axis=-1) - 0.5 * self.dim * np.log(2 * np.pi)
        return log_normal + self.log_det_to_real(theta)


def bernoulli_glm() -> Task:
    """Spikes of a neuron under a fixed stimulus; x: their number and the spike-triggered sums."""
    steps, taps = 100, 9
    stimulus = np.random.RandomState(42).randn(steps)
    design = np.ones((steps, 1 + taps))
    for j in range(taps):
        design[:, 1 + j] = np.concatenate([np.zeros(j), stimulus[: steps - j]])
    difference = np.eye(taps) - np.eye(taps, k=-1)
    smooth = difference @ difference + np.diag(np.sqrt(np.arange(taps) / taps))
    precision = np.zeros((1 + taps, 1 + taps))
    precision[0, 0], precision[1:, 1:] = 0.5, smooth.T @ smooth
    prior = Correlated(np.linalg.cholesky(np.linalg.inv(precision)), _names(1 + taps))

    def simulate(theta: Array, rng: np.random.Generator) -> Array:
        spikes = rng.uniform(size=(len(theta), steps)) < expit(theta @ design.T)
        return spikes @ design

    def log_likelihood(theta: Array, x: Array) -> Array:
        """Up to a constant: x is sufficient."""
        return theta @ x - np.logaddexp(0, theta @ design.T).sum(axis=1)

    return Task(prior, simulate, log_likelihood)


def _runge_kutta(slope: Callable[[Array], Array], state: Array, step: float, count: int) -> Array:
    """[count + 1, ...]: the classical fourth-order method."""
    path = [state]
    for _ in range(count):
        k1 = slope(state)
        k2 = slope(state + step / 2 * k1)
        k3 = slope(state + step / 2 * k2)
        k4 = slope(state + step * k3)
        state = state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(state)
    return np.stack(path)


def sir() -> Task:
    """An epidemic: contact and recovery rate from ten tests of 1,000 people each, 17 days apart."""
    people, tested = 1e6, 1000
    prior = Independent(
        ("contact_rate", "recovery_rate"),
        (LogNormal(mean=np.log(0.4), sd=0.5), LogNormal(mean=np.log(1 / 8), sd=0.2)),
    )

    def share(theta: Array) -> Array:
        """[n, 10]: of people who are ill."""
        contact, recovery = theta.T

        def slope(state: Array) -> Array:
            new, healed = contact * state[0] * state[1] / people, recovery * state[1]
            return np.stack([-new, new - healed])

        start = np.tile([[people - 1], [1.0]], (1, len(theta)))
        ill = _runge_kutta(slope, start, 0.25, 4 * 160)[:: 4 * 17, 1].T
        return np.clip(ill / people, 0, 1)

    def simulate(theta: Array, rng: np.random.Generator) -> Array:
        return rng.binomial(tested, share(theta)).astype(np.float64)

    def log_likelihood(theta: Array, x: Array) -> Array:
        return binom.logpmf(x, tested, share(theta)).sum(axis=1)

    return Task(prior, simulate, log_likelihood)


def lotka_volterra() -> Task:
    """Predator and prey: four rates from ten noisy counts of each, 2.1 days apart."""
    rates = (LogNormal(mean=-0.125, sd=0.5), LogNormal(mean=-3, sd=0.5))
    prior = Independent(("alpha", "beta", "gamma", "delta"), rates * 2)

    def logarithms(theta: Array) -> Array:
        """[n, 20]: of the noise-free counts."""
        alpha, beta, gamma, delta = theta.T

        def slope(state: Array) -> Array:  # of the logarithms: nothing dies out by rounding
            return np.stack([alpha - beta * np.exp(state[1]), delta * np.exp(state[0]) - gamma])

        start = np.tile([[np.log(30.0)], [0.0]], (1, len(theta)))
        # This step is wrong by less than 0.01, where the noise has 0.1, in 2,000 draws of theta.
        logs = _runge_kutta(slope, start, 0.02, 1000)[::105].transpose(2, 1, 0)
        return np.clip(logs.reshape(len(theta), -1), np.log(1e-10), np.log(1e4))

    def simulate(theta: Array, rng: np.random.Generator) -> Array:
        logs = logarithms(theta)
        return np.exp(logs + 0.1 * rng.standard_normal(logs.shape))

    def log_likelihood(theta: Array, x: Array) -> Array:
        return _normal(np.log(x), logarithms(theta), 0.1) - np.log(x).sum()

    return Task(prior, simulate, log_likelihood)


def inverse_kinematics() -> Task:
    """An arm on a rail with three joints, in the plane: where its hand is."""
    lengths = np.array([0.5, 0.5, 1.0])
    prior = Independent(
        ("rail", "joint_1", "joint_2", "joint_3"),
        (Normal(mean=0, sd=0.25), *(Normal(mean=0, sd=0.5),) * 3),
    )

    def hand(theta: Array) -> Array:
        angles = np.cumsum(theta[:, 1:], axis=1)
        return np.stack([np.cos(angles) @ lengths, theta[:, 0] + np.sin(angles) @ lengths], axis=1)

    def simulate(theta: Array, rng: np.random.Generator) -> Array:
        return hand(theta) + 0.01 * rng.standard_normal((len(theta), 2))

    return Task(prior, simulate, lambda theta, x: _normal(x, hand(theta), 0.01))


TASKS: dict[str, Callable[[], Task]] = {
    "two_moons": two_moons,
    "slcp": slcp,
    "gaussian_linear": gaussian_linear,
    "gaussian_linear_uniform": gaussian_linear_uniform,
    "gaussian_mixture": gaussian_mixture,
    "bernoulli_glm": bernoulli_glm,
    "sir": sir,
    "lotka_volterra": lotka_volterra,
    "inverse_kinematics": inverse_kinematics,
}
