"""How wide a weighted sample is: rms, full width at half maximum, encircled widths.

The full width at half maximum is that of a density estimate (`Profile`), not of a histogram with
bins of the whole spread: a halo, however wide, moves no bin, and more rays make it more exact and
nothing else. The kernel is the normal one of fourth order (Wand and Jones, "Kernel Smoothing",
1995, 2.8), whose bias is that of the curvature's square; its bandwidth follows from the width
that is found and from how many rays are in it, so it is solved for, from wide to narrow.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import fft

from raybayes.array_types import Array

LOOK = 1 << 16  # of the rays, that the bins are chosen by
CORE = 0.1  # of the weight: the narrowest part that holds it sets the bins' width
FINE = 64  # bins in that part
MOST_BINS = 1 << 20
TAIL = 1e-3  # of the weight on each side: where the bins end, and a margin
KERNEL = 0.5  # of the width at half maximum, over n^(1/5): the kernel's sd
NARROW = 2.0  # bins: a kernel's sd is no smaller
STEPS = 30
CURVE = 400  # points of a curve to draw
SAME = 1e-9  # of the range: values that differ by less are one line


@dataclass(frozen=True)
class Profile:
    """A density estimate of a weighted sample, where it is above half of its maximum, and near.

    Attributes:
        fwhm: from the first to the last place at half maximum.
        half: these two places.
        parts: how many intervals lie above half maximum; 1, or more for a beam of separate peaks.
        level: half of the maximum, as a share of the weight per unit.
        places, density: [m] the curve.
    """

    fwhm: float
    half: tuple[float, float]
    parts: int
    level: float
    places: Array
    density: Array


class _Bins(NamedTuple):
    """Weights and their squares in bins of equal width.

    start: the first bin's middle; width: of a bin; core: of the part that holds half of the
    weight, in bins.
    """

    weights: Array
    squares: Array
    start: float
    width: float
    core: float


def rms(values: Array, weights: Array) -> float:
    """Weighted standard deviation."""
    centre = np.average(values, weights=weights)
    return float(np.sqrt(np.average((values - centre) ** 2, weights=weights)))


def encircled(values: Array, weights: Array, shares: tuple[float, ...] = (0.5, 0.9)) -> Array:
    """[shares]: the widths around the centroid that hold these shares of the weight."""
    off = np.abs(values - np.average(values, weights=weights))
    if weights.min() == weights.max():
        return 2 * np.quantile(off, shares)
    return 2 * np.quantile(off, shares, weights=weights, method="inverted_cdf")


def fwhm(values: Array, weights: Array) -> float:
    """Full width at half maximum; 0 where all is one line."""
    return profile(values, weights).fwhm


def profile(values: Array, weights: Array) -> Profile:
    """The density estimate of values [n] with weights [n]; of lines, the lines.

    `fwhm` reaches from the first to the last place at half maximum, across a gap between peaks.
    """
    look, share = _look(values, weights)
    lines, mass = _lines(look, share)
    if len(lines) <= max(1.0, np.sqrt(len(look))):
        return _of_lines(lines, mass)
    bins = _binned(values, weights, look, share)
    return _at_half(bins, _smooth(bins))


def _look(values: Array, weights: Array) -> tuple[Array, Array]:
    """Some of the rays, sorted; drawn by chance, since rays of a matrix source repeat."""
    if len(values) > LOOK:
        some = np.random.default_rng(0).integers(len(values), size=LOOK)
        values, weights = values[some], weights[some]
    keep = weights > 0
    values, weights = values[keep], weights[keep]
    order = np.argsort(values)
    return values[order], weights[order] / weights.sum()


def _lines(look: Array, share: Array) -> tuple[Array, Array]:
    """The different values, apart from rounding, and their weights."""
    rounding = 1e-14 * np.abs(look).max()
    new = np.append(True, np.diff(look) > max(SAME * np.ptp(look), rounding))
    return look[new], np.add.reduceat(share, np.flatnonzero(new))


def _of_lines(lines: Array, mass: Array) -> Profile:
    """Separate lines, or one: from the first to the last of at least half the highest."""
    high = lines[mass >= mass.max() / 2]
    ends = float(high[0]), float(high[-1])
    return Profile(ends[1] - ends[0], ends, len(high), float(mass.max() / 2), lines, mass)


def _binned(values: Array, weights: Array, look: Array, share: Array) -> _Bins:
    """Bins over all of the weight but its last thousandths, fine enough for the narrowest core."""
    below = np.cumsum(share)
    ends = np.searchsorted(below, (TAIL, 1 - TAIL))
    low, high = look[np.minimum(ends, len(look) - 1)].tolist()
    margin = (high - low) / 2
    low, high = max(low - margin, float(look[0])), min(high + margin, float(look[-1]))
    width = max(_narrowest(look, share, CORE) / FINE, (high - low) / MOST_BINS)
    pad = FINE  # empty bins at both ends, so that an edge falls through half maximum
    count = int(np.ceil((high - low) / width)) + 2 * pad + 1
    start = low - pad * width
    index = np.rint((values - start) / width)
    inside = (index >= 0) & (index < count)
    index, weights = index[inside].astype(np.int64), weights[inside]
    counts = [np.bincount(index, w, count).astype(np.float64) for w in (weights, weights**2)]
    core = _narrowest(look, share, 0.5) / width
    return _Bins(counts[0], counts[1], start, width, core)


def _narrowest(look: Array, share: Array, least: float) -> float:
    """The width of the narrowest interval of `least` of the weight, or of more if that is 0."""
    below = np.cumsum(share)
    for part in (least, 0.5, 0.9):
        ends = np.searchsorted(below, below - share + part)
        inside = ends < len(look)
        found = float((look[ends[inside]] - look[inside]).min())
        if found > 0:
            return found
    return float(np.ptp(look))


def _smooth(bins: _Bins) -> Array:
    """The bins after the kernel; its sd, from wide to narrow, until the width stands still."""
    sd = max(KERNEL * bins.core, NARROW)
    count = len(bins.weights)
    # Twice as long, so that the end does not leak into the beginning; 2 * n is even.
    spectrum = fft.rfft(bins.weights, 2 * fft.next_fast_len(count))
    for _ in range(STEPS):
        density = _filtered(spectrum, sd, count)
        above = density >= density.max() / 2
        wide = above.sum() / _runs(above)  # of one part: a gap between peaks is no width
        rays = bins.weights[above].sum() ** 2 / max(bins.squares[above].sum(), 1e-300)
        new = max(KERNEL * wide * max(rays, 1.0) ** -0.2, NARROW)
        if abs(new - sd) < 0.01 * sd:
            break
        sd = new
    return density


def _filtered(spectrum: Array, sd: float, count: int) -> Array:
    """Smoothed by K(u) = (3 - u^2) / 2 phi(u), whose transform is (1 + w^2 / 2) exp(-w^2 / 2)."""
    squares = (2 * np.pi * sd * np.fft.rfftfreq(2 * len(spectrum) - 2)) ** 2
    return fft.irfft(spectrum * (1 + squares / 2) * np.exp(-squares / 2))[:count]


def _runs(above: Array) -> int:
    """How many intervals of true there are."""
    return int((np.diff(above.astype(np.int8), prepend=0) == 1).sum())


def _at_half(bins: _Bins, density: Array) -> Profile:
    """Read off the width; the curve to draw reaches one width further on both sides."""
    half = density.max() / 2
    above = density >= half
    first, last = np.flatnonzero(above)[[0, -1]]
    ends = tuple(
        bins.start + bins.width * _crossing(density, i, step, half)
        for i, step in ((first, -1), (last, 1))
    )
    reach = max(2 * (last - first), FINE)
    drawn = np.linspace(max(first - reach, 0), min(last + reach, len(density) - 1), CURVE)
    curve = np.interp(drawn, np.arange(len(density)), density)
    unit = bins.weights.sum() * bins.width
    return Profile(
        fwhm=float(ends[1] - ends[0]),
        half=(float(ends[0]), float(ends[1])),
        parts=_runs(above),
        level=float(half / unit),
        places=bins.start + bins.width * drawn,
        density=curve / unit,
    )


def _crossing(density: Array, i: int, step: int, half: float) -> float:
    """Where the density falls through `half` beyond bin i, in the direction of `step`."""
    outside = density[i + step] if 0 <= i + step < len(density) else 0.0
    return float(i + step * (density[i] - half) / (density[i] - outside))
