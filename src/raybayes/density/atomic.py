"""The loss of SNPE-C with atoms: Greenberg, Nonnenmacher and Macke, arXiv 1905.07488, sec. 3.2."""

from typing import Generic

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Key

from raybayes.density.ensemble import Q


class Atomic(eqx.Module, Generic[Q]):
    """A density fitted to pairs that were not drawn from the prior.

    Each pair comes with the theta of others: which of these atoms made x? The answer,
    (q(theta|x) / p(theta)) over its sum, does not depend on what proposed them.
    """

    density: Q

    def loss(
        self, z: Float[Array, "atoms d+1"], x: Float[Array, " size"], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """-log of the probability of the first atom, in nats.

        Args:
            z: of `with_atoms`: in its last column log p(z), which stands for the prior.
        """
        log_q = jax.vmap(lambda one: self.density.log_prob(one, x))(z[:, :-1])
        return -jax.nn.log_softmax(log_q - z[:, -1])[0]


def with_atoms(
    z: Float[np.ndarray, "n d"],
    log_p: Float[np.ndarray, " n"],
    atoms: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "n atoms d+1"]:
    """Each z first, then `atoms - 1` others, drawn evenly."""
    n = len(z)
    others = (np.arange(n)[:, None] + rng.integers(1, n, (n, atoms - 1))) % n
    rows = np.concatenate([np.arange(n)[:, None], others], axis=1)
    return np.concatenate([z, log_p[:, None]], axis=1)[rows].astype(np.float32)
