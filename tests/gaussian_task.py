"""A linear Gaussian task: posterior and evidence are known, and can be made wrong."""

import jax.numpy as jnp
import numpy as np
from exact import Gaussian
from scipy.stats import multivariate_normal, norm

from raybayes.density import deep
from raybayes.inference.posterior import Posterior
from raybayes.prior import Independent, Normal

A = np.array([[1.0, 0.3, 0.0], [0.0, 1.0, -0.4], [0.2, 0.0, 1.0], [0.5, 0.5, 0.5]])
NOISE = 0.4
PRIOR = Independent(("a", "b", "c"), (Normal(mean=1, sd=2),) * 3)
COVARIANCE = np.linalg.inv(np.eye(3) / 4 + A.T @ A / NOISE**2)
X = np.array([1.5, 0.2, 2.0, 1.0])
MEAN = COVARIANCE @ (np.ones(3) / 4 + A.T @ X / NOISE**2)
EVIDENCE = multivariate_normal(A @ np.ones(3), 4 * A @ A.T + NOISE**2 * np.eye(4)).logpdf(X)


def log_likelihood(theta):
    return norm.logpdf(X, theta @ A.T, NOISE).sum(axis=-1)


def gaussian_posterior(scale=1.0, shift=0.0):
    """The exact posterior, or one made wrong."""
    root = scale * np.linalg.cholesky(COVARIANCE) / 2
    mean = (MEAN - 1) / 2 + shift * root.diagonal()
    density = Gaussian(jnp.asarray(mean, jnp.float32), jnp.asarray(root, jnp.float32))
    return Posterior(PRIOR, density, deep(), 4, {})
