"""Modes of one parameter's marginal: a mean between two of them is where no draw lies."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import gaussian_kde

from raybayes.array_types import Array

LEAST = 0.05  # of the draws, in a mode that is told
VALLEY = 0.5  # of the lower peak's density: a valley below that parts two modes
GRID = 400
SHARP = 0.5  # of Scott's width, which is for one mode


@dataclass(frozen=True)
class MarginalMode:
    """A part of a marginal, between valleys.

    Attributes:
        share: of the draws.
        mean, sd: of the draws in it; low, high: their central 68 %.
    """

    share: float
    mean: float
    sd: float
    low: float
    high: float


def marginal_modes(draws: Array, apart: float = 0.0) -> tuple[MarginalMode, ...]:
    """The modes of draws [n] of one parameter, the heaviest first; one where no valley is deep.

    Args:
        apart: the least distance between two modes, in the parameter's unit.
    """
    spread = np.ptp(draws)
    if spread == 0:
        return (MarginalMode(1.0, float(draws[0]), 0.0, float(draws[0]), float(draws[0])),)
    kernel = gaussian_kde(draws, lambda kde: SHARP * kde.scotts_factor())
    grid = np.linspace(draws.min(), draws.max(), GRID)
    cuts = _valleys(grid, kernel(grid))
    parts = np.split(np.sort(draws), np.searchsorted(np.sort(draws), cuts))
    told = [part for part in parts if len(part) >= LEAST * len(draws)]
    if len(told) < 2:
        told = [draws]
    modes = [_mode(part, len(draws)) for part in told]
    if len(modes) > 1 and min(np.diff([mode.mean for mode in modes])) < apart:
        modes = [_mode(draws, len(draws))]
    return tuple(sorted(modes, key=lambda mode: -mode.share))


def _mode(part: Array, n: int) -> MarginalMode:
    low, high = np.quantile(part, [0.16, 0.84])
    return MarginalMode(len(part) / n, *map(float, (part.mean(), part.std(), low, high)))


def _valleys(grid: Array, density: Array) -> list[float]:
    """Where the density is below VALLEY of both the highest peaks to its left and right."""
    left = np.maximum.accumulate(density)
    right = np.maximum.accumulate(density[::-1])[::-1]
    deep = density < VALLEY * np.minimum(left, right)
    runs = np.flatnonzero(np.diff(np.concatenate([[0], deep.astype(int), [0]])))
    pairs = runs.reshape(-1, 2)
    return [float(grid[a + int(density[a:b].argmin())]) for a, b in pairs]
