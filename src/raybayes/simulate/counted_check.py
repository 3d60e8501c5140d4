"""The expected profile beside counted rays: another road to the same profile, on the very study.

Counting is slow and noisy but knows no splats: its rays go through the same elements, and land in
bins. How far the expected profile is off is said as a share of the detector's noise: the mean over
the bins of (expected - counted)^2 / variance of a reading. Counts of independent batches make it
free of their own noise: the mean of (e - c_a) (e - c_b) over pairs of batches is (e - c)^2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats.qmc import Sobol

from raybayes.array_types import Array
from raybayes.beamline.trace import trace_compiled
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import JointSimulator, Setting
from raybayes.simulate.simulator import Simulator, Tracing

SURE = 3  # standard errors of a row's error, before it is called too large
BATCHES = 4
PER_PHOTON = 4  # counted rays: their noise is a quarter of the detector's, and is taken off
FEWEST, MOST = 100_000, 1_000_000  # of each theta
SETS = 4  # of Sobol points, beside that of the likelihood
CORNERS = 4  # of the prior, beside its middle and the ends of each parameter
DETECTOR = "the detector, whose bins it misses"
LOOK = 20_000  # rays that show where the light is lost


@dataclass(frozen=True)
class Point:
    """Counted rays at one theta in one setting.

    Attributes:
        theta: [d], of the study; at: what is special about it, in words.
        setting: its place in the study; key: of its random numbers.
        profiles: [BATCHES, bins], fractions of the emitted photons; transmission: their mean.
        lost_at: the element that takes most of the rays; "" where none is lost.
    """

    theta: Array
    at: str
    setting: int
    key: tuple[int, ...]
    profiles: Array
    transmission: float
    lost_at: str


@dataclass(frozen=True)
class Row:
    """The expected profile beside a `Point`.

    Attributes:
        transmission: expected, a fraction of the emitted photons.
        error: rms over the bins, horizontal and vertical (of an image: twice its own), as a share
            of the profile's peak.
        noise: mean square error as a share of the variance of a reading; below 0 by chance where
            there is none.
        uncertainty: standard error of `noise`.
        tolerance: on `noise`.
        held: the share of the counted light at the plane that lands in the bins, of the profile
            that holds less.
    """

    point: Point
    transmission: float
    error: tuple[float, float]
    noise: float
    uncertainty: float
    tolerance: float
    held: float = 1.0

    @property
    def good(self) -> bool:
        """Whether the error is within the tolerance, as far as it is known."""
        return self.within(0.0)

    def within(self, widened: float) -> bool:
        """Whether a likelihood that is widened by so much of the light's variance bears the error.

        As far as the error is known.
        """
        return self.noise <= max(self.tolerance, 2 * widened) + SURE * self.uncertainty

    @property
    def undecided(self) -> bool:
        """Whether more counted rays might show that the error is too large."""
        return self.good and self.noise + self.uncertainty > 2 * self.tolerance

    @property
    def dark(self) -> bool:
        """Whether no counted ray lands in the detector's bins, of one profile at least."""
        return self.held == 0

    @property
    def sentence(self) -> str:
        """Where and how far the expected profile is off."""
        lost = f", where most of the light is lost at {self.point.lost_at}"
        return (
            f"the expected profile is off by {self.noise:.2g} times the variance of the detector's "
            f"noise at "
            f"{self.point.at}{lost if self.point.lost_at else ''}"
        )


def check_points(simulator: JointSimulator, seed: int = 0) -> tuple[Array, list[str]]:
    """Theta [n, d] all over the prior: its middle, both ends of each parameter, some corners.

    And what is special about each, in words.
    """
    low, high = (np.asarray(end, np.float64) for end in simulator.support)
    middle = (low + high) / 2
    points, words = [middle], ["the middle of the prior"]
    for j, name in enumerate(simulator.names):
        for end in (low, high):
            points.append(np.where(np.arange(len(low)) == j, end, middle))
            words.append(f"{name} = {end[j]:g}")
    # Of Sobol's points half are in either half of each parameter, so corners are apart.
    for cube in Sobol(len(low), rng=np.random.default_rng(seed)).random(CORNERS):
        points.append(np.where(cube < 0.5, low, high))
        words.append("a corner of the prior")
    _, first = np.unique(np.array(points), axis=0, return_index=True)  # of one parameter: an end
    return np.array(points)[np.sort(first)], [words[i] for i in np.sort(first)]


