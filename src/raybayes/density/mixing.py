"""Linear maps between the layers of a flow: which coordinates see which."""

from typing import Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from raybayes.density.trees import Constants, array32


class Mixing(Protocol):
    """An invertible linear map of z [d]."""

    def forward(self, z: Float[Array, " d"]) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """The image of z and log |det|."""
        ...

    def inverse(self, v: Float[Array, " d"]) -> Float[Array, " d"]: ...


class Orthogonal(Constants):
    """A fixed rotation or permutation; log |det| is 0."""

    matrix: Float[Array, "d d"]

    def __init__(self, matrix: Float[np.ndarray, "d d"]) -> None:
        self.matrix = array32(matrix)

    def forward(self, z: Float[Array, " d"]) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        return self.matrix @ z, jnp.zeros((), z.dtype)

    def inverse(self, v: Float[Array, " d"]) -> Float[Array, " d"]:
        return self.matrix.T @ v


class _Fixed(Constants):
    value: Array


class LU(eqx.Module):
    """A trained linear map P L U with a shift, arXiv 1807.03039 sec. 3.2; starts at a given one."""

    order: _Fixed
    packed: Float[Array, "d d"]  # L below the diagonal, U above it
    signs: _Fixed  # of U's diagonal
    log_diagonal: Float[Array, " d"]
    shift: Float[Array, " d"]

    def __init__(self, start: Float[np.ndarray, "d d"]) -> None:
        p, lower, upper = scipy.linalg.lu(start)
        diagonal = np.diag(upper)
        self.order = _Fixed(array32(p))
        self.signs = _Fixed(array32(np.sign(diagonal)))
        packed = np.tril(lower, -1) + np.triu(upper, 1)
        self.packed = array32(packed)
        self.log_diagonal = array32(np.log(np.abs(diagonal)))
        self.shift = array32(np.zeros(len(start)))

    def _factors(self) -> tuple[Float[Array, "d d"], Float[Array, "d d"]]:
        lower = jnp.tril(self.packed, -1) + jnp.eye(len(self.shift), dtype=self.packed.dtype)
        diagonal = self.signs.value * jnp.exp(self.log_diagonal)
        return lower, jnp.triu(self.packed, 1) + jnp.diag(diagonal)

    def forward(self, z: Float[Array, " d"]) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        lower, upper = self._factors()
        return (self.order.value @ lower @ upper) @ z + self.shift, self.log_diagonal.sum()

    def inverse(self, v: Float[Array, " d"]) -> Float[Array, " d"]:
        lower, upper = self._factors()
        # The inverse matrix does not depend on v: under vmap it is solved once for all draws.
        half = jax.scipy.linalg.solve_triangular(lower, self.order.value.T, lower=True)
        return jax.scipy.linalg.solve_triangular(upper, half) @ (v - self.shift)


class ActNorm(eqx.Module):
    """Scale and shift of every coordinate, set so that a first batch has mean 0 and variance 1."""

    log_scale: Float[Array, " d"]
    shift: Float[Array, " d"]

    def __init__(self, dim: int) -> None:
        self.log_scale, self.shift = array32(np.zeros(dim)), array32(np.zeros(dim))

    def fitted(self, z: Float[Array, "n d"]) -> "ActNorm":
        """A copy that standardises these z."""
        log_scale = -jnp.log(jnp.std(z, axis=0) + 1e-6)
        fields = (log_scale, -z.mean(axis=0) * jnp.exp(log_scale))
        return eqx.tree_at(lambda norm: (norm.log_scale, norm.shift), self, fields)

    def forward(self, z: Float[Array, " d"]) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        return z * jnp.exp(self.log_scale) + self.shift, self.log_scale.sum()

    def inverse(self, v: Float[Array, " d"]) -> Float[Array, " d"]:
        return (v - self.shift) * jnp.exp(-self.log_scale)


def rotation(dim: int, rng: np.random.Generator) -> Float[np.ndarray, "d d"]:
    """A random rotation, uniform over the group up to sign."""
    q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
    return q * np.sign(np.diag(r))


def permutation(dim: int, changed: int, rng: np.random.Generator) -> Float[np.ndarray, "d d"]:
    """A random permutation that brings the coordinates not changed last to the front.

    So every coordinate changes at least once in any two layers, where plain random ones may
    leave some alone through a whole flow.
    """
    kept = changed + rng.permutation(dim - changed)
    return np.eye(dim)[np.concatenate([kept, rng.permutation(changed)])]
