"""Importance sampling of the source: the same integral, from where the light comes."""

import numpy as np
from scipy.stats import qmc

from raybayes.simulate.pilot import CELLS, COLUMNS, Grid, pilot


def slit(points):
    """Light of a narrow slanted slit: 1 % of the cube, at a corner of two columns."""
    return ((points[:, 4] < 0.1) & (points[:, 0] > 0.8)).astype(float) * np.exp(-3 * points[:, 1])


def light_of(points, weights):
    return (weights * slit(points))[None]


EXACT = 0.1 * 0.2 * (1 - np.exp(-3)) / 3
CUBE = qmc.Sobol(COLUMNS, rng=np.random.default_rng(0)).random(4096)


def test_weights_keep_the_integral_and_light_comes_from_most_points():
    grid = pilot(CUBE, light_of)
    fresh = qmc.Sobol(COLUMNS, rng=np.random.default_rng(1)).random(4096)
    moved, weights = grid.moved(fresh)
    assert weights.mean() == np.float64(weights.mean()) and abs(weights.mean() - 1) < 0.05
    light = light_of(moved, weights)[0]
    assert abs(light.mean() / EXACT - 1) < 0.01
    assert (light > 0).mean() > 0.5 > 20 * (slit(fresh) > 0).mean()


def test_where_most_light_arrives_points_stay():
    grid = pilot(CUBE, lambda points, weights: (weights * (points[:, 0] < 0.9))[None])
    moved, weights = grid.moved(CUBE)
    assert np.array_equal(moved, np.clip(CUBE, 2.0**-53, 1 - 2.0**-53)) and (weights == 1).all()


def test_no_light_leaves_the_cube():
    grid = pilot(CUBE, lambda points, weights: np.zeros((2, len(points))))
    assert np.array_equal(grid.edges, Grid.uniform().edges)


def test_cells_of_a_grid_are_equally_likely():
    """A tenth of each column's density stays uniform: no cell is wider than ten uniform ones."""
    grid = pilot(CUBE, light_of)
    widths = np.diff(grid.edges, axis=1)
    assert (widths > 0).all() and widths.max() < 10.5 / CELLS
