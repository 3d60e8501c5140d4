"""An autoregressive density of mixtures inside the prior's box (RNADE, arXiv 1306.0186)."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.scipy.special import erf, erfinv, log_ndtr, ndtr, ndtri
from jaxtyping import Array, Float, Key

from raybayes.density.embeddings import Embedding
from raybayes.density.layers import Conditioner, ancestral, made
from raybayes.density.mixing import Orthogonal
from raybayes.density.standardised import Regression, regressed, unit

SHARPEST, WIDEST = -9.0, 2.0  # log sd of a component; the box is two wide
START = -1.0  # log sd of a new network's components
TAIL = -20.0  # log of a mass from which on quantiles are worked out by logs
LAST = 1 - 2.0**-24  # the last float32 before the edge of the box


class Components(NamedTuple):
    """Of a coordinate, given those before it: log-weights, means and log sds, [k] each.

    least, most: between which it lies.
    """

    log_weights: Float[Array, " k"]
    means: Float[Array, " k"]
    log_sds: Float[Array, " k"]
    least: Float[Array, ""]
    most: Float[Array, ""]

    def ends(self) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
        """Least and most in units of each component."""
        units = jnp.exp(-self.log_sds)
        return (self.least - self.means) * units, (self.most - self.means) * units

    def log_prob(self, r: Float[Array, ""]) -> Float[Array, ""]:
        """log q(r), in nats."""
        low, high = self.ends()
        inner = -0.5 * ((r - self.means) * jnp.exp(-self.log_sds)) ** 2 - _log_mass(low, high)
        # With the mean outside, two large numbers would be left nearly equal: from the near edge.
        above, low, high = _lower(low, high)
        inside = high > -1
        low, high = jnp.where(inside, -3.0, low), jnp.where(inside, -1.0, high)
        away = jnp.where(above, r - self.least, self.most - r) * jnp.exp(-self.log_sds)
        ratio = _log_mills(low) - _log_mills(high) - 0.5 * (low - high) * (low + high)
        outer = away * (high - 0.5 * away) - _log_mills(high) - jnp.log1p(-jnp.exp(ratio))
        each = jnp.where(inside, inner, outer) - self.log_sds - 0.5 * math.log(2 * math.pi)
        return jax.nn.logsumexp(self.log_weights + each)

    def draw(self, pick: Float[Array, ""], share: Float[Array, ""]) -> Float[Array, ""]:
        """One coordinate by two quantiles: the component first, then the place in it."""
        below = jnp.cumsum(jnp.exp(self.log_weights))
        chosen = (pick * below[-1] > below).sum()
        place = _quantile(share, *(end[chosen] for end in self.ends()))
        return self.means[chosen] + jnp.exp(self.log_sds[chosen]) * place


class Rnade(eqx.Module):
    """q(r | x) = prod_i sum_k w_ik N(r_i; m_ik, s_ik) / mass of it in the box.

    u = 2 Phi(z) - 1 = centre + gain x + factor r, factor lower triangular; r_i lies where u_i is in
    [-1, 1], given those before. w, m and s come from a network that sees x and the coordinates
    before i, as in MADE; m is also linear in these. Where the prior is a box, u is theta scaled
    to [-1, 1]: an observation that constrains a combination of parameters far better than each of
    them, as a beam's position does, leaves a thin sheet that is flat in u and a curved one in z,
    and what the last coordinate follows is linear there. u is taken in `order`.
    """

    order: Orthogonal  # a permutation
    regression: Regression
    embedding: Embedding
    conditioner: Conditioner
    slopes: Float[Array, "d d"]
    dim: int = eqx.field(static=True)
    components: int = eqx.field(static=True)

    @property
    def base(self) -> int:
        """Normal numbers that a draw takes: two for each coordinate."""
        return 2 * self.dim

    @staticmethod
    def outputs(dim: int, components: int) -> int:
        """What the conditioner must give."""
        return 3 * components * dim

    def _boxed(self, z: Float[Array, " d"]) -> Float[Array, " d"]:
        """u in its order."""
        return self.order.forward(erf(z / math.sqrt(2)))[0]

    def _given(
        self, raw: Float[Array, " outputs"], linear: Array, others: Array, scale: Array
    ) -> Components:
        """What the conditioner's outputs for a coordinate u = others + scale r mean."""
        weights, means, log_sds = raw.reshape(3, self.components)
        edge = 1 - 1 / self.components
        means = means + jnp.linspace(-edge, edge, self.components) + linear
        log_sds = jnp.clip(log_sds + START, SHARPEST, WIDEST)
        ends = (-1 - others) / scale, (1 - others) / scale
        return Components(jax.nn.log_softmax(weights), means, log_sds, *ends)

    def context(
        self, x: Float[Array, " size"]
    ) -> tuple[Float[Array, " width"], Float[Array, " d"]]:
        """What the conditioner and the regression make of x alone."""
        return self.conditioner.context(self.embedding(x)), self.regression.middle(x)

    def log_prob(self, z: Float[Array, " d"], x: Float[Array, " size"]) -> Float[Array, ""]:
        """log q(z | x) in nats."""
        h, middle = self.context(x)
        u, scales = self._boxed(z), jnp.diag(self.regression.factor)
        r = self.regression.inverse @ (u - middle)
        raw = self.conditioner(r, h, made(self.dim, h.shape[0], 3 * self.components))
        linear = jnp.tril(self.slopes, -1) @ r
        parts = jax.vmap(self._given)(raw.reshape(self.dim, -1), linear, u - scales * r, scales)
        log_q = jax.vmap(Components.log_prob)(parts, r).sum() - self.regression.log_det
        log_slopes = 0.5 * math.log(2 / math.pi) - 0.5 * z**2  # log du/dz
        return log_q + log_slopes.sum()

    def sample(self, x: Float[Array, " size"], key: Key[Array, ""], n: int) -> Float[Array, "n d"]:
        """n draws of z given one x, which is embedded once."""
        context, base = self.context(x), jax.random.normal(key, (n, self.base))
        return jax.vmap(lambda v: self.from_base(v, context))(base)

    def from_base(
        self, v: Float[Array, " base"],
        context: tuple[Float[Array, " width"], Float[Array, " d"]],
    ) -> Float[Array, " d"]:  # fmt: skip
        """A draw, given numbers from N(0, I)."""
        h, middle = context
        share, factor = ndtr(v).reshape(2, self.dim), self.regression.factor

        def draw(i: Array, before: Array, raw: Array) -> Float[Array, ""]:
            others = middle[i] + factor[i] @ before
            return self._given(raw, self.slopes[i] @ before, others, factor[i, i]).draw(
                *share[:, i]
            )

        r = ancestral(self.conditioner, h, self.dim, draw)
        u = jnp.clip(middle + factor @ r, -LAST, LAST)
        return math.sqrt(2) * erfinv(self.order.inverse(u))

    def loss(
        self, z: Float[Array, " d"], x: Float[Array, " size"], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """-log q(z | x)."""
        return -self.log_prob(z, x)


def order_and_regression(
    z: Float[np.ndarray, "n d"], x: Float[np.ndarray, "n size"], items: int, linear: bool
) -> tuple[Orthogonal, Regression]:
    """Of a new `Rnade`, given some pairs.

    What the other coordinates predict best is taken last: so what is curved or of two modes is
    described before the sheet, not integrated over it.

    Args:
        items: as for `regressed`.
        linear: start at the posterior linear in x and cut by the box, not at the prior.
    """
    order = tied_last(regressed(z, x, items).covariance)
    if not linear:
        return Orthogonal(order), unit(z.shape[1], x.shape[1])
    found = regressed(scipy.special.erf(z / math.sqrt(2)) @ order.T, x, items)
    # A coordinate that x does not constrain has r of variance 1/3, as u has: uniform.
    gain, centre = np.asarray(found.gain), np.asarray(found.centre)
    return Orthogonal(order), Regression(gain, centre, 3 * found.covariance)


def tied_last(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """The permutation by rising multiple correlation of each coordinate with all others.

    R_j^2 = 1 - 1 / (S_jj (S^-1)_jj); ties, to a hundredth, stay in their order.
    """
    independent = 1 / (np.diag(covariance) * np.diag(np.linalg.inv(covariance)))
    return np.eye(len(covariance))[np.argsort(-np.round(independent, 2), kind="stable")]


def _lower(low: Array, high: Array) -> tuple[Array, Array, Array]:
    """An interval above 0 mirrored, since small masses are exact in the lower tail only."""
    above = low > 0
    return above, jnp.where(above, -high, low), jnp.where(above, -low, high)


def _log_mass(low: Array, high: Array) -> Array:
    """log of the standard normal's mass between low and high."""
    _, low, high = _lower(low, high)
    most = log_ndtr(high)
    return most + jnp.log(-jnp.expm1(jnp.minimum(log_ndtr(low) - most, -1e-7)))


def _log_mills(x: Array) -> Array:
    """log of the normal's mass below x < 0, over exp(-x^2 / 2)."""
    near, far = jnp.maximum(x, -8.0), 1 / jnp.minimum(x, -8.0) ** 2
    series = jnp.log1p(-far * (1 - far * (3 - 15 * far))) + 0.5 * jnp.log(far / (2 * math.pi))
    return jnp.where(x > -8.0, log_ndtr(near) + 0.5 * near**2, series)


def _quantile(share: Array, low: Array, high: Array) -> Array:
    """Where a share of the standard normal's mass between low and high is reached."""
    above, low, high = _lower(low, high)
    share = jnp.where(above, 1 - share, share)
    least, most = log_ndtr(low), log_ndtr(high)
    rest = jnp.exp(least - most)
    log_mass = jnp.maximum(most + jnp.log(rest + share * (1 - rest)), least)
    place = jnp.clip(_log_quantile(log_mass), low, high)
    return jnp.where(above, -place, place)


def _log_quantile(log_mass: Array) -> Array:
    """The place below which the standard normal has this mass, however small."""
    common = ndtri(jnp.exp(log_mass))
    twice = -2 * jnp.minimum(log_mass, TAIL)
    place = -jnp.sqrt(twice - jnp.log(2 * math.pi * twice))
    for _ in range(2):  # steps of Newton's; the slope of log_ndtr is the ratio of density and mass
        log_slope = -0.5 * place**2 - 0.5 * math.log(2 * math.pi) - log_ndtr(place)
        place -= (log_ndtr(place) - jnp.minimum(log_mass, TAIL)) * jnp.exp(-log_slope)
    return jnp.where(log_mass < TAIL, place, common)
