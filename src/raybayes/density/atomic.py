"""The loss of SNPE-C with atoms: Greenberg, Nonnenmacher and Macke, arXiv 1905.07488, sec. 3.2."""

from typing import Generic

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from raybayes.density.ensemble import Q


class Atomic(eqx.Module, Generic[Q]):
    """A density fitted to pairs that were not drawn from the prior.

    Each pair comes with the theta of others: which of these atoms made x? The answer,
    (q(theta|x) / p(theta)) over its sum, does not depend on what proposed them; but it does not fix
    nothing about mass where no atom lies. So pairs that the prior drew also have their plain
    likelihood ("combined loss" in `sbi`).
    """

    density: Q

    def loss(
        self, z: Float[Array, "atoms d+2"], x: Float[Array, " size"], key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """-log of the probability of the first atom, and -log q if the prior drew it, in nats.

        Args:
            z: of `with_atoms`: its last columns are log p(z) of the prior, and whether that drew z.
        """
        log_q = jax.vmap(lambda one: self.density.log_prob(one, x))(z[:, :-2])
        return -jax.nn.log_softmax(log_q - z[:, -2])[0] - z[0, -1] * log_q[0]


def with_atoms(
    z: Float[np.ndarray, "n d"],
    log_p: Float[np.ndarray, " n"],
    drawn: Bool[np.ndarray, " n"],
    rows: Int[np.ndarray, " k"],
    atoms: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "k atoms d+2"]:
    """The z of each row first, then `atoms - 1` of the others, drawn evenly.

    Args:
        log_p: of z under the prior.
        drawn: which of z the prior drew.
    """
    n = len(z)
    others = (rows[:, None] + rng.integers(1, n, (len(rows), atoms - 1))) % n
    compared = np.concatenate([rows[:, None], others], axis=1)
    return np.column_stack([z, log_p, drawn])[compared].astype(np.float32)
