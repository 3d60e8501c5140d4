"""Plain networks, one observation at a time; `jax.vmap` at the border.

New weights are drawn by NumPy: JAX would compile a program for every shape.
"""

import itertools
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from raybayes.density.trees import array32


class Dense(eqx.Module):
    """An affine map; rows of `weight` are outputs."""

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"]

    def __init__(self, n_in: int, n_out: int, rng: np.random.Generator, scale: float = 1.0) -> None:
        """Weights of variance 2 scale^2 / n_in, for layers that rectify."""
        spread = scale * math.sqrt(2.0 / max(n_in, 1))
        weight = spread * rng.standard_normal((n_out, n_in))
        self.weight = array32(weight)
        self.bias = array32(np.zeros(n_out))

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        return self.weight @ x + self.bias


class MLP(eqx.Module):
    """Dense layers with an activation between them; without layers, the identity."""

    layers: tuple[Dense, ...]
    activation: str = eqx.field(static=True)

    def __init__(self, sizes: Sequence[int], activation: str, rng: np.random.Generator) -> None:
        pairs = itertools.pairwise(sizes)
        self.layers = tuple(Dense(a, b, rng) for a, b in pairs)
        self.activation = activation

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        act = getattr(jax.nn, self.activation)
        for i, layer in enumerate(self.layers):
            x = layer(act(x) if i else x)
        return x
