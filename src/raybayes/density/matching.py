"""Conditional flow matching: an ordinary differential equation carries N(0, I) to q(z | x)."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from raybayes.density.embeddings import Embedding
from raybayes.density.layers import Conditioner

LEAST = 1e-4  # width that a point keeps at t = 1
WAVES = 4  # of the time that the network sees, besides the time itself
TOLERANCE = 1e-5  # of the solver, per unit of z and of log q
MAX_STEPS = 4096


class Matching(eqx.Module):
    """dz/dt = v(z, t, c) from t = 0 to 1, arXiv 2210.02747 and 2305.17161.

    v is regressed on the velocity z_1 - (1 - s) z_0 of straight paths from noise z_0 to a pair's
    z_1, at z_t = (1 - (1 - s) t) z_0 + t z_1 with s = 1e-4. log q follows from the divergence of
    v, which is exact: d directional derivatives.

    Attributes:
        power: t ~ p(t) proportional to t^(1 / (1 + power)), arXiv 2305.17161 sec. 3.3: above -1;
            0 puts more weight on late times, where a narrow posterior takes shape.
    """

    embedding: Embedding
    velocity: Conditioner
    dim: int = eqx.field(static=True)
    power: float = eqx.field(static=True)

    def context(self, x: Float[Array, " size"]) -> Float[Array, " width"]:
        """What the network makes of x alone."""
        return self.velocity.context(self.embedding(x))

    def slope(
        self, t: Float[Array, ""], z: Float[Array, " d"], h: Float[Array, " width"]
    ) -> Float[Array, " d"]:
        """v(z, t | x): what carries N(0, I) to itself, plus the network."""
        shrink = 1 - (1 - LEAST) * t
        at_rest = (t - (1 - LEAST) * shrink) / (shrink**2 + t**2)
        angles = math.pi * t * jnp.arange(1, WAVES + 1, dtype=t.dtype)
        times = jnp.concatenate([t[None], jnp.cos(angles), jnp.sin(angles)])
        return at_rest * z + self.velocity(jnp.concatenate([z, times]), h)

    def sample(self, x: Float[Array, " size"], key: Key[Array, ""], n: int) -> Float[Array, "n d"]:
        """n draws of z given one x."""
        h = self.context(x)

        def carried(start: Float[Array, " d"]) -> Float[Array, " d"]:
            return _solved(lambda t, z, _: self.slope(t, z, h), 0.0, 1.0, start)

        return jax.vmap(carried)(jax.random.normal(key, (n, self.dim)))

    def log_prob(self, z: Float[Array, " d"], x: Float[Array, " size"]) -> Float[Array, ""]:
        """log q(z | x) in nats: back to t = 0, with the integral of the divergence on the way."""
        h = self.context(x)

        def both(t: Float[Array, ""], state: tuple[Array, Array], _: object) -> tuple[Array, Array]:
            slope, pushed = jax.linearize(lambda one: self.slope(t, one, h), state[0])
            return slope, jnp.trace(jax.vmap(pushed)(jnp.eye(self.dim, dtype=z.dtype)))

        base, divergence = _solved(both, 1.0, 0.0, (z, jnp.zeros((), z.dtype)))
        return divergence - 0.5 * (base @ base) - 0.5 * self.dim * math.log(2 * math.pi)

    def loss(
        self, z: Float[Array, " d"], x: Float[Array, " size"], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """Squared error of the velocity at a random time and noise."""
        first, second = jax.random.split(key)
        t = jax.random.uniform(first, (), z.dtype) ** ((1 + self.power) / (2 + self.power))
        start = jax.random.normal(second, z.shape, z.dtype)
        between = (1 - (1 - LEAST) * t) * start + t * z
        error = self.slope(t, between, self.context(x)) - (z - (1 - LEAST) * start)
        return error @ error


def _solved(slope, start, end, state):  # type: ignore[no-untyped-def]
    """The state at `end`, by an adaptive Runge-Kutta method of fifth order."""
    # Slow to load, and few networks are of this kind.
    from diffrax import ODETerm, PIDController, SaveAt, Tsit5, diffeqsolve

    step = math.copysign(0.05, end - start)
    solution = diffeqsolve(
        ODETerm(slope), Tsit5(), start, end, step, state, saveat=SaveAt(t1=True),
        stepsize_controller=PIDController(rtol=TOLERANCE, atol=TOLERANCE), max_steps=MAX_STEPS,
    )  # fmt: skip
    return jax.tree.map(lambda a: a[0], solution.ys)
