"""The prior: independent, named parameters, and its bijection to R^d."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from scipy import stats
from scipy.special import ndtr, ndtri

from raybayes.array_types import Array
from raybayes.errors import InputError

EDGE = 8.2  # z of the last float64 below 1: nearer to a bounded prior's edge is the edge itself
FAR = 37.5  # z of the smallest float64 that has all its digits
ROUNDED = 4  # numbers at an end of a support that SciPy may take for outside
TAIL = 1e-4  # share of an unbounded prior beyond each end of its shown range


class _Marginal(BaseModel):
    """One parameter's prior."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ordered(self) -> "_Marginal":
        low, high = getattr(self, "low", None), getattr(self, "high", None)
        if low is not None and high is not None and not low < high:
            raise ValueError(f"low {low:g} must be below high {high:g}; swap or mend them")
        return self

    @property
    def distribution(self) -> Any:
        """A frozen distribution of scipy.stats."""
        raise NotImplementedError


class Uniform(_Marginal):
    """Uniform from low to high."""

    kind: Literal["uniform"] = "uniform"
    low: float
    high: float

    @property
    def distribution(self) -> Any:
        """A frozen distribution of scipy.stats."""
        return stats.uniform(self.low, self.high - self.low)


class Normal(_Marginal):
    """Normal, with this mean and standard deviation."""

    kind: Literal["normal"] = "normal"
    mean: float
    sd: float = Field(gt=0)

    @property
    def distribution(self) -> Any:
        """A frozen distribution of scipy.stats."""
        return stats.norm(self.mean, self.sd)


class LogNormal(_Marginal):
    """exp of a normal with this mean and sd of the logarithm."""

    kind: Literal["log_normal"] = "log_normal"
    mean: float = Field(ge=-300, le=300, description="of the natural logarithm")
    sd: float = Field(gt=0, le=30, description="of the natural logarithm")

    @property
    def distribution(self) -> Any:
        """A frozen distribution of scipy.stats."""
        return stats.lognorm(self.sd, scale=np.exp(self.mean))


class LogUniform(_Marginal):
    """Uniform in the logarithm, from low to high."""

    kind: Literal["log_uniform"] = "log_uniform"
    low: float = Field(gt=0)
    high: float

    @property
    def distribution(self) -> Any:
        """A frozen distribution of scipy.stats."""
        return stats.loguniform(self.low, self.high)


class TruncatedNormal(_Marginal):
    """Normal, with this mean and sd before it is cut at low and high."""

    kind: Literal["truncated_normal"] = "truncated_normal"
    mean: float
    sd: float = Field(gt=0)
    low: float
    high: float

    @property
    def distribution(self) -> Any:
        """A frozen distribution of scipy.stats."""
        ends = ((self.low - self.mean) / self.sd, (self.high - self.mean) / self.sd)
        return stats.truncnorm(*ends, loc=self.mean, scale=self.sd)


def _pair(value: Any) -> Any:
    """[low, high] is short for a uniform."""
    if isinstance(value, list | tuple) and len(value) == 2:
        return {"kind": "uniform", "low": value[0], "high": value[1]}
    return value


Marginal = Annotated[
    Annotated[
        Uniform | Normal | LogNormal | LogUniform | TruncatedNormal, Field(discriminator="kind")
    ],
    BeforeValidator(_pair),
]


class Prior(Protocol):
    """What an estimator asks of a prior; give your own where `Independent` does not fit.

    theta [..., d] <-> z in R^d, in which the prior should be near N(0, I).
    """

    @property
    def names(self) -> Sequence[str]:
        """Of the parameters."""

    @property
    def dim(self) -> int:
        """The number of parameters, d."""

    @property
    def sd(self) -> Array:
        """[d]: the prior's standard deviations."""

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """n draws, [n, d]."""

    def log_prob(self, theta: ArrayLike) -> Array:
        """[...]: log density of theta [..., d]; -inf outside the support."""

    def to_real(self, theta: ArrayLike) -> Array:
        """theta [..., d] inside the support -> z [..., d]."""

    def from_real(self, z: ArrayLike) -> Array:
        """z [..., d] -> theta [..., d], inside the support whatever z is."""

    def log_det_to_real(self, theta: ArrayLike) -> Array:
        """[...]: log |dz / dtheta| at theta [..., d]."""


