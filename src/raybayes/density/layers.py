"""Layers of a flow: a mixing, then transforms whose parameters a network reads from z and c.

c is the embedding of x. What a layer makes of c alone, h = `context(c)`, does not depend on z,
so that it is computed once when many z are drawn or judged for one x.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from raybayes.density.mixing import ActNorm, Mixing
from raybayes.density.networks import Dense
from raybayes.density.transforms import Transform
from raybayes.density.trees import array32

START = 0.01  # scale of a conditioner's last weights: a new layer is nearly its mixing


class Conditioner(eqx.Module):
    """z's known part and c -> raw parameters [outputs] of transforms; one or more hidden layers."""

    context: Dense
    known: Float[Array, "width k"]
    hidden: tuple[Dense, ...]
    last: Dense
    activation: str = eqx.field(static=True)

    def __init__(
        self, known: int, context: int, widths: tuple[int, ...], outputs: int, activation: str,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        whole = Dense(known + context, widths[0], rng)
        seen, rest = np.split(np.asarray(whole.weight), [known], axis=1)
        self.known = array32(seen)
        self.context = eqx.tree_at(lambda dense: dense.weight, whole, array32(rest))
        self.hidden = tuple(Dense(a, b, rng) for a, b in pairwise(widths))
        self.last = Dense(widths[-1], outputs, rng, START)
        self.activation = activation

    def __call__(
        self, z: Float[Array, " k"], h: Float[Array, " width"], masks: "Masks | None" = None
    ) -> Float[Array, " outputs"]:
        act = getattr(jax.nn, self.activation)
        first, between, last = masks or (True, True, True)
        out = act(h + jnp.where(first, self.known, 0) @ z)
        for layer in self.hidden:
            out = act(jnp.where(between, layer.weight, 0) @ out + layer.bias)
        return jnp.where(last, self.last.weight, 0) @ out + self.last.bias


class Step(Protocol):
    """The part of a layer that depends on x."""

    conditioner: Conditioner

    def forward(
        self, z: Float[Array, " d"], h: Float[Array, " width"]
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]: ...

    def inverse(self, v: Float[Array, " d"], h: Float[Array, " width"]) -> Float[Array, " d"]: ...


class Coupling(eqx.Module):
    """The first `changed` coordinates are transformed given the rest, arXiv 1605.08803."""

    conditioner: Conditioner
    transform: Transform
    changed: int = eqx.field(static=True)

    def forward(
        self, z: Float[Array, " d"], h: Float[Array, " width"]
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        v, log_slopes = self.transform.forward(z[: self.changed], self._raw(z, h))
        return jnp.concatenate([v, z[self.changed :]]), log_slopes.sum()

    def inverse(self, v: Float[Array, " d"], h: Float[Array, " width"]) -> Float[Array, " d"]:
        z = self.transform.inverse(v[: self.changed], self._raw(v, h))
        return jnp.concatenate([z, v[self.changed :]])

    def _raw(
        self, z: Float[Array, " d"], h: Float[Array, " width"]
    ) -> Float[Array, "changed parameters"]:
        return self.conditioner(z[self.changed :], h).reshape(self.changed, -1)


class Autoregressive(eqx.Module):
    """Coordinate i is transformed given those before it (MAF, arXiv 1705.07057).

    log_prob and a draw cost a pass of the network each; a draw takes it coordinate by coordinate.
    """

    conditioner: Conditioner
    transform: Transform
    dim: int = eqx.field(static=True)

    def forward(
        self, z: Float[Array, " d"], h: Float[Array, " width"]
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        v, log_slopes = self.transform.forward(z, self._raw(z, h))
        return v, log_slopes.sum()

    def inverse(self, v: Float[Array, " d"], h: Float[Array, " width"]) -> Float[Array, " d"]:
        def draw(i: Array, before: Array, raw: Array) -> Float[Array, ""]:
            return self.transform.inverse(v[i][None], raw[None])[0]

        return ancestral(self.conditioner, h, self.dim, draw)

    def _raw(
        self, z: Float[Array, " d"], h: Float[Array, " width"]
    ) -> Float[Array, "d parameters"]:
        masks = made(self.dim, h.shape[0], self.transform.parameters)
        return self.conditioner(z, h, masks).reshape(self.dim, -1)


Masks = tuple[np.ndarray, np.ndarray, np.ndarray]


@lru_cache
def made(dim: int, width: int, parameters: int) -> Masks:
    """Masks of the first, the inner and the last weights (MADE, arXiv 1502.03509).

    Unit k of a hidden layer sees coordinates up to degree k mod dim; degree 0 sees x alone.
    """
    degree = np.arange(width) % dim
    last = np.repeat(np.arange(dim), parameters)[:, None] >= degree
    return degree[:, None] > np.arange(dim), degree[:, None] >= degree, last


def ancestral(
    net: Conditioner, h: Float[Array, " width"], dim: int,
    draw: Callable[[Array, Array, Array], Array],
) -> Float[Array, " d"]:  # fmt: skip
    """Coordinates one after the other, by `draw` of i, those before i, and the net's outputs for i.

    Units of degree i wait for the coordinates before i and for nothing else: each is computed
    once. Those that wait still are 0, which is what the masks of `made` do.
    """
    act = getattr(jax.nn, net.activation)
    each = -(-h.shape[0] // dim)  # units of a degree; some may stand for none

    def padded(rows: Float[Array, "width *rest"], axis: int = 0) -> Float[Array, "_ *rest"]:
        ends = [(0, 0)] * rows.ndim
        ends[axis] = (0, each * dim - rows.shape[axis])
        return jnp.pad(rows, ends)

    def by_degree(rows: Float[Array, "width *rest"]) -> Float[Array, "d each *rest"]:
        return padded(rows).reshape(each, dim, *rows.shape[1:]).swapaxes(0, 1)

    hidden = [(by_degree(padded(one.weight, 1)), by_degree(one.bias)) for one in net.hidden]
    h, known = by_degree(h), by_degree(net.known)
    last = padded(net.last.weight, 1).reshape(dim, -1, each * dim)
    bias = net.last.bias.reshape(dim, -1)

    def one_more(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        z, outs = carry
        out = act(h[i] + known[i] @ z)
        for k, (weight, shift) in enumerate(hidden):
            outs = outs.at[k, :, i].set(out)
            out = act(weight[i] @ outs[k].ravel() + shift[i])
        outs = outs.at[-1, :, i].set(out)
        raw = last[i] @ outs[-1].ravel() + bias[i]
        return z.at[i].set(draw(i, z, raw)), outs

    start = (jnp.zeros(dim), jnp.zeros((1 + len(hidden), each, dim)))
    return jax.lax.fori_loop(0, dim, one_more, start)[0]


class Layer(eqx.Module):
    """A mixing, perhaps an actnorm, then a step that x conditions."""

    mixing: Mixing
    norm: ActNorm | None
    step: Step

    def context(self, c: Float[Array, " c"]) -> Float[Array, " width"]:
        return self.step.conditioner.context(c)

    def mixed(self, z: Float[Array, " d"]) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        v, log_det = self.mixing.forward(z)
        if self.norm is None:
            return v, log_det
        v, scale = self.norm.forward(v)
        return v, log_det + scale

    def forward(
        self, z: Float[Array, " d"], h: Float[Array, " width"]
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """v and log |dv / dz|."""
        v, mixed = self.mixed(z)
        v, stepped = self.step.forward(v, h)
        return v, mixed + stepped

    def inverse(self, v: Float[Array, " d"], h: Float[Array, " width"]) -> Float[Array, " d"]:
        v = self.step.inverse(v, h)
        return self.mixing.inverse(v if self.norm is None else self.norm.inverse(v))
