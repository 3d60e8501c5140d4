"""How many rays, and which splats, a study needs: chosen by error control, tested by counting.

As in a solver of differential equations, the error of one rung is its difference from the next,
which has four times the rays and narrower splats; the first rung whose error is within the
tolerance is taken. Then its profiles are held against counted rays (`counted_check`), which share
nothing of this road but the optics. Where no rung is good enough, the best one is taken if the
likelihood, widened by its error, can bear it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from raybayes.array_types import Array
from raybayes.simulate.counted_check import (
    CORNERS,
    SURE,
    Row,
    check_points,
    compare,
    count,
)
from raybayes.simulate.settings import JointSimulator, Setting
from raybayes.simulate.simulator import TOLERANCE, Simulator, Tracing

TRANSMISSION = 0.005  # relative tolerance on the light that arrives
SHIFT = 0.4  # of a posterior's sd, by which a parameter may be off: its pulls' rms is 1.08
STEP = 1e-3  # of the prior's range, of the derivatives that a shift needs
BEARABLE = 1.0  # of the light's own variance: beyond, widening would hide the measurement
COUNTED = 4_000_000  # rays of the test by counting, in all
PARTS = ("variance", "light", "transmission")  # of an `Error`
SPLATS = ("splat", "divergence_splat")
FEW = 3600  # photons, whose own noise is as large as three times the tolerance
SCRAMBLES = 3  # of each rung's points
# A divergence that is carried makes a beam out of focus smooth; but each slit cuts its wide splats
# into many cells, so plain rungs of some times the rays cost as much.
RUNGS = (
    Tracing(rays=512, splat=0.55),
    Tracing(rays=512, splat=0.55, divergence_splat=0.55),
    Tracing(rays=2048, splat=0.4),
    Tracing(rays=8192, splat=0.3),
    Tracing(rays=2048, splat=0.4, divergence_splat=0.4),
    Tracing(rays=32_768, splat=0.2),
    Tracing(rays=131_072, splat=0.14),
)
FOURFOLD = 4  # by which the error's variance falls from one rung to the next, at least


@dataclass(frozen=True)
class Error:
    """How far a rung is off, at the theta where it is worst.

    Attributes:
        variance: mean square error over the bins, as a share of the variance of a reading;
            tolerance: on it.
        light: the same, as a share of the variance of the light alone: what a likelihood is
            widened by.
        transmission: relative.
        shift: how far a parameter's posterior, the others known, would be off, in its sd: small
            errors of many bins may all pull one way.
    """

    variance: float
    light: float
    transmission: float
    tolerance: float
    shift: float = 0.0

    @property
    def good(self) -> bool:
        """Whether it is within all tolerances."""
        wider = (self.tolerance / TOLERANCE) ** 0.5
        return (
            self.variance <= self.tolerance
            and self.transmission <= TRANSMISSION * wider
            and self.shift <= SHIFT * wider
        )

    def times(self, factor: float) -> "Error":
        """As large as counting finds it, where error control found less."""
        if factor <= 1:
            return self
        return replace(self, variance=factor * self.variance, light=factor * self.light)

    @property
    def next(self) -> "Error":
        """Of the next rung, at most."""
        return Error(
            self.variance / FOURFOLD,
            self.light / FOURFOLD,
            self.transmission / FOURFOLD**0.5,
            self.tolerance,
            self.shift / FOURFOLD**0.5,
        )


@dataclass(frozen=True)
class Accuracy:
    """What was chosen for a study, and how good it is.

    Attributes:
        tracing: with `noise` where no rung was good enough.
        error: by error control; rows: by counting.
    """

    tracing: Tracing
    error: Error
    rows: tuple[Row, ...]

    @property
    def worst(self) -> Row:
        """Where counting finds the largest error that it can tell."""
        lit = [row for row in self.rows if not row.dark] or self.rows
        return max(lit, key=lambda row: row.noise - SURE * row.uncertainty)

    @property
    def good(self) -> bool:
        """Whether a likelihood can be built on it: widened by the noise of counting, always."""
        if self.tracing.mode == "counting":
            return True
        return self.tracing.noise < BEARABLE and self.worst.within(self.tracing.noise)


def choose(
    simulator: JointSimulator,
    first: Tracing,
    seed: int,
    most: int = COUNTED,
    tell: Callable[[str], object] = lambda sentence: None,
) -> Accuracy:
    """The cheapest rung from `first` on that is good enough, and its test by counting.

    Args:
        first: as the study says; fewer rays are not tried.
        most: counted rays of the test, in all.
        tell: called with what is done, in words.
    """
    theta, _ = check_points(simulator, seed)
    tell(f"counting rays at {len(theta)} theta")
    points = count(simulator, seed, max(most // (len(theta) * len(simulator.settings)), 1))
    if first.mode == "counting":
        noise = max(setting.simulator.noise for setting in simulator.settings)
        return Accuracy(
            first, Error(noise, noise, 0.0, first.tolerance), tuple(compare(simulator, points))
        )
    found: list[tuple[Tracing, Error]] = []
    for rung in (first, *_finer(first)):
        how = f"{rung.rays} rays{' with their divergence' if rung.divergence_splat else ''}"
        tell(f"trying {how}")
        error = rung_error(simulator, rung, theta)
        tell(f"{how}: off by {error.variance:.2g} of the noise's variance")
        if error.good or error.next.good:
            error = replace(error, shift=largest_shift(simulator, rung, theta))
            tell(f"{how}: they shift a parameter by up to {error.shift:.2g} of its sd")
        good = error if error.good else error.next
        if good.good:
            chosen = rung if error.good else next_rung(rung)
            rows = tuple(compare(simulator.traced(chosen), points))
            if all(row.good for row in rows):
                return Accuracy(chosen, good, rows)
            worst = max(row.noise for row in rows)
            tell(f"beside counted rays they are off by {worst:.2g}: not taken")
            error = error.times(worst / max(error.variance, 1e-300))
        found.append((rung, error))
    rung, error = min(found, key=lambda each: each[1].light)
    widened = rung.model_copy(update={"noise": min(error.light, BEARABLE)})
    return Accuracy(widened, error, tuple(compare(simulator.traced(rung), points)))


def _finer(first: Tracing) -> list[Tracing]:
    """The rungs beyond the first one."""
    known = {"tolerance": first.tolerance}
    return [
        rung.model_copy(update=known)
        for rung in RUNGS
        if rung.rays > first.rays
        or (rung.rays == first.rays and rung.divergence_splat > first.divergence_splat)
    ]


def next_rung(rung: Tracing) -> Tracing:
    """Four times the rays, narrower splats: whose difference is the rung's error."""
    narrower = {name: round(0.7 * getattr(rung, name), 3) for name in SPLATS}
    return rung.model_copy(update={"rays": 4 * rung.rays, **narrower})


