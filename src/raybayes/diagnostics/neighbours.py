"""Precision, recall, density and coverage of draws: Naeem et al., arXiv 2002.09797."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from scipy.stats import chi2

from raybayes.array_types import Array, Ints
from raybayes.diagnostics.arrays import at_least, checked
from raybayes.diagnostics.style import BLUE, GREY

NAMES = ("precision", "recall", "density", "coverage")


def expected_coverage(n: int, m: int, k: int) -> float:
    """Of m draws over n of the same distribution: 1 - prod_{i=1..k} (n - i) / (m + n - i)."""
    i = np.arange(1, k + 1)
    return float(1 - np.prod((n - i) / (m + n - i)))


@dataclass(frozen=True)
class PRDC:
    """Attributes:
    precision: share of draws within a neighbourhood of the reference (radius: its k-th neighbour).
    recall: share of the reference within a neighbourhood of the draws.
    density: neighbourhoods of the reference around a draw, over k; 1 for identical distributions,
        more where the draws are too narrow.
    coverage: share of reference neighbourhoods that hold a draw.
    expected: of precision, recall, density and coverage for identical ones and these sizes; the
        last two in closed form, the first two over relabelled draws.
    p_value: of density and coverage together, over relabelled draws.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    expected: tuple[float, float, float, float]
    p_value: float

    def plot(self, ax: Any) -> None:
        """Each of the four beside its expectation for identical distributions."""
        places = np.arange(len(NAMES))
        ax.bar(places - 0.2, [getattr(self, n) for n in NAMES], 0.4, color=BLUE, label="found")
        ax.bar(places + 0.2, self.expected, 0.4, color=GREY, label="identical distributions")
        ax.set_xticks(places, NAMES)
        ax.set_title(f"p = {self.p_value:.2g}")
        ax.legend(loc="lower right")


def prdc(
    reference: ArrayLike, draws: ArrayLike, k: int = 5, trials: int = 100, seed: int = 0
) -> PRDC:
    """Compare draws with a reference by their nearest neighbours, in the reference's sd.

    Args:
        reference: [n, d].
        draws: [m, d].
        k: which neighbour gives a neighbourhood its radius.
        trials: relabellings of the joint sample, which make the p-value.
    """
    a = checked("reference", reference, "n", "d")
    b = checked("draws", draws, "m", a.shape[1])
    at_least("draws", min(len(a), len(b)), 2 * k, f"neighbourhoods reach to neighbour {k}")
    n, m = len(a), len(b)
    joint = np.concatenate([a, b]) / a.std(axis=0, ddof=1)
    distance = cdist(joint, joint)
    order = np.arange(n + m)
    found = _prdc(distance, order, n, k)
    rng = np.random.default_rng(seed)
    null = np.array([_prdc(distance, rng.permutation(order), n, k) for _ in range(trials)])
    closed = (1.0, expected_coverage(n, m, k))
    # Both statistics are means over many draws, hence nearly normal: Mahalanobis is chi^2 of 2.
    off = found[2:] - np.array(closed)
    distance2 = off @ np.linalg.solve(np.cov(null[:, 2:].T), off)
    means = null.mean(axis=0)
    precision, recall, density, coverage = (float(value) for value in found)
    expected = (float(means[0]), float(means[1]), *closed)
    return PRDC(precision, recall, density, coverage, expected, float(chi2.sf(distance2, 2)))


def _prdc(distance: Array, order: Ints, n: int, k: int) -> Array:
    """[4], with the first n of this order as the reference."""
    real, fake = order[:n], order[n:]
    across = distance[np.ix_(real, fake)]
    # A draw's nearest to itself is itself: number k of the others is number k from 0.
    real_radius = np.partition(distance[np.ix_(real, real)], k, axis=1)[:, k, None]
    fake_radius = np.partition(distance[np.ix_(fake, fake)], k, axis=1)[:, k]
    inside = across < real_radius
    return np.array(
        [
            inside.any(axis=0).mean(),
            (across < fake_radius).any(axis=1).mean(),
            inside.sum(axis=0).mean() / k,
            inside.any(axis=1).mean(),
        ]
    )
