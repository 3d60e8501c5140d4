"""A Gaussian mixture density network (Bishop 1994): the plain baseline."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from raybayes.density.embeddings import Embedding
from raybayes.density.networks import MLP


class Mixture(eqx.Module):
    """q(z | x) = sum_k w_k N(z | m_k, S_k), with weights, means and precisions from a network.

    A component is stored by the factor of its precision: S^-1 = F F^T, F lower triangular with
    a positive diagonal, so that log_prob needs no solve.
    """

    embedding: Embedding
    head: MLP
    dim: int = eqx.field(static=True)
    components: int = eqx.field(static=True)

    @staticmethod
    def outputs(dim: int, components: int) -> int:
        """What the head must give: logits, means and factors."""
        return components * (1 + dim + dim * dim)

    def _parts(
        self, x: Float[Array, " size"]
    ) -> tuple[Float[Array, " k"], Float[Array, "k d"], Float[Array, "k d d"], Float[Array, "k d"]]:
        """Log-weights, means, factors, and the logs of the factors' diagonals."""
        k, d = self.components, self.dim
        raw = self.head(self.embedding(x))
        logits, means, square = jnp.split(raw, [k, k + k * d])
        square = square.reshape(k, d, d)
        log_diagonal = jnp.diagonal(square, axis1=1, axis2=2)
        factors = jnp.tril(square, -1) + jax.vmap(jnp.diag)(jnp.exp(log_diagonal))
        return jax.nn.log_softmax(logits), means.reshape(k, d), factors, log_diagonal

    def log_prob(self, z: Float[Array, " d"], x: Float[Array, " size"]) -> Float[Array, ""]:
        """log q(z | x) in nats."""
        log_weights, means, factors, log_diagonal = self._parts(x)
        white = jnp.einsum("kji,kj->ki", factors, z[None] - means)
        each = log_diagonal.sum(axis=1) - 0.5 * (white**2).sum(axis=1)
        constant = 0.5 * self.dim * math.log(2 * math.pi)
        return jax.nn.logsumexp(log_weights + each) - constant

    def sample(self, x: Float[Array, " size"], key: Key[Array, ""], n: int) -> Float[Array, "n d"]:
        """n draws of z given one x."""
        log_weights, means, factors, _ = self._parts(x)
        first, second = jax.random.split(key)
        chosen = jax.random.categorical(first, log_weights, shape=(n,))
        # z = m + F^-T e; one inverse per component.
        spread = jax.vmap(lambda f: jnp.linalg.inv(f).T)(factors)
        noise = jax.random.normal(second, (n, self.dim))
        return means[chosen] + jnp.einsum("nij,nj->ni", spread[chosen], noise)

    def loss(
        self, z: Float[Array, " d"], x: Float[Array, " size"], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """-log q(z | x)."""
        return -self.log_prob(z, x)
