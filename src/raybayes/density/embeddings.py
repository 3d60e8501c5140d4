"""From an observation to features, and from features to the context c of a flow."""

import itertools
import math
import warnings
from typing import Literal, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.stats import skew

from raybayes.density.networks import MLP, Dense
from raybayes.density.trees import Constants, array32

Kind = Literal["auto", "values", "counts"]
SMALLEST = 1e-30  # argument of a square root: not 0, where its slope is infinite


class Features(Constants):
    """x -> standardised features; fitted from data, no part of training.

    "counts" takes 2 sqrt(max(x + offset, 0)) (Anscombe: unit noise at every level), minus the
    mean of each bin, over one scale for all. "values" takes x as it is and scales every entry.
    "auto" does so too, but takes the square root or the logarithm of an entry that is never
    negative where that makes it the least skewed; a logarithm ends at the smallest value that it
    was fitted to.

    Where entries may be missing, NaN becomes 0; see `Marked`.
    """

    mean: Float[Array, " size"]
    scale: Float[Array, " size"]
    shift: Float[Array, " size"]
    root: Float[Array, " size"]  # weights, 0 or 1, of the square root and of the logarithm
    log: Float[Array, " size"]
    least: Float[Array, " size"]  # their smallest argument
    kind: Kind = eqx.field(static=True)
    missing: bool = eqx.field(static=True)

    def __init__(self, size: int, kind: Kind, offset: float = 0.0, missing: bool = False) -> None:
        zeros, ones, shift = (array32(np.full(size, a)) for a in (0, 1, offset))
        self.mean, self.scale, self.shift = zeros, ones, shift
        self.root, self.log = zeros, zeros
        self.least = array32(np.full(size, SMALLEST))
        self.kind, self.missing = kind, missing

    def fitted(self, x: Float[np.ndarray, "n size"]) -> "Features":
        """A copy that standardises these x; an entry that never varies keeps the scale 1."""
        chosen = self._least_skewed(np.asarray(x, np.float64)) if self.kind == "auto" else self
        raw = np.asarray(jax.jit(jax.vmap(chosen._raw))(np.asarray(x, np.float32)), np.float64)
        mean, scale = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0)
        if self.kind == "counts":
            scale = np.full_like(scale, math.sqrt((scale**2).mean()))
        scale = np.where(scale > 1e-6 * (1e-30 + np.abs(mean)), scale, 1.0)
        fields = (array32(mean), array32(scale))
        return eqx.tree_at(lambda features: (features.mean, features.scale), chosen, fields)

    def _least_skewed(self, x: Float[np.ndarray, "n size"]) -> "Features":
        x = np.where(np.isnan(x), np.nanmedian(x, axis=0), x)
        positive = (x >= 0).all(axis=0)
        safe = np.where(positive, x, 0)
        smallest = np.where(safe > 0, safe, np.inf).min(axis=0)
        shift = np.where(safe.min(axis=0) > 0, 0, np.where(np.isfinite(smallest), smallest, 1.0))
        lifted = np.where(positive, safe + shift, 1.0)
        with np.errstate(invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # an entry that never varies
            choices = np.stack([x, np.sqrt(lifted), np.log(lifted)])
            skews = np.abs(np.nan_to_num(skew(choices, axis=1)))
        best = np.where(positive, np.argmin(skews, axis=0), 0)
        least = np.where(best == 2, np.maximum(lifted.min(axis=0), SMALLEST), SMALLEST)
        fields = (shift * positive, best == 1, best == 2, least)
        return eqx.tree_at(
            lambda features: (features.shift, features.root, features.log, features.least),
            self,
            tuple(map(array32, fields)),
        )

    def __call__(self, x: Float[Array, " size"]) -> Float[Array, " size"]:
        standard = (self._raw(x) - self.mean) / self.scale
        return jnp.where(jnp.isnan(x), 0.0, standard) if self.missing else standard

    def _raw(self, x: Float[Array, " size"]) -> Float[Array, " size"]:
        if self.kind == "values":
            return x
        lifted = jnp.maximum(x + self.shift, self.least)
        rooted = 2 * jnp.sqrt(lifted)
        if self.kind == "counts":
            return rooted
        logarithm = jnp.log(lifted)
        return jnp.where(self.log > 0, logarithm, jnp.where(self.root > 0, rooted, x))


class Embedding(Protocol):
    """Features [size] -> context [c]."""

    def __call__(self, features: Float[Array, " size"], /) -> Float[Array, " c"]: ...


class Residual(eqx.Module):
    """A residual multilayer perceptron: x + f(x), layer after layer, arXiv 1512.03385."""

    first: Dense
    blocks: tuple[MLP, ...]
    activation: str = eqx.field(static=True)

    def __init__(
        self, size: int, width: int, blocks: int, activation: str, rng: np.random.Generator
    ) -> None:
        self.first = Dense(size, width, rng)
        self.blocks = tuple(MLP((width, width, width), activation, rng) for _ in range(blocks))
        self.activation = activation

    def __call__(self, features: Float[Array, " size"]) -> Float[Array, " width"]:
        act = getattr(jax.nn, self.activation)
        out = self.first(features)
        for block in self.blocks:
            out = out + block(act(out))
        return out


class Convolution(eqx.Module):
    """Strided convolutions over profiles or images, then one dense layer.

    A convolution is a product of its weights with the patches of its input: XLA's own is some
    hundred times slower on the CPU when the members of an ensemble have weights of their own.

    Attributes:
        shape: how the features are laid out: signals or colours first, then one or two axes.
    """

    layers: tuple[Dense, ...]
    last: Dense
    shape: tuple[int, ...] = eqx.field(static=True)
    kernel: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(
        self, shape: tuple[int, ...], channels: tuple[int, ...], kernel: int, width: int,
        activation: str, rng: np.random.Generator,
    ) -> None:  # fmt: skip
        pairs = itertools.pairwise((shape[0], *channels))
        patch = kernel ** (len(shape) - 1)
        self.layers = tuple(Dense(a * patch, b, rng) for a, b in pairs)
        self.shape, self.kernel, self.activation = shape, kernel, activation
        sides = shape[1:]
        for _ in channels:
            sides = self._halved(sides)
        self.last = Dense(channels[-1] * math.prod(sides), width, rng)

    def _halved(self, sides: tuple[int, ...]) -> tuple[int, ...]:
        """What a stride of 2 leaves of each axis, with half a kernel of padding."""
        return tuple((side + 2 * (self.kernel // 2) - self.kernel) // 2 + 1 for side in sides)

    def _patches(self, signals: Float[Array, "channels ..."]) -> Float[Array, "patch places"]:
        sides = self._halved(signals.shape[1:])
        padded = jnp.pad(signals, [(0, 0), *[(self.kernel // 2,) * 2] * len(sides)])
        parts = []
        for offset in itertools.product(range(self.kernel), repeat=len(sides)):
            ends = [slice(o, o + 2 * n - 1, 2) for o, n in zip(offset, sides, strict=True)]
            parts.append(padded[(slice(None), *ends)].reshape(len(signals), -1))
        return jnp.concatenate(parts)

    def __call__(self, features: Float[Array, " size"]) -> Float[Array, " width"]:
        act = getattr(jax.nn, self.activation)
        out = features.reshape(self.shape)
        for layer in self.layers:
            sides = self._halved(out.shape[1:])
            out = act(layer.weight @ self._patches(out) + layer.bias[:, None]).reshape(-1, *sides)
        return self.last(out.reshape(-1))


class Set(eqx.Module):
    """Several observations of one theta, in any order (deep sets, arXiv 1703.06114)."""

    each: MLP
    together: MLP
    items: int = eqx.field(static=True)

    def __call__(self, features: Float[Array, " size"]) -> Float[Array, " c"]:
        return self.together(jax.vmap(self.each)(features.reshape(self.items, -1)).mean(axis=0))


class Marked(eqx.Module):
    """Beside the features of every item, which of them are unknown, for another embedding.

    No reading is 0 to the last bit; a feature of which nothing is known is.
    """

    embedding: Embedding
    items: int = eqx.field(static=True)

    def __call__(self, features: Float[Array, " size"]) -> Float[Array, " c"]:
        rows = features.reshape(self.items, -1)
        return self.embedding(jnp.concatenate([rows, 1.0 * (rows == 0)], axis=1).reshape(-1))
