"""Several densities as one: an equal mixture, arXiv 1612.01474."""

import math
from typing import Generic, Protocol, TypeVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key


class Density(Protocol):
    """q(z | x) on R^d, one z and one x at a time."""

    def log_prob(self, z: Float[Array, " d"], x: Float[Array, " size"]) -> Float[Array, ""]:
        """log q(z | x) in nats."""

    def sample(self, x: Float[Array, " size"], key: Key[Array, ""], n: int) -> Float[Array, "n d"]:
        """n draws of z given one x."""

    def loss(
        self, z: Float[Array, " d"], x: Float[Array, " size"], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """What training makes small in the mean over pairs."""
        ...


Q = TypeVar("Q", bound=Density)


class Ensemble(eqx.Module, Generic[Q]):
    """M members of one structure in one module, whose arrays have a leading axis of M."""

    members: Q
    count: int = eqx.field(static=True)

    def log_prob(self, z: Float[Array, " d"], x: Float[Array, " size"]) -> Float[Array, ""]:
        """Of the mixture."""
        each = eqx.filter_vmap(lambda member: member.log_prob(z, x))(self.members)
        return jax.nn.logsumexp(each) - math.log(self.count)

    def sample(self, x: Float[Array, " size"], key: Key[Array, ""], n: int) -> Float[Array, "n d"]:
        """n draws, the same number from each member as far as n allows, in random order."""
        key, order = jax.random.split(key)
        share = -(-n // self.count)
        draws = eqx.filter_vmap(lambda member, k: member.sample(x, k, share))(
            self.members, jax.random.split(key, self.count)
        )
        return jax.random.permutation(order, draws.reshape(share * self.count, -1))[:n]

    def loss(
        self, z: Float[Array, " d"], x: Float[Array, " size"], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """Mean of the members' own losses: they are fitted side by side, not as a mixture."""
        keys = jax.random.split(key, self.count)
        each = eqx.filter_vmap(lambda member, k: member.loss(z, x, k))(self.members, keys)
        return each.mean()
