"""A conditional normalising flow: z in R^d <-> base N(0, I) at fixed x."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from raybayes.density.embeddings import Embedding
from raybayes.density.layers import Layer
from raybayes.density.trees import part, stack

# Few layers of large matrices (weights) are no loop: to copy them in and out takes a tenth of a
# training step, which is more than compiling them takes.
FEW, WIDE = 8, 1 << 16


class Flow(eqx.Module):
    """q(z | x) by layers of one kind, arXiv 1907.02392 and 1906.04032.

    Attributes:
        layers: all layers in one, each array with a leading axis; one compiled body scans over
            them, so that compile time does not grow with depth; but see FEW.
    """

    embedding: Embedding
    layers: Layer
    dim: int = eqx.field(static=True)

    @property
    def base(self) -> int:
        """Normal numbers that a draw takes."""
        return self.dim

    def initialised(self, z: Float[Array, "n d"], x: Float[Array, "n size"]) -> "Flow":
        """A copy whose actnorms, where it has them, standardise this batch."""
        if self.layers.norm is None:
            return self
        h, fitted = jax.vmap(self.context)(x), []
        for i in range(h.shape[1]):
            layer = part(self.layers, i)
            mixed = jax.vmap(lambda one, layer=layer: layer.mixing.forward(one)[0])(z)
            layer = eqx.tree_at(lambda one: one.norm, layer, layer.norm.fitted(mixed))
            z = jax.vmap(lambda one, c, layer=layer: layer.forward(one, c)[0])(z, h[:, i])
            fitted.append(layer)
        return eqx.tree_at(lambda flow: flow.layers, self, stack(fitted))

    def context(self, x: Float[Array, " size"]) -> Float[Array, "layers width"]:
        """What every layer makes of x alone."""
        c = self.embedding(x)
        return eqx.filter_vmap(lambda layer: layer.context(c))(self.layers)

    def to_base(
        self, z: Float[Array, " d"], h: Float[Array, "layers width"]
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """The base point of z, and log |det| of the map."""
        arrays, static = eqx.partition(self.layers, eqx.is_array)

        def step(
            carry: tuple[Array, Array], one: tuple[Layer, Array]
        ) -> tuple[tuple[Array, Array], None]:
            v, log_det = eqx.combine(one[0], static).forward(carry[0], one[1])
            return (v, carry[1] + log_det), None

        wide = max(a[0].size for a in jax.tree.leaves(arrays)) >= WIDE and len(h) <= FEW
        return jax.lax.scan(step, (z, jnp.zeros((), z.dtype)), (arrays, h), unroll=wide)[0]

    def from_base(
        self, v: Float[Array, " d"], h: Float[Array, "layers width"]
    ) -> Float[Array, " d"]:
        arrays, static = eqx.partition(self.layers, eqx.is_array)

        def step(v: Array, one: tuple[Layer, Array]) -> tuple[Array, None]:
            return eqx.combine(one[0], static).inverse(v, one[1]), None

        return jax.lax.scan(step, v, (arrays, h), reverse=True)[0]

    def log_prob(self, z: Float[Array, " d"], x: Float[Array, " size"]) -> Float[Array, ""]:
        """log q(z | x) in nats: -||f(z; x)||^2 / 2 - d/2 log 2 pi + log |det J|."""
        v, log_det = self.to_base(z, self.context(x))
        return log_det - 0.5 * (v @ v) - 0.5 * self.dim * math.log(2 * math.pi)

    def sample(self, x: Float[Array, " size"], key: Key[Array, ""], n: int) -> Float[Array, "n d"]:
        """n draws of z given one x; x is embedded once."""
        h, base = self.context(x), jax.random.normal(key, (n, self.dim))
        return jax.vmap(lambda v: self.from_base(v, h))(base)

    def loss(
        self, z: Float[Array, " d"], x: Float[Array, " size"], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """-log q(z | x); its mean over pairs is least where q is the posterior."""
        return -self.log_prob(z, x)
