"""Networks as trees of arrays: what is trained, what is stacked, what goes into a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from raybayes.errors import InputError


class Constants(eqx.Module):
    """What a density holds and training must not touch."""


def array32(values: ArrayLike) -> jax.Array:
    """Float32, for a network. Not by `jnp.asarray`: that compiles a program for every shape."""
    return jax.device_put(np.asarray(values, np.float32))


def trainable(density: Any) -> Any:
    """A filter for `equinox.partition`: True for weights, False for constants."""
    return jax.tree.map(
        lambda node: not isinstance(node, Constants) and eqx.is_inexact_array(node),
        density,
        is_leaf=lambda node: isinstance(node, Constants),
    )


def stack(modules: Sequence[Any]) -> Any:
    """One module whose arrays have a leading axis, from several of one structure."""
    arrays, static = zip(*(eqx.partition(m, eqx.is_array) for m in modules), strict=True)
    return eqx.combine(jax.tree.map(lambda *a: jax.device_put(np.stack(a)), *arrays), static[0])


def part(stacked: Any, i: int) -> Any:
    """Module i of a stack."""
    return jax.tree.map(
        lambda a: jax.device_put(np.asarray(a)[i]) if eqx.is_array(a) else a, stacked
    )


def arrays_of(tree: Any) -> dict[str, NDArray]:
    """The arrays of a tree by their number, for a file."""
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_array))
    return {str(i): np.asarray(leaf) for i, leaf in enumerate(leaves)}


def tree_of(arrays: Mapping[str, NDArray], like: Any, path: Path) -> Any:
    """The inverse of `arrays_of`: a tree of the structure of `like`.

    Raises:
        InputError: the arrays, which were read from `path`, are not those of such a tree.
    """
    dynamic, static = eqx.partition(like, eqx.is_array)
    leaves, structure = jax.tree.flatten(dynamic)
    shapes = {str(i): leaf.shape for i, leaf in enumerate(leaves)}
    if shapes != {name: array.shape for name, array in arrays.items()}:
        raise InputError(
            f"{path}: its arrays are not those of its network; another version of raybayes wrote "
            "it: use that one, or train again"
        )
    stored = [jax.device_put(arrays[name]) for name in shapes]
    return eqx.combine(jax.tree.unflatten(structure, stored), static)
