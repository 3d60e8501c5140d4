"""Densities that are known exactly, in the place of trained networks."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp


class Gaussian(eqx.Module):
    """N(mean, root root^T) in z, whatever x is."""

    mean: jax.Array
    root: jax.Array

    def log_prob(self, z, x):
        base = jnp.linalg.solve(self.root, z - self.mean)
        log_det = jnp.log(jnp.abs(jnp.diag(self.root))).sum()
        return -0.5 * base @ base - log_det - 0.5 * len(z) * math.log(2 * math.pi)

    def sample(self, x, key, n):
        return self.mean + jax.random.normal(key, (n, len(self.mean))) @ self.root.T


class TwoMoons(eqx.Module):
    """The exact posterior of `tasks.two_moons` at x near 0: two crescents, in z of its box."""

    def log_prob(self, z, x):
        theta = 2 * jax.scipy.stats.norm.cdf(z) - 1
        place = jnp.stack([-jnp.abs(theta.sum()), theta[1] - theta[0]]) / math.sqrt(2)
        apart = x - place - jnp.array([0.25, 0.0])
        radius = jnp.sqrt(apart @ apart)
        log_likelihood = jax.scipy.stats.norm.logpdf(radius, 0.1, 0.01) - jnp.log(radius * math.pi)
        inside = apart[0] > 0
        # Each crescent has the Jacobian 1, and theta the density 1/4: the evidence is 2 / 4.
        log_p = log_likelihood - math.log(2) + jax.scipy.stats.norm.logpdf(z).sum() + math.log(4)
        return jnp.where(inside, log_p, -jnp.inf)

    def sample(self, x, key, n):
        one, two, three = jax.random.split(key, 3)
        angle = jax.random.uniform(one, (n,), minval=-math.pi / 2, maxval=math.pi / 2)
        radius = 0.1 + 0.01 * jax.random.normal(two, (n,))
        crescent = jnp.stack([radius * jnp.cos(angle) + 0.25, radius * jnp.sin(angle)], axis=1)
        place = math.sqrt(2) * (x - crescent)
        total = place[:, 0] * jax.random.choice(three, jnp.array([-1.0, 1.0]), (n,))
        theta = jnp.stack([total - place[:, 1], total + place[:, 1]], axis=1) / 2
        return jax.scipy.stats.norm.ppf((theta + 1) / 2)
