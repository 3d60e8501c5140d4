"""Muon: an optimiser whose updates of matrices are orthogonal, beside AdamW for the rest."""

from typing import Any

import jax
import optax
from optax.contrib import MuonDimensionNumbers

RMS = 0.2  # of Muon's updates, that of AdamW's, so that one learning rate does (arXiv 2502.16982)
ORTHOGONAL = 4  # iterations that make an update so; scaled first by rows (arXiv 2512.04632)
MATRICES = ("weight", "known")  # of `Dense` and `Conditioner`
SMALLEST = 8  # side of a matrix that Muon takes; AdamW takes the rest


def muon(schedule: optax.Schedule, decay: float) -> optax.GradientTransformation:
    """Of a schedule of learning rates, and a decay of weights."""
    return optax.contrib.muon(
        schedule,
        weight_decay=decay,
        adam_weight_decay=decay,
        consistent_rms=RMS,
        ns_steps=ORTHOGONAL,
        preconditioning="aol",
        muon_weight_dimension_numbers=matrices,
    )


def matrices(params: Any) -> Any:
    """Which weights Muon makes orthogonal: matrices, also those of layers stacked on an axis."""

    def one(path: tuple[Any, ...], leaf: jax.Array) -> MuonDimensionNumbers | None:
        # By name: the biases of layers that are stacked have two axes, too.
        matrix = getattr(path[-1], "name", "") in MATRICES
        if not matrix or min(leaf.shape[-2:]) < SMALLEST:
            return None
        return MuonDimensionNumbers(leaf.ndim - 1, leaf.ndim - 2)

    return jax.tree_util.tree_map_with_path(one, params)
