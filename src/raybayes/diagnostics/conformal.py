"""Split-conformal calibration: intervals and regions that hold as often as they say.

Exact in finite samples, on average over observations: Romano et al., arXiv 1905.03222; for
highest-density regions Izbicki et al., arXiv 1910.05575. It mends coverage, not shape.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from raybayes.array_types import Array
from raybayes.diagnostics.arrays import at_least, checked
from raybayes.diagnostics.style import BLUE, GREY, ORANGE
from raybayes.errors import InputError


@dataclass(frozen=True)
class ConformalCalibration:
    """What intervals must be widened by to hold as often as they say.

    Attributes:
        level: that they should hold.
        before: [d], how often they held.
        margin: [d], to add at either end, in widths of the interval; below 0: they were too wide.
        n: pairs it was learned from.
    """

    level: float
    before: Array
    margin: Array
    n: int

    @property
    def p_value(self) -> Array:
        """[d]: of holding this often, if the intervals were calibrated."""
        held = np.round(self.before * self.n).astype(int)
        return np.array([binomtest(int(h), self.n, self.level).pvalue for h in held])

    @property
    def factor(self) -> Array:
        """[d]: how many times as wide the intervals become."""
        return 1 + 2 * self.margin

    def apply(self, low: ArrayLike, high: ArrayLike) -> tuple[Array, Array]:
        """Intervals [..., d] of the same level, calibrated."""
        a, b = np.asarray(low, np.float64), np.asarray(high, np.float64)
        reach = self.margin * (b - a)
        return a - reach, b + reach

    def plot(self, ax: Any) -> None:
        """How often each interval held, and what it must grow to."""
        places = np.arange(len(self.before))
        ax.axhline(self.level, color=ORANGE, label=f"level {self.level:.0%}")
        ax.bar(places - 0.2, self.before, 0.4, color=GREY, label="held before")
        ax.bar(places + 0.2, 1 + 2 * self.margin, 0.4, color=BLUE, label="width after / before")
        ax.set_xticks(places, [str(j + 1) for j in places])
        ax.set_xlabel("parameter")
        ax.legend(loc="lower right")


def conformal(
    theta: ArrayLike, low: ArrayLike, high: ArrayLike, level: float
) -> ConformalCalibration:
    """Learn from n fresh pairs how to calibrate intervals that should hold `level` of the truths.

    Args:
        theta, low, high: [n, d].

    Raises:
        InputError: an interval's low is not below its high, or too few pairs for the level.
    """
    values = checked("theta", theta, "n", "d")
    a, b = checked("low", low, *values.shape), checked("high", high, *values.shape)
    if not (a < b).all():
        raise InputError("an interval's low is not below its high; swap or mend them")
    n = len(values)
    beyond = np.maximum(a - values, values - b) / (b - a)
    margin = np.sort(beyond, axis=0)[_conservative(n, level)]
    return ConformalCalibration(level, (beyond <= 0).mean(axis=0), margin, n)


def conformal_hpd_level(rank: ArrayLike, levels: int, level: float) -> float:
    """The nominal level whose highest-density region holds at least `level` of the truths.

    Args:
        rank: [n], of `hpd(...)`: how many of the levels - 1 draws are denser than the truth.

    Returns:
        the share of draws that the region must hold; 1 where no region of the draws will do.
    """
    values = checked("rank", rank, "n")
    return float((np.sort(values)[_conservative(len(values), level)] + 1) / levels)


def _conservative(n: int, level: float) -> int:
    """Index of the ceil((n + 1) level)-th smallest of n scores (1905.03222, eq. 8)."""
    if not 0 < level < 1:
        raise InputError(f"level = {level}: an interval needs a level between 0 and 1")
    at_least("pairs", n, int(np.ceil(level / (1 - level))), f"a level of {level:g} needs more")
    return int(np.ceil((n + 1) * level)) - 1