def rung_error(simulator: JointSimulator, rung: Tracing, theta: Array) -> Error:
    """Of a rung at theta [n, d], the worst of all settings."""
    errors = [
        _errors(setting.simulator, rung, simulator.own(theta, setting))
        for setting in simulator.settings
    ]
    worst = {part: float(np.max([getattr(error, part) for error in errors])) for part in PARTS}
    return Error(**worst, tolerance=rung.tolerance)


def largest_shift(simulator: JointSimulator, rung: Tracing, theta: Array) -> float:
    """Of a rung, in a parameter's own sd, at the first of theta [n, d] and the corners behind.

    With b the error, G_j the derivative by parameter j and W one over the readings' variance, the
    parameter moves by G_j' W b / G_j' W G_j, and its sd is (G_j' W G_j)^(-1/2).
    """
    some = np.concatenate([theta[:1], theta[1:][-CORNERS:]])
    low, high = (np.asarray(end, np.float64) for end in simulator.support)
    return max(
        float(_shifts(setting, rung, simulator.own(around, setting)).max())
        for setting in simulator.settings
        for around in (_around(at, low, high) for at in some)
    )


def _around(at: Array, low: Array, high: Array) -> Array:
    """[1 + 2 d, d]: theta, then two of each parameter to differ by, inside the prior."""
    steps = np.diag(STEP * (high - low))
    down, up = np.maximum(at - steps, low), np.minimum(at + steps, high)
    return np.concatenate([at[None], down, up])


def _shifts(setting: Setting, rung: Tracing, around: Array) -> Array:
    """[d], at the first of `around` [1 + 2 d, own d]; 0 where nothing depends on a parameter."""
    coarse = setting.simulator.traced(rung)
    fine, detector = coarse.traced(next_rung(rung)), coarse.detector
    profiles, _ = coarse.profiles(around, None)
    truth = fine.profiles(around[:1], None)[0][0]
    down, up = np.split(profiles[1:], 2)
    slope = detector.photons * (up - down)  # the step cancels
    weight = 1 / detector.variance(detector.expected_counts(truth))
    pull = slope @ (weight * detector.photons * (profiles[0] - truth))
    told = (slope**2) @ weight
    return np.asarray(np.abs(pull) / np.sqrt(np.maximum(told, 1e-30)) * (told > 0))


def _errors(simulator: Simulator, rung: Tracing, theta: Array) -> Error:
    coarse, fine = simulator.traced(rung), simulator.traced(next_rung(rung))
    truth, arrived = fine.profiles(theta, None)
    found = [coarse.profiles(theta, key) for key in (None, *range(1, SCRAMBLES))]
    off = np.mean([(profile - truth) ** 2 for profile, _ in found], axis=0)
    detector = simulator.detector
    square, counts = detector.photons**2 * off, detector.expected_counts(truth)
    variance = (square / detector.variance(counts)).mean(axis=1)
    light = square.sum(axis=1) / np.maximum((counts - detector.background).sum(axis=1), 1.0)
    photons, passed = (detector.photons * t for t in (arrived, np.mean([t for _, t in found], 0)))
    # Where few photons arrive, their own noise allows more.
    relative = np.abs(passed - photons) / np.maximum(photons, np.sqrt(FEW * photons) + 1e-9)
    return Error(float(variance.max()), float(light.max()), float(relative.max()), rung.tolerance)
