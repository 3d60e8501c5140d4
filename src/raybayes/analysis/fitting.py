"""The posterior at one measurement without a network: `raybayes.inference.direct`, of a study."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtr

from raybayes.analysis.beam_alarms import summaries
from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.inference.direct import Direct, Effort, Seen, direct
from raybayes.inference.importance import Refined
from raybayes.inference.scoring import Task
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import Detectors, JointSimulator
from raybayes.study.run import Run, exact_likelihood

SAME_LIGHT = 0.05  # of the total: as near as a climb by summaries is to come
FAINT = 1e-3  # of the observation's light: with less there is no beam to follow
END = 0.01  # of the prior's mass at either end
USUAL = Effort()


@dataclass(frozen=True)
class Fitted:
    """A posterior without a network, in the parameters' units.

    Attributes:
        weighed: draws with weights by the exact likelihood.
        log_p: [n], of these draws, log p(x, theta), but for a constant.
        modes: of each its theta, chi^2 per bin, share of the draws, and parameters at an end of
            their priors; the largest first.
        found: how they were found.
    """

    weighed: Refined
    log_p: Array
    modes: list[dict[str, Any]]
    found: Direct


def fit(
    run: Run,
    x: Array,
    effort: Effort = USUAL,
    seed: int = 0,
    progress: Callable[[str], object] = lambda stage: None,
) -> Fitted:
    """Modes and draws of the exact posterior.

    Args:
        x: [size] counts; NaN where nothing is known.
        progress: called with the name of each stage as it begins.

    Raises:
        InputError: the likelihood is not known or not smooth, or nothing in the prior could have
            made x.
    """
    exact_likelihood(run, x)  # or says why there is none
    if run.study.tracing.mode == "counting":
        raise InputError(
            f"study {run.study.name}: it counts rays, so its likelihood has steps that nothing "
            'climbs; set mode = "expected" in [tracing], or train it (raybayes run)'
        )
    prior, reasons = run.study.prior, set[str]()
    try:
        found = direct(seen_by(run, x, reasons), prior.dim, effort, seed, progress)
    except InputError as error:
        if not reasons:
            raise
        raise InputError(f"{error}; some could not be simulated: {min(reasons)}") from error
    theta = prior.from_real(found.weighed.theta)
    log_p = found.log_p + prior.log_det_to_real(theta)
    return Fitted(replace(found.weighed, theta=theta), log_p, _modes(run, x, found), found)


def each_alone(simulator: JointSimulator, theta: Array, reasons: set[str]) -> Array:
    """Profiles at theta [n, d]: [n, size], NaN where one is impossible, which fails alone.

    Args:
        reasons: gets why.
    """
    try:
        return simulator.profiles(theta, None)[0]
    except InputError as error:
        if len(theta) == 1:
            reasons.add(str(error))
            return np.full((1, simulator.detectors.size), np.nan)
        middle = len(theta) // 2
        halves = theta[:middle], theta[middle:]
        return np.concatenate([each_alone(simulator, half, reasons) for half in halves])


def seen_by(run: Run, x: Array, reasons: set[str]) -> Seen:
    """A measurement as a direct posterior needs it; what is predicted are counts [n, size].

    The likelihood is widened by the simulator's own error where it is known, as `exact_likelihood`.

    Args:
        x: [size], counts; reasons: gets why theta could not be simulated.
    """
    detectors, prior, read = run.simulator.detectors, run.study.prior, ~np.isnan(x)
    photons, background, offset = (
        np.concatenate([np.full(d.size, value(d)) for d in detectors.each])
        for value in (lambda d: d.photons, lambda d: d.background, lambda d: d.features["offset"])
    )
    summary, near, totals = _summary(detectors, x)

    def rooted(counts: Array) -> Array:  # of unit noise, as networks see them
        return np.asarray(2 * np.sqrt(np.maximum(counts + offset, 0.0))[..., read])

    def summed(counts: Array) -> Array:
        found = summaries(detectors, np.where(read, counts, np.nan))
        seen = np.asarray((found[:, totals] >= FAINT * summary[totals]).all(axis=1))
        return np.where(seen[:, None], found, np.nan)

    task = Task(
        lambda z: detectors.expected_counts(each_alone(run.simulator, prior.from_real(z), reasons)),
        lambda counts: detectors.log_likelihood(x, (counts - background) / photons),
        lambda counts: (np.where(read, x - counts, 0.0), 1 / detectors.variance(counts)),
    )
    return Seen(task, rooted, rooted(x), summed, summary, near)


def _summary(detectors: Detectors, x: Array) -> tuple[Array, Array, Bools]:
    """[s] each: of a measurement, how near a climb is to come to it, and which are totals."""
    summary = summaries(detectors, x[None])[0]
    units = [np.array([np.nan, *widths, *widths]) for widths in map(_widths, detectors.each)]
    unit = np.concatenate(units)
    totals = np.isnan(unit)
    return summary, np.where(totals, SAME_LIGHT * np.abs(summary) + 1, unit), totals


def _widths(detector: Detector) -> list[float]:
    """Of the bins along each side that is read, um."""
    sides = zip(detector.bins, detector.bin_width, strict=True)
    return [1e3 * width for bins, width in sides if bins]


def _modes(run: Run, x: Array, found: Direct) -> list[dict[str, Any]]:
    """The tops that have draws, with what speaks for and against each."""
    prior, detectors, tops = run.study.prior, run.simulator.detectors, found.tops
    away = found.weighed.theta[:, None] - tops.z
    far = np.einsum("nkd,kde,nke->nk", away, tops.precision, away)
    share = np.bincount(far.argmin(axis=1), found.weighed.weight, len(tops.z))
    off = (x - tops.expected) ** 2 / detectors.variance(tops.expected)
    rows = [
        {
            "theta": dict(zip(prior.names, theta.tolist(), strict=True)),
            "share": float(part),
            "chi2_per_bin": float(np.nanmean(square)),
            "at_an_end": [n for n, at in zip(prior.names, ndtr(z), strict=True)
                          if min(at, 1 - at) < END],
        }
        for theta, z, part, square in zip(
            prior.from_real(tops.z), tops.z, share, off, strict=True
        )
        if part > 0
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -float(row["share"]))
