"""From an observation to features, and from features to the context c of a flow."""

import math
from typing import Literal, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from raybayes.density.networks import MLP, Dense
from raybayes.density.trees import Constants


class Features(Constants):
    """x -> standardised features; fitted from data, no part of training.

    "counts" takes 2 sqrt(max(x + offset, 0)) (Anscombe: unit noise at every level), minus the
    mean of each bin, over one scale for all; "values" takes x as it is and scales every entry.
    """

    mean: Float[Array, " size"]
    scale: Float[Array, " size"]
    kind: Literal["values", "counts"] = eqx.field(static=True)
    offset: float = eqx.field(static=True)

    def __init__(self, size: int, kind: Literal["values", "counts"], offset: float = 0.0) -> None:
        self.mean, self.scale = jnp.zeros(size), jnp.ones(size)
        self.kind, self.offset = kind, offset

    def fitted(self, x: Float[np.ndarray, "n size"]) -> "Features":
        """A copy that standardises these x; an entry that never varies keeps the scale 1."""
        raw = np.asarray(self._raw(jnp.asarray(x, jnp.float32)), np.float64)
        mean = raw.mean(axis=0)
        scale = raw.std(axis=0)
        if self.kind == "counts":
            scale = np.full_like(scale, math.sqrt((scale**2).mean()))
        scale = np.where(scale > 1e-6 * (1e-30 + np.abs(mean)), scale, 1.0)
        fields = (jnp.asarray(mean, jnp.float32), jnp.asarray(scale, jnp.float32))
        return eqx.tree_at(lambda features: (features.mean, features.scale), self, fields)

    def __call__(self, x: Float[Array, " size"]) -> Float[Array, " size"]:
        return (self._raw(x) - self.mean) / self.scale

    def _raw(self, x: Float[Array, "... size"]) -> Float[Array, "... size"]:
        return 2 * jnp.sqrt(jnp.maximum(x + self.offset, 0)) if self.kind == "counts" else x


class Embedding(Protocol):
    """Features [size] -> context [c]."""

    def __call__(self, features: Float[Array, " size"], /) -> Float[Array, " c"]: ...


class Residual(eqx.Module):
    """A residual multilayer perceptron: x + f(x), layer after layer, arXiv 1512.03385."""

    first: Dense
    blocks: tuple[MLP, ...]
    activation: str = eqx.field(static=True)

    def __init__(
        self, size: int, width: int, blocks: int, activation: str, key: Key[Array, ""]
    ) -> None:
        first, *keys = jax.random.split(key, 1 + blocks)
        self.first = Dense(size, width, first)
        self.blocks = tuple(MLP((width, width, width), activation, k) for k in keys)
        self.activation = activation

    def __call__(self, features: Float[Array, " size"]) -> Float[Array, " width"]:
        act = getattr(jax.nn, self.activation)
        out = self.first(features)
        for block in self.blocks:
            out = out + block(act(out))
        return out
