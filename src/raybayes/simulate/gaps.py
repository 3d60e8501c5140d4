"""Bins without a reading, at random: what a network must have seen to be asked about such data.

Dead pixels, the gaps between a camera's modules, parts that are masked: their bins are NaN. Where
they will lie is not known when a network learns, so in training they lie anywhere.
"""

import numpy as np

from raybayes.array_types import Array, Bools
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import Detectors

RUNS = 3  # gaps of a profile or an image, at most
LONGEST = 0.4  # of a profile or an image's side: one gap
MOST = 0.5  # of an exposure's readings: all gaps together, in training and in a measurement


def with_gaps(detectors: Detectors, x: Array, share: float, rng: np.random.Generator) -> Array:
    """A copy of readings x [n, size] of which `share` of the rows have gaps.

    Gaps' lengths are log-uniform from one bin on, so that single columns are as common as modules'
    edges; of an image they are rectangles, half of them from one side to the other.
    """
    if share == 0:
        return x  # without a random number: studies without gaps train as they always have
    chosen = rng.random(len(x)) < share
    masks = [_gaps(detector, int(chosen.sum()), rng) for detector in detectors.each]
    found = np.array(x, np.float64)
    found[chosen] = np.where(np.concatenate(masks, axis=1), np.nan, found[chosen])
    return found


def _gaps(detector: Detector, n: int, rng: np.random.Generator) -> Bools:
    """[n, size]: True where there is no reading; at most MOST of each exposure."""
    if detector.reads == "profiles":
        each = [_together(_runs(n, bins, rng), rng) for bins in detector.bins]
        return np.concatenate(each, axis=1)
    columns, rows = (_runs(n, bins, rng) for bins in detector.bins)
    through = rng.integers(4, size=(n, RUNS, 1))  # 0: over all columns, 1: over all rows
    columns, rows = columns | (through == 0), rows | (through == 1)
    seen = (rows[..., :, None] & columns[..., None, :]).reshape(n, RUNS, -1)
    return _together(seen, rng)


def _runs(n: int, bins: int, rng: np.random.Generator) -> Bools:
    """[n, RUNS, bins]: one gap each; some reach over an end, as those beside the camera do."""
    longest = max(LONGEST * bins, 1.0)
    length = np.exp(rng.uniform(0, np.log(longest + 1), (n, RUNS, 1))).astype(int)
    start = np.floor(rng.uniform(1 - length, np.full_like(length, max(bins, 1))))
    place = np.arange(bins)
    return np.asarray((place >= start) & (place < start + length))


def _together(gaps: Bools, rng: np.random.Generator) -> Bools:
    """[n, bins] of gaps [n, RUNS, bins]: none to all of them, as many as leave enough readings."""
    number = rng.integers(RUNS + 1, size=(len(gaps), 1, 1))
    gaps = gaps & (np.arange(RUNS)[:, None] < number)
    together = np.logical_or.accumulate(gaps, axis=1)
    count = together.sum(axis=2, keepdims=True)
    allowed = together & (count <= MOST * gaps.shape[2])
    return np.asarray(allowed.any(axis=1))
