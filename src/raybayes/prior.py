"""The prior: a uniform box over named parameters, and its bijection to R^d."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from raybayes.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BoxPrior:
    """theta_i uniform on [low_i, high_i], independent.

    The bijection is the probit: z = Phi^-1((theta - low) / (high - low)), so that the prior
    itself becomes N(0, I) in R^d.

    Attributes:
        names: d names.
        low, high: [d], in each parameter's own unit.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.low) == len(self.high) or not self.names:
            raise InputError("a prior needs one name, one low and one high for each parameter")
        if len(set(self.names)) < len(self.names):
            raise InputError(f"a parameter stands twice in the prior: {', '.join(self.names)}")
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            if not (np.isfinite(low) and np.isfinite(high) and low < high):
                raise InputError(
                    f"prior of {name}: low {low:g} must be below high {high:g}; swap or mend them"
                )

    @property
    def dim(self) -> int:
        return len(self.names)

    @property
    def width(self) -> Array:
        return np.subtract(self.high, self.low)

    @property
    def sd(self) -> Array:
        """[d], standard deviation of the prior."""
        return self.width / np.sqrt(12)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """[n, d]."""
        return rng.uniform(self.low, self.high, (n, self.dim))

    def log_prob(self, theta: ArrayLike) -> Array:
        """[...]: log density of theta [..., d]; -inf outside the box."""
        values = np.asarray(theta)
        inside = ((values >= self.low) & (values <= self.high)).all(axis=-1)
        return np.where(inside, -np.log(self.width).sum(), -np.inf)

    def to_real(self, theta: ArrayLike) -> Array:
        """theta [..., d] inside the box -> z in R^d."""
        return ndtri((np.asarray(theta, np.float64) - self.low) / self.width)

    def from_real(self, z: ArrayLike) -> Array:
        """z [..., d] -> theta, inside the box whatever z is."""
        return np.clip(self.low + self.width * ndtr(z), self.low, self.high)

    def log_det_to_real(self, theta: ArrayLike) -> Array:
        """[...]: log |dz / dtheta|."""
        z = self.to_real(theta)
        log_normal = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
        return -(log_normal + np.log(self.width)).sum(axis=-1)
