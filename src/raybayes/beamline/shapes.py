"""Figures of optical surfaces, of mirrors and of gratings alike, as numbers of a row."""

import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array
from raybayes.beamline.model import Element
from raybayes.beamline.placement import Walk
from raybayes.optics.rows import KIND, PLANE, QUADRIC, SURFACE, TOROID

A11, A22, A33, A12, A13, A23, A14, A24, A34, A44 = range(SURFACE, SURFACE + 10)
COEFFICIENTS = ("A11", "A22", "A33", "A12", "A13", "A23", "A14", "A24", "A34", "A44")


def plane(row: Array) -> None:
    """A plane."""
    row[:, KIND] = PLANE


def curved(row: Array, radius: ArrayLike, *along: int) -> None:
    """A sphere or a cylinder through the origin: `along` are the squares besides a22."""
    row[:, KIND] = QUADRIC
    row[:, [A22, *along]] = 1
    row[:, A24] = -np.asarray(radius)


def torus(row: Array, long_: ArrayLike, short: ArrayLike) -> None:
    """A torus of two radii, mm."""
    row[:, KIND] = TOROID
    row[:, SURFACE], row[:, SURFACE + 1] = long_, short


def radius_of(walk: Walk, element: Element, id_: str, rule: ArrayLike) -> Array:
    """A radius from the file or from `rule`; not zero."""
    walk.derived[element.name][id_] = np.asarray(rule)
    radius = walk.values.derived(element, id_, rule)
    good = np.isfinite(radius) & (radius != 0)
    walk.values.check(element, id_, good, "a radius is finite and not zero; check the arm lengths")
    return radius
