"""What speaks against a posterior at one measurement, in sentences."""

from collections.abc import Sequence

import numpy as np

from raybayes.array_types import Array
from raybayes.diagnostics import Alarm, Predictive
from raybayes.observations import Target
from raybayes.observations.frames import SIDES
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import Detectors

LEVEL = 0.01  # rate of false alarms
# Of the simulated range: its ends are not those of all beams, and a beam that is aligned at its
# best is narrower than any that is simulated.
MARGIN = 0.05


def unexplained(check: Predictive) -> str:
    """An alarm where the posterior's own predictions do not look like the measurement."""
    if check.p_value > LEVEL:
        return ""
    return (
        f"What the posterior predicts does not explain the measurement: chi² per bin "
        f"{check.chi2_per_bin:.3g} where {check.replicated.mean():.3g} is expected (p = "
        f"{check.p_value:.2g}). The beamline, the detector's numbers or the network do not "
        "describe it; do not act on these numbers."
    )


def beam_summaries(detector: Detector, x: Array) -> Array:
    """[n, 5] of observations [n, size]: total counts; centroids and rms widths, um.

    Of a detector that reads one profile alone [n, 3]: its own.

    The bins' background is subtracted; counts below it are taken as none, and so are bins of which
    nothing is known.
    """
    both = detector.profiles(detector.filled(x))
    rows = detector.bins[1] if detector.reads == "image" else 1
    columns = detector.bins[0] if detector.reads == "image" else 1
    halves = np.split(both, [detector.bins[0]], axis=-1)
    columns_ = []
    for axis, (half, summed) in enumerate(zip(halves, (rows, columns), strict=True)):
        if half.shape[-1] == 0:
            continue
        noise = np.sqrt(summed) * detector.read_noise
        light = half - summed * detector.background
        light = np.where(light > 3 * noise, light, 0.0)
        total = light.sum(axis=-1) + 1e-9
        edges = 1e3 * detector.edges(axis)
        place = (edges[1:] + edges[:-1]) / 2
        mean = light @ place / total
        spread = np.sqrt(np.maximum(light @ place**2 / total - mean**2, 0))
        columns_.append((total, mean, spread))
    totals, means, spreads = zip(*columns_, strict=True)
    return np.stack([totals[0], *means, *spreads], axis=-1)


def summaries(detectors: Detectors, x: Array) -> Array:
    """[n, 5 or 3 for each setting] of observations [n, size]."""
    pairs = zip(detectors.each, detectors.parts(x), strict=True)
    return np.concatenate([beam_summaries(detector, part) for detector, part in pairs], axis=1)


def labels(targets: Sequence[Target]) -> list[str]:
    """What `summaries` are, with the setting's name where there are several."""
    return [f"{t.name}, {name}" if t.name else name for t in targets for name in _names(t)]


def _names(target: Target) -> list[str]:
    read = [side for side, bins in zip(SIDES, target.bins, strict=True) if bins]
    return ["total", *(f"{side} centroid" for side in read), *(f"{s} rms width" for s in read)]


def unlike(alarm: Alarm) -> str:
    """An alarm where the beam is unlike all that the study simulates."""
    if not alarm.raised(LEVEL)[0]:
        return ""
    return (
        f"The beam is unlike those that the study simulates (Mahalanobis distance "
        f"{alarm.statistic[0]:.3g}, p = {alarm.p_value[0]:.2g})."
    )


def outside(names: Sequence[str], known: Array, seen: Array) -> str:
    """An alarm where a summary is well beyond all of the simulated ones."""
    ends = zip(names, seen, known.min(axis=0), known.max(axis=0), strict=True)
    beyond = [
        f"{name} {value:.4g} (simulated: {low:.4g} to {high:.4g})"
        for name, value, low, high in ends
        if not low - MARGIN * (high - low) <= value <= high + MARGIN * (high - low)
    ]
    return f"Outside all of {len(known)} simulated beams: {'; '.join(beyond)}." if beyond else ""