@dataclass(frozen=True)
class Independent:
    """theta_i from its own marginal, independent.

    The bijection is the probit of the distribution function: z = Phi^-1(F(theta)), so that the
    prior itself becomes N(0, I) in R^d, and nothing lies outside its support.

    Attributes:
        names: d names.
        marginals: d priors, each in its parameter's own unit.
    """

    names: tuple[str, ...]
    marginals: tuple[Marginal, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.marginals) or not self.names:
            raise InputError("a prior needs one name and one distribution for each parameter")
        if len(set(self.names)) < len(self.names):
            raise InputError(f"a parameter stands twice in the prior: {', '.join(self.names)}")

    @property
    def dim(self) -> int:
        """The number of parameters, d."""
        return len(self.names)

    @cached_property
    def _distributions(self) -> list[Any]:
        return [marginal.distribution for marginal in self.marginals]

    def _each(self, method: str, values: Array) -> Array:
        """A method of each parameter's distribution on its column."""
        parts = [
            getattr(distribution, method)(values[..., i])
            for i, distribution in enumerate(self._distributions)
        ]
        return np.stack(parts, axis=-1)

    @cached_property
    def sd(self) -> Array:
        """[d], standard deviation of the prior."""
        return np.array([distribution.std() for distribution in self._distributions])

    @cached_property
    def low(self) -> Array:
        """[d]: the lower end of the support, or of all but 1e-4 where there is none."""
        return self._ends(0, TAIL)

    @cached_property
    def high(self) -> Array:
        """[d]: the upper end."""
        return self._ends(1, 1 - TAIL)

    def _ends(self, side: int, share: float) -> Array:
        ends = [distribution.support()[side] for distribution in self._distributions]
        quantiles = [distribution.ppf(share) for distribution in self._distributions]
        return np.where(np.isfinite(ends), ends, quantiles)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """[n, d]."""
        return self._quantile(rng.uniform(size=(n, self.dim)), "ppf")

    def log_prob(self, theta: ArrayLike) -> Array:
        """[...]: log density of theta [..., d]; -inf outside the support."""
        return self._each("logpdf", np.asarray(theta, np.float64)).sum(axis=-1)

    def to_real(self, theta: ArrayLike) -> Array:
        """theta [..., d] inside the support -> z in R^d."""
        values = np.asarray(theta, np.float64)
        below, above = self._each("cdf", values), self._each("sf", values)
        z = np.where(below < above, ndtri(below), -ndtri(above))  # each tail from its own side
        bounded = np.isfinite([each.support() for each in self._distributions])
        reach = np.where(bounded, EDGE, FAR)
        return np.clip(z, -reach[:, 0], reach[:, 1])

    def from_real(self, z: ArrayLike) -> Array:
        """z [..., d] -> theta, inside the support whatever z is."""
        values = np.clip(np.asarray(z, np.float64), -FAR, FAR)
        lower = self._quantile(ndtr(np.minimum(values, 0)), "ppf")
        upper = self._quantile(ndtr(-np.maximum(values, 0)), "isf")
        return np.where(values < 0, lower, upper)

    def _quantile(self, shares: Array, method: str) -> Array:
        return np.clip(self._each(method, shares), *self._inside)

    @cached_property
    def _inside(self) -> tuple[Array, Array]:
        """[d] each: the first and the last number of each support.

        SciPy holds a place and a width, whose sum may be the next number to the end.
        """
        ends = []
        for distribution, marginal in zip(self._distributions, self.marginals, strict=True):
            low, high = distribution.support()
            low = max(low, getattr(marginal, "low", low))
            high = min(high, getattr(marginal, "high", high))
            for _ in range(ROUNDED):
                out_low, out_high = np.isneginf(distribution.logpdf([low, high]))
                low = _next(low, np.inf) if out_low else low
                high = _next(high, -np.inf) if out_high else high
            ends.append((low, high))
        low, high = np.transpose(ends)
        return low, high

    def log_det_to_real(self, theta: ArrayLike) -> Array:
        """[...]: log |dz / dtheta|."""
        z = self.to_real(theta)
        log_normal = (-0.5 * z**2 - 0.5 * np.log(2 * np.pi)).sum(axis=-1)
        return self.log_prob(theta) - log_normal


