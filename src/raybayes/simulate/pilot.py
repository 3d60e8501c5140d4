"""Where at the source the light comes from that arrives: importance sampling by a pilot.

A separable density of the unit cube, one grid per column, each cell of a grid equally likely and
narrow where light comes from (Lepage 1978, "A new algorithm for adaptive multidimensional
integration"). A tenth of each column's density stays uniform, so that what the pilot missed is
still sampled, with the weight that it has: no light is lost by a wrong guess.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from raybayes.array_types import Array

COLUMNS = 5  # of the unit cube: x, y, x', y', energy
CELLS = 64
UNIFORM = 0.1  # of each column's density
ROUNDS = 4
KNOWN = 32  # points' worth of light, from which a density can be told
EFFICIENT = 0.5  # of the rays' light arrives evenly: nothing to gain


@dataclass(frozen=True)
class Grid:
    """edges: [COLUMNS, CELLS + 1], rising from 0 to 1; all cells of a column are equally likely."""

    edges: Array

    @classmethod
    def uniform(cls) -> "Grid":
        """The cube as it is."""
        return cls(np.tile(np.linspace(0.0, 1.0, CELLS + 1), (COLUMNS, 1)))

    def moved(self, points: Array) -> tuple[Array, Array]:
        """Points [n, >= COLUMNS] of the unit cube to where the light is; and their weights [n]."""
        moved, weights = points.copy(), np.ones(len(points))
        for c, edges in enumerate(self.edges):
            place = points[:, c] * CELLS
            cell = np.minimum(place.astype(np.int64), CELLS - 1)
            width = np.diff(edges)[cell]
            moved[:, c] = edges[cell] + (place - cell) * width
            weights *= CELLS * width
        return np.clip(moved, 2.0**-53, 1 - 2.0**-53), weights

    def refined(self, moved: Array, light: Array) -> "Grid":
        """Narrower cells where points [n, >= COLUMNS] of this grid brought light [n]."""
        finer = np.empty_like(self.edges)
        for c, edges in enumerate(self.edges):
            found = np.histogram(moved[:, c], edges, weights=light)[0]
            share = (1 - UNIFORM) * _smooth(found) / found.sum() + UNIFORM * np.diff(edges)
            cumulated = np.concatenate(([0.0], np.cumsum(share)))
            finer[c] = np.interp(np.linspace(0, 1, CELLS + 1), cumulated / cumulated[-1], edges)
        finer[:, 0], finer[:, -1] = 0.0, 1.0
        return Grid(finer)


def _smooth(found: Array) -> Array:
    """Each cell's light averaged with its neighbours', as few points fall in each."""
    padded = np.concatenate((found[:1], found, found[-1:]))
    return np.asarray((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4)


def pilot(points: Array, light_of: Callable[[Array, Array], Array]) -> Grid:
    """The grid of points [n, >= COLUMNS] from which the light comes at some theta.

    Args:
        light_of: points [n, .] and weights [n] -> [theta, n], the light of each that arrives.
    """
    grid = Grid.uniform()
    for _ in range(ROUNDS):
        moved, weights = grid.moved(points)
        light = light_of(moved, weights)
        light = light[light.sum(axis=1) > 0]
        if not len(light):
            return grid
        share = light / light.sum(axis=1, keepdims=True)
        worth = 1 / (share**2).sum(axis=1).max()
        common = share.sum(axis=0)
        known = common.sum() ** 2 / (common**2).sum()
        if worth > EFFICIENT * light.shape[1] or known < KNOWN:
            return grid
        grid = grid.refined(moved, common)
    return grid
