"""Plain networks: dense layers, and the embeddings of x.

One observation at a time; `jax.vmap` at the border.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


class Dense(eqx.Module):
    """An affine map; rows of `weight` are outputs."""

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"]

    def __init__(self, n_in: int, n_out: int, key: Key[Array, ""], scale: float = 1.0) -> None:
        """Weights of variance 2 scale^2 / n_in, for layers that rectify."""
        spread = scale * math.sqrt(2.0 / max(n_in, 1))
        self.weight = spread * jax.random.normal(key, (n_out, n_in))
        self.bias = jnp.zeros(n_out)

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        return self.weight @ x + self.bias


class MLP(eqx.Module):
    """Dense layers with an activation between them."""

    layers: tuple[Dense, ...]
    activation: str = eqx.field(static=True)

    def __init__(self, sizes: Sequence[int], activation: str, key: Key[Array, ""]) -> None:
        keys = jax.random.split(key, len(sizes) - 1)
        pairs = zip(sizes[:-1], sizes[1:], keys, strict=True)
        self.layers = tuple(Dense(a, b, k) for a, b, k in pairs)
        self.activation = activation

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        act = getattr(jax.nn, self.activation)
        for layer in self.layers[:-1]:
            x = act(layer(x))
        return self.layers[-1](x)
