"""Conditional flows on R^d: q(z | x), with exact log_prob and sample.

Symbols as in the papers: u, v are the two ends of a coupling block, s and t its scale and
shift, c the embedding of x. One sample at a time inside; `jax.vmap` at the border.

Sources: conditional invertible networks, Ardizzone et al., arXiv 1907.02392; orthogonal mixing
between blocks, Kingma and Dhariwal, arXiv 1807.03039.
"""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from pydantic import BaseModel, ConfigDict, Field

CLAMP = 1.9  # soft clamp of log-scales, arXiv 1907.02392


class Flow(BaseModel):
    """The architecture of a cINN."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    blocks: int = Field(8, gt=0)
    halves: Literal[1, 2] = Field(1, description="couplings per block; 2 changes every coordinate")
    width: int = Field(128, gt=0, description="units of each hidden layer of a subnet")
    embedding: tuple[int, ...] = Field((256, 128), description="hidden widths; the last is c")
    activation: Literal["silu", "relu"] = "silu"
    mixing: Literal["orthogonal", "permutation"] = "orthogonal"


class Dense(eqx.Module):
    """An affine map; rows of `weight` are outputs."""

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"]

    def __init__(self, n_in: int, n_out: int, key: Key[Array, ""], scale: float = 1.0) -> None:
        self.weight = scale * math.sqrt(2.0 / n_in) * jax.random.normal(key, (n_out, n_in))
        self.bias = jnp.zeros(n_out)

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        return self.weight @ x + self.bias


class MLP(eqx.Module):
    """Dense layers with an activation between them; the last one starts small."""

    layers: tuple[Dense, ...]
    activation: str = eqx.field(static=True)

    def __init__(
        self, sizes: tuple[int, ...], activation: str, key: Key[Array, ""], last: float = 1.0
    ) -> None:
        keys = jax.random.split(key, len(sizes) - 1)
        scales = [1.0] * (len(sizes) - 2) + [last]
        pairs = zip(sizes[:-1], sizes[1:], keys, scales, strict=True)
        self.layers = tuple(Dense(a, b, k, scale) for a, b, k, scale in pairs)
        self.activation = activation

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        act = getattr(jax.nn, self.activation)
        for layer in self.layers[:-1]:
            x = act(layer(x))
        return self.layers[-1](x)


class Coupling(eqx.Module):
    """Half a coupling block: v1 = u1 exp(s(u2, c)) + t(u2, c) and v2 = u2."""

    subnet: MLP
    changed: int = eqx.field(static=True)

    def _scale_shift(
        self, kept: Float[Array, " k"], c: Float[Array, " c"]
    ) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        raw, shift = jnp.split(self.subnet(jnp.concatenate([kept, c])), 2)
        return (2 * CLAMP / math.pi) * jnp.arctan(raw / CLAMP), shift

    def forward(
        self, u: Float[Array, " d"], c: Float[Array, " c"]
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """v and log |dv / du|."""
        u1, u2 = u[: self.changed], u[self.changed :]
        s, t = self._scale_shift(u2, c)
        return jnp.concatenate([u1 * jnp.exp(s) + t, u2]), s.sum()

    def inverse(self, v: Float[Array, " d"], c: Float[Array, " c"]) -> Float[Array, " d"]:
        v1, v2 = v[: self.changed], v[self.changed :]
        s, t = self._scale_shift(v2, c)
        return jnp.concatenate([(v1 - t) * jnp.exp(-s), v2])


class Constants(eqx.Module):
    """What a flow holds and training must not touch.

    Attributes:
        mean, scale: of the features of x.
        mixings: an orthogonal matrix before each coupling; it adds nothing to log |det J|.
    """

    mean: Float[Array, " bins"]
    scale: Float[Array, ""]
    mixings: Float[Array, "couplings d d"]


def trainable(flow: eqx.Module) -> eqx.Module:
    """A filter for `equinox.partition`: True for weights, False for constants."""
    return jax.tree.map(
        lambda node: not isinstance(node, Constants) and eqx.is_inexact_array(node),
        flow,
        is_leaf=lambda node: isinstance(node, Constants),
    )


class CINN(eqx.Module):
    """A conditional invertible network: z in R^d <-> base in R^d at fixed x.

    x enters as features: variance-stabilised counts 2 sqrt(max(x + offset, 0)) (Anscombe),
    minus their mean, over one scale; both are data of the network, fitted before training.
    """

    embedding: MLP
    couplings: tuple[Coupling, ...]
    constants: Constants
    offset: float = eqx.field(static=True)

    def __init__(self, config: Flow, dim: int, size: int, offset: float, seed: int) -> None:
        """A new network; its fixed mixings and first weights follow from the seed."""
        act = config.activation
        key_embedding, *keys = jax.random.split(
            jax.random.key(seed), 1 + config.blocks * config.halves
        )
        self.embedding = MLP((size, *config.embedding), act, key_embedding)
        rng = np.random.default_rng(seed)
        couplings, mixings = [], []
        for i, key in enumerate(keys):
            second = i % config.halves == 1
            changed = max(dim // 2, 1) if not second else max(dim - dim // 2, 1)
            kept = dim - changed
            mixings.append(_swap(dim, kept) if second else _mixing(config.mixing, dim, rng))
            sizes = (kept + config.embedding[-1], config.width, config.width, 2 * changed)
            couplings.append(Coupling(MLP(sizes, act, key, last=0.01), changed))
        self.couplings = tuple(couplings)
        fixed = jnp.asarray(np.stack(mixings), jnp.float32)
        self.constants = Constants(jnp.zeros(size), jnp.ones(()), fixed)
        self.offset = offset

    def standardised(self, x: Float[np.ndarray, "n bins"]) -> "CINN":
        """A copy whose features have mean 0 per bin and variance 1 overall on these x."""
        features = np.asarray(self._features(jnp.asarray(x, jnp.float32)))
        mean = features.mean(axis=0)
        fitted = (jnp.asarray(mean), jnp.asarray((features - mean).std()))
        return eqx.tree_at(lambda flow: (flow.constants.mean, flow.constants.scale), self, fitted)

    def _features(self, x: Float[Array, "... bins"]) -> Float[Array, "... bins"]:
        return 2 * jnp.sqrt(jnp.maximum(x + self.offset, 0))

    def embed(self, x: Float[Array, " bins"]) -> Float[Array, " c"]:
        return self.embedding((self._features(x) - self.constants.mean) / self.constants.scale)

    def log_prob(self, z: Float[Array, " d"], x: Float[Array, " bins"]) -> Float[Array, ""]:
        """log q(z | x) in nats: -||f(z; x)||^2 / 2 - d/2 log 2 pi + log |det J|."""
        c, log_det = self.embed(x), jnp.zeros((), z.dtype)
        for coupling, mixing in zip(self.couplings, self.constants.mixings, strict=True):
            z, step = coupling.forward(mixing @ z, c)
            log_det += step
        return log_det - 0.5 * (z @ z) - 0.5 * z.shape[0] * math.log(2 * math.pi)

    def sample(self, x: Float[Array, " bins"], key: Key[Array, ""], n: int) -> Float[Array, "n d"]:
        """n draws of z given one x; x is embedded once."""
        c, dim = self.embed(x), self.constants.mixings.shape[-1]
        base, mixings = jax.random.normal(key, (n, dim)), self.constants.mixings

        def draw(v: Float[Array, " d"]) -> Float[Array, " d"]:
            for coupling, mixing in zip(self.couplings[::-1], mixings[::-1], strict=True):
                v = mixing.T @ coupling.inverse(v, c)
            return v

        return jax.vmap(draw)(base)


def _mixing(kind: str, dim: int, rng: np.random.Generator) -> Float[np.ndarray, "d d"]:
    """A random rotation or a random permutation of the coordinates."""
    if kind == "permutation":
        return np.eye(dim)[rng.permutation(dim)]
    q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
    return q * np.sign(np.diag(r))


def _swap(dim: int, kept: int) -> Float[np.ndarray, "d d"]:
    """The permutation that brings the coordinates not changed last to the front."""
    return np.roll(np.eye(dim), -kept, axis=0)