def _next(end: float, inward: float) -> float:
    """The next number to a finite end, but for those that have lost digits next to 0."""
    if end == 0:
        return float(np.copysign(np.finfo(float).tiny, inward))
    return float(np.nextafter(end, inward)) if np.isfinite(end) else end


def box(names: Sequence[str], low: Sequence[float], high: Sequence[float]) -> Independent:
    """A prior uniform on [low_i, high_i].

    Raises:
        InputError: lengths that differ, or a low that is not below its high.
    """
    if not len(names) == len(low) == len(high):
        raise InputError("a prior needs one name, one low and one high for each parameter")
    for name, a, b in zip(names, low, high, strict=True):
        if not (np.isfinite(a) and np.isfinite(b) and a < b):
            raise InputError(
                f"prior of {name}: low {a:g} must be below high {b:g}; swap or mend them"
            )
    return Independent(
        tuple(names), tuple(Uniform(low=a, high=b) for a, b in zip(low, high, strict=True))
    )


def log_prob_of_z(prior: Prior, theta: ArrayLike) -> Array:
    """[...]: the prior's log density in z, at theta [..., d] inside the support."""
    return prior.log_prob(theta) - prior.log_det_to_real(theta)


def sampled(prior: Prior) -> Array:
    """[8, 2 d + 1]: some theta, their z and log density, by which a prior is known; see `same`."""
    theta = prior.sample(8, np.random.default_rng(0))
    return np.column_stack([theta, prior.to_real(theta), prior.log_prob(theta)])


def same(one: ArrayLike, other: ArrayLike) -> bool:
    """Whether two priors of the same names are one, by what `sampled` says of them."""
    alike = np.shape(one) == np.shape(other)
    return alike and np.allclose(one, other, rtol=1e-6, atol=1e-12)


def log_posterior(
    prior: Prior, log_likelihood: Callable[[Array], Array]
) -> Callable[[Array], Array]:
    """theta [n, d] -> log p(x | theta) p(theta) [n]; the likelihood is asked inside the prior."""

    def log_p(theta: Array) -> Array:
        found = np.array(prior.log_prob(theta))
        inside = np.isfinite(found)
        if inside.any():
            found[inside] += np.asarray(log_likelihood(theta[inside]))
        return found

    return log_p


@dataclass(frozen=True)
class Raw:
    """A prior whose z is theta itself, standardised: a density in it may leak out of the support.

    That is how sequential methods were published; what leaks is measured by
    `raybayes.sequential.leakage`. Better leave the bijection on.
    """

    prior: Independent

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters."""
        return self.prior.names

    @property
    def dim(self) -> int:
        """The number of parameters, d."""
        return self.prior.dim

    @property
    def sd(self) -> Array:
        """[d]: the prior's standard deviations."""
        return self.prior.sd

    @property
    def _centre(self) -> Array:
        return (self.prior.low + self.prior.high) / 2

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """n draws, [n, d]."""
        return self.prior.sample(n, rng)

    def log_prob(self, theta: ArrayLike) -> Array:
        """[...]: log density of theta [..., d]; -inf outside the support."""
        return self.prior.log_prob(theta)

    def to_real(self, theta: ArrayLike) -> Array:
        """theta [..., d] inside the support -> z [..., d]."""
        return (np.asarray(theta, np.float64) - self._centre) / self.sd

    def from_real(self, z: ArrayLike) -> Array:
        """z [..., d] -> theta [..., d], which may lie outside the support."""
        return self._centre + self.sd * np.asarray(z, np.float64)

    def log_det_to_real(self, theta: ArrayLike) -> Array:
        """[...]: log |dz / dtheta| at theta [..., d]."""
        return np.full(np.shape(theta)[:-1], -np.log(self.sd).sum())
