"""A trained density as data that a page runs without any server: see pages/flow.js.

The description mirrors the modules of `density`, kind by kind and field by field; only what does
not change with x or z is worked out here (inverse matrices).
"""

import base64
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import equinox as eqx
import jax
import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array, Array32
from raybayes.density.ensemble import Ensemble
from raybayes.density.flow import Flow
from raybayes.density.mixing import LU, Orthogonal
from raybayes.density.rnade import Rnade
from raybayes.density.standardised import Standardised
from raybayes.density.trees import part
from raybayes.inference.posterior import Posterior
from raybayes.observations.options import Target
from raybayes.prior import EDGE

QUANTILES = 4097  # entries of that table; linear between: good to 1e-6 of a prior's width


class Weights:
    """Arrays one after the other in one float32 buffer."""

    def __init__(self) -> None:
        self.parts: list[Array32] = []
        self.length = 0

    def add(self, array: ArrayLike) -> dict[str, object]:
        """Where the array stands: its first number and its shape."""
        values = np.asarray(array, np.float32)
        at, self.length = self.length, self.length + values.size
        self.parts.append(values.ravel())
        return {"at": at, "shape": list(values.shape)}

    def text(self) -> str:
        """Little-endian, base64."""
        return base64.b64encode(np.concatenate(self.parts).astype("<f4").tobytes()).decode()


def obstacle(posterior: Posterior) -> str:
    """Why a page cannot run this posterior; empty where it can."""
    members = [member.density for member in posterior.members]
    known = (Flow, Rnade)
    if not all(isinstance(d, Standardised) and isinstance(d.density, known) for d in members):
        return (
            f"The density of this study ({posterior.config.kind}) does not run in a browser; "
            "use `raybayes infer`."
        )
    return ""


def described(
    posterior: Posterior,
    units: Sequence[str],
    targets: Sequence[Target],
    typical: Array,
) -> dict[str, Any]:
    """All that a page needs to draw from the posterior.

    Args:
        targets: what each setting reads.
        typical: [n, size] observations; what is further from their mean than any of them is
            reported as unlike the study. The first is offered as an example.
    """
    weights = Weights()
    prior = posterior.prior
    at = np.linspace(-EDGE, EDGE, QUANTILES)
    quantiles = prior.from_real(np.tile(at[:, None], (1, prior.dim)))
    first: Any = posterior.members[0].density
    far = np.sqrt(
        (np.asarray(jax.vmap(first.features)(typical.astype(np.float32))) ** 2).mean(axis=1)
    )
    return {
        "density": _tree(posterior.density, weights),
        "base": first.density.base,
        "names": list(prior.names),
        "units": list(units),
        "reach": EDGE,
        # float32 holds 7 digits: of the range, not of the parameter
        "quantiles": weights.add((quantiles - quantiles[0]).T),
        "lowest": quantiles[0].tolist(),
        "low": np.asarray(getattr(prior, "low", quantiles[0])).tolist(),
        "high": np.asarray(getattr(prior, "high", quantiles[-1])).tolist(),
        "size": posterior.size,
        "settings": [
            {
                "label": t.name,
                "reads": t.reads,
                "size": t.size,
                "edges": [edge.tolist() for edge in t.edges],
            }
            for t in targets
        ],
        "farthest": float(far.max()),
        "example": np.round(typical[0], 3).tolist(),
        "weights": weights.text(),
    }


def _tree(value: Any, weights: Weights) -> Any:
    """A module as its kind and fields, an array as its place; all else as it is."""
    if isinstance(value, eqx.Module):
        return {"module": type(value).__name__, **_fields(value, weights)}
    if eqx.is_array(value):
        return weights.add(value)
    if isinstance(value, tuple | list):
        return [_tree(item, weights) for item in value]
    return value


def _fields(module: eqx.Module, weights: Weights) -> dict[str, Any]:
    if isinstance(module, Ensemble):
        members = [part(module.members, i) for i in range(module.count)]
        return {"members": _tree(members, weights)}
    if isinstance(module, Flow):
        depth = jax.tree.leaves(eqx.filter(module.layers, eqx.is_array))[0].shape[0]
        layers = [part(module.layers, i) for i in range(depth)]
        return {"embedding": _tree(module.embedding, weights), "layers": _tree(layers, weights)}
    if isinstance(module, Orthogonal | LU):
        return _inverse(module, weights)
    return {f.name: _tree(getattr(module, f.name), weights) for f in fields(module)}


def _inverse(mixing: Orthogonal | LU, weights: Weights) -> dict[str, Any]:
    """z = matrix (v - shift)."""
    if isinstance(mixing, Orthogonal):
        matrix, shift = np.asarray(mixing.matrix).T, np.zeros(len(mixing.matrix))
    else:
        lower, upper = (np.asarray(factor, np.float64) for factor in mixing._factors())
        matrix = np.linalg.inv(np.asarray(mixing.order.value) @ lower @ upper)
        shift = np.asarray(mixing.shift)
    return {"matrix": weights.add(matrix), "shift": weights.add(shift)}
