"""Standardisation that is part of the density: features of x, and z less what is linear in them."""

from contextlib import AbstractContextManager
from typing import Any, Generic

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Key

from raybayes.density.embeddings import Features
from raybayes.density.ensemble import Q
from raybayes.density.trees import Constants, array32

RIDGES = np.logspace(-9, 4, 53)  # tried, in units of the features' largest variance
MOST = 0.5  # degrees of freedom per pair
SMALLEST = 1e-6  # variance of a residual


def _exact_products() -> AbstractContextManager[Any]:
    """Products of float32 as such: a GPU's default (TF32) costs log q up to a tenth of a nat."""
    return jax.default_matmul_precision("highest")


class Regression(Constants):
    """z = centre + gain f + factor r, so that the residual r has mean 0 and covariance 1."""

    gain: Float[Array, "d size"]
    centre: Float[Array, " d"]
    factor: Float[Array, "d d"]  # lower triangular
    inverse: Float[Array, "d d"]  # of the factor
    log_det: Float[Array, ""]  # of the factor

    def __init__(
        self, gain: Float[np.ndarray, "d size"], centre: Float[np.ndarray, " d"],
        covariance: Float[np.ndarray, "d d"],
    ) -> None:  # fmt: skip
        factor = np.linalg.cholesky(covariance + SMALLEST * np.eye(len(centre)))
        self.gain, self.centre = array32(gain), array32(centre)
        self.factor = array32(factor)
        self.inverse = array32(np.linalg.inv(factor))
        self.log_det = array32(np.log(np.diag(factor)).sum())

    @property
    def covariance(self) -> Float[np.ndarray, "d d"]:
        """Of z, given f."""
        factor = np.asarray(self.factor, np.float64)
        return factor @ factor.T

    def middle(self, f: Float[Array, " size"]) -> Float[Array, " d"]:
        """z where the residual is 0."""
        return self.centre + self.gain @ f

    def residual(self, z: Float[Array, " d"], f: Float[Array, " size"]) -> Float[Array, " d"]:
        return self.inverse @ (z - self.centre - self.gain @ f)

    def restored(self, r: Float[Array, " d"], f: Float[Array, " size"]) -> Float[Array, " d"]:
        return self.middle(f) + self.factor @ r


class Standardised(eqx.Module, Generic[Q]):
    """q(z | x) = q0(r | f) / |det factor|: a density of the residual given the features.

    With a regression, a network starts from the linear Gaussian posterior and learns what is
    different; that is worth much where pairs are few and x is nearly linear in theta, and it
    harms where it is not.
    """

    features: Features
    regression: Regression
    density: Q

    def log_prob(self, z: Float[Array, " d"], x: Float[Array, " size"]) -> Float[Array, ""]:
        """log q(z | x) in nats."""
        with _exact_products():
            f = self.features(x)
            residual = self.regression.residual(z, f)
            return self.density.log_prob(residual, f) - self.regression.log_det

    def sample(self, x: Float[Array, " size"], key: Key[Array, ""], n: int) -> Float[Array, "n d"]:
        """n draws of z given one x."""
        with _exact_products():
            f = self.features(x)
            r = self.density.sample(f, key, n)
            return jax.vmap(lambda one: self.regression.restored(one, f))(r)

    def loss(
        self, z: Float[Array, " d"], x: Float[Array, " size"], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """The density's own, plus the constant that is missing where that is -log q0."""
        with _exact_products():
            f = self.features(x)
            residual = self.regression.residual(z, f)
            return self.density.loss(residual, f, key) + self.regression.log_det


def unit(dim: int, size: int) -> Regression:
    """r = z: the prior, in which z is N(0, I)."""
    return Regression(np.zeros((dim, size)), np.zeros(dim), np.eye(dim) * (1 - SMALLEST))


def regressed(
    z: Float[np.ndarray, "n d"], f: Float[np.ndarray, "n size"], items: int = 1
) -> Regression:
    """Ridge regression of z on features, each ridge chosen by generalised cross-validation.

    Golub, Heath and Wahba 1979. The residual covariance is corrected for what was fitted.

    Args:
        items: the features are so many interchangeable observations; z is regressed on their
            mean.
    """
    n = len(z)
    f = f.reshape(n, items, -1).mean(axis=1).astype(np.float64)
    centre = z.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(f.T @ f / n)
    variances = np.maximum(variances, 0)
    along = axes.T @ (f.T @ (z - centre)) / n  # [size, d]
    inverses = 1 / (variances + RIDGES[:, None] * max(variances.max(), 1e-12))  # [ridge, size]
    freedom = (variances * inverses).sum(axis=1) / n
    # With hardly more pairs than degrees of freedom, the criterion would choose to interpolate.
    inverses, freedom = inverses[freedom < MOST], freedom[freedom < MOST, None]
    explained = (2 * inverses - variances * inverses**2) @ along**2
    error = (((z - centre) ** 2).mean(axis=0) - explained) / (1 - freedom) ** 2  # [ridge, d]
    best = error.argmin(axis=0)
    gain = (axes @ (inverses[best].T * along)).T
    rest = (z - centre - f @ gain.T) / (1 - freedom[best, 0])
    return Regression(np.tile(gain, items) / items, centre, rest.T @ rest / n)
