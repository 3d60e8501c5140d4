"""theta in a box, x linear in z = to_real(theta): the posterior in z is Gaussian and known."""

import numpy as np
from densities import BOX
from scipy.stats import multivariate_normal

from raybayes.density import (
    members,
)
from raybayes.inference.train import Trainer, Training

SLOPE = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, -1.0]])
NOISE = 0.3


def problem(n, config, epochs=12, seed=0, **training):
    """theta in a box, x = SLOPE z + noise + 20: in z = to_real(theta) it is linear Gaussian."""
    rng = np.random.default_rng(seed)
    theta = BOX.sample(n + 500, rng)
    z = BOX.to_real(theta).astype(np.float32)
    clean = z @ SLOPE.T + 20

    def observe(rows, stream):
        noise = NOISE * np.random.default_rng((seed, stream)).standard_normal((len(rows), 3))
        return (rows + noise).astype(np.float32)

    networks = members(config, z[:n], observe(clean[:n], 0), seed)
    settings = Training(epochs=epochs, batch=100, patience=epochs, **training)
    held_out = (z[None, n:], observe(clean[n:], 999)[None])
    rows = np.arange(n)[None]
    return Trainer(
        networks, settings, lambda e: (z[:n], observe(clean[:n], e)), rows, held_out, seed
    )


def exact_posterior(x):
    precision = np.eye(2) + SLOPE.T @ SLOPE / NOISE**2
    covariance = np.linalg.inv(precision)
    return (x - 20) @ SLOPE @ covariance / NOISE**2, covariance


def simulated(theta, rng):
    return BOX.to_real(theta) @ SLOPE.T + NOISE * rng.standard_normal((len(theta), 3))


def exact_loss(theta, x):
    mean, covariance = exact_posterior(x + 20)
    return -multivariate_normal(np.zeros(2), covariance).logpdf(BOX.to_real(theta) - mean).mean()