def count(simulator: JointSimulator, seed: int = 0, most: int = MOST) -> list[Point]:
    """Counted rays at `check_points` of every setting; at most `most` for each."""
    rays = enough_counted(simulator, most)
    return count_at(simulator, *check_points(simulator, seed), seed, rays)


def enough_counted(simulator: JointSimulator, most: int) -> int:
    """Rays to count at a theta, whose noise is a part of the detector's; at most `most`."""
    photons = max(detector.photons for detector in simulator.detectors.each)
    return int(min(max(PER_PHOTON * photons, FEWEST), most))


def count_at(
    simulator: JointSimulator, theta: Array, words: Sequence[str], seed: int, rays: int
) -> list[Point]:
    """Counted rays at theta [n, d], each in a word, of every setting; `rays` for each."""
    return [
        _counted(setting, (at, word, i, (seed, i, j)), simulator.own(at[None], setting), rays)
        for i, setting in enumerate(simulator.settings)
        for j, (at, word) in enumerate(zip(theta, words, strict=True))
    ]


def compare(simulator: JointSimulator, points: Sequence[Point]) -> list[Row]:
    """The expected profiles of a simulator beside counted rays."""
    return [
        _row(simulator.settings[point.setting].simulator, point, own)
        for point in points
        for own in [simulator.own(point.theta[None], simulator.settings[point.setting])]
    ]


def _counted(
    setting: Setting, at: tuple[Array, str, int, tuple[int, ...]], own: Array, rays: int
) -> Point:
    simulator, key = setting.simulator, at[3]
    rays = max(rays // BATCHES, 1)
    counter = replace(simulator, tracing=Tracing(mode="counting", rays=rays))
    profiles, arrived = counter.profiles(np.repeat(own, BATCHES, axis=0), key)
    return Point(*at, profiles, float(arrived.mean()), lost_at(simulator, own, key))


def _row(simulator: Simulator, point: Point, own: Array) -> Row:
    detector, counted = simulator.detector, point.profiles
    fixed, transmission = simulator.profiles(own, None)
    others, _ = simulator.profiles(np.repeat(own, SETS, axis=0), point.key)
    expected = np.concatenate([fixed, others])
    square = np.mean([_square_error(e, counted) for e in expected], axis=0)
    mean = counted.mean(axis=0)
    share = detector.photons**2 * square / detector.variance(detector.expected_counts(mean))
    uncertainty = float(share.std() / np.sqrt(len(share)))
    error = _of_peak(simulator, square, mean)
    tolerance = simulator.tracing.tolerance
    noise = float(share.mean())
    held = least_light(detector, mean) / point.transmission if point.transmission else 0.0
    if held == 0 and point.transmission > 0:
        point = replace(point, lost_at=DETECTOR)
    return Row(point, float(transmission[0]), error, noise, uncertainty, tolerance, held)


def least_light(detector: Detector, profile: Array) -> float:
    """The sum of a profile [bins], a fraction of the emitted photons; of two, the smaller one."""
    if detector.reads == "image":
        return float(profile.sum())
    parts = np.split(profile, [detector.bins[0]])
    return min(float(part.sum()) for part in parts if len(part))


def _square_error(expected: Array, counted: Array) -> Array:
    """[bins]: (expected - truth)^2 from counted batches [b, bins], without their noise."""
    off = expected - counted
    b = len(counted)
    return np.asarray((off.sum(axis=0) ** 2 - (off**2).sum(axis=0)) / (b * (b - 1)))


def _of_peak(simulator: Simulator, square: Array, mean: Array) -> tuple[float, float]:
    detector = simulator.detector
    parts = [slice(None), slice(None)]
    if detector.reads == "profiles":
        parts = [slice(detector.bins[0]), slice(detector.bins[0], None)]
    across, along = (
        float(np.sqrt(max(square[p].mean(), 0)) / max(mean[p].max(), 1e-300))
        if mean[p].size
        else 0.0
        for p in parts
    )
    return across, along


def lost_at(simulator: Simulator, own: Array, key: tuple[int, ...]) -> str:
    """The element that takes most of the rays at its own theta [1, d]; "" where none is lost."""
    compiled = simulator.compiled(own)
    rays = trace_compiled(simulator.beamline, compiled, 0, LOOK, None, key, "sobol")
    names, counts = np.unique(rays.lost_at[~rays.arrived], return_counts=True)
    return str(names[counts.argmax()]) if len(names) else ""
