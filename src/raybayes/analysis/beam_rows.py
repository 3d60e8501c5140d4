"""The measured beam in a few numbers, beside those that the posterior predicts."""

from typing import Any

import numpy as np

from raybayes.analysis.beam_alarms import beam_summaries
from raybayes.array_types import Array
from raybayes.observations.frames import SIDES
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import Detectors

BAND = (0.05, 0.5, 0.95)  # of the predicted readings


def beam_rows(detectors: Detectors, x: Array, predicted: Array) -> list[dict[str, Any]]:
    """Rows of setting, name, unit, the measured number, and the predicted median and 90 % band.

    Args:
        x: [size], counts.
        predicted: [m, size], readings.
    """
    found = []
    both = zip(detectors.each, detectors.parts(x), detectors.parts(predicted), strict=True)
    for number, (detector, own, others) in enumerate(both, 1):
        setting = f"setting {number}" if len(detectors.each) > 1 else ""
        measured = _numbers(detector, own[None])[0]
        alike = np.where(np.isnan(own), np.nan, others)  # the same bins are known of both
        low, middle, high = np.quantile(_numbers(detector, alike), BAND, axis=0)
        found += [
            {"setting": setting, "name": name, "unit": unit, "measured": float(measured[j]),
             "low": float(low[j]), "predicted": float(middle[j]), "high": float(high[j])}
            for j, (name, unit) in enumerate(_named(detector))
        ]  # fmt: skip
    return found


def _named(detector: Detector) -> list[tuple[str, str]]:
    """Names and units of `_numbers`."""
    read = [side for side, bins in zip(SIDES, detector.bins, strict=True) if bins]
    places = [(f"{side} {what}", "µm") for what in ("centroid", "FWHM") for side in read]
    return [("total", "counts"), *places]


def _numbers(detector: Detector, x: Array) -> Array:
    """[n, numbers] of observations [n, size]."""
    read = np.count_nonzero(detector.bins)
    plain = beam_summaries(detector, x)[:, : 1 + read]
    halves = np.split(detector.profiles(detector.filled(x)), [detector.bins[0]], axis=-1)
    widths = [
        [half_maximum(row, 1e3 * detector.edges(axis)) for row in half]
        for axis, half in enumerate(halves)
        if half.shape[-1]
    ]
    return np.column_stack([plain, np.transpose(widths)])


def half_maximum(counts: Array, edges: Array) -> float:
    """Between the outermost places where counts [n] cross half of their highest; 0 for no bins.

    The lowest tenth of the readings is taken as the level of no light. In the edges' unit.
    """
    if len(counts) < 2:
        return 0.0
    light = counts - np.quantile(counts, 0.1)
    half, middles = light.max() / 2, (edges[1:] + edges[:-1]) / 2
    above = np.flatnonzero(light > half)
    if len(above) == 0:
        return 0.0
    first, last = int(above[0]), int(above[-1])
    left = edges[0] if first == 0 else _between(middles, light, first - 1, first, half)
    right = edges[-1] if last == len(light) - 1 else _between(middles, light, last, last + 1, half)
    return float(right - left)


def _between(middles: Array, light: Array, i: int, j: int, half: float) -> float:
    share = (half - light[i]) / (light[j] - light[i])
    return float(middles[i] + share * (middles[j] - middles[i]))
