"""Observations made of counted photons: no splat, no expected profile, nothing that was learned.

A posterior that is judged on pairs of the simulator that trained it certifies itself. These pairs
come from another road: photons are traced one by one through the same optics, at random, and those
that land in a bin are its count. Where the source emits too many for that, rays that may arrive are
sampled more often and count less each, so many that their own noise is a tenth of the detector's.
"""

from collections.abc import Callable, Iterator

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.geometry import Compiled
from raybayes.beamline.source import uniforms
from raybayes.beamline.trace import Rays, trace_compiled
from raybayes.errors import stop_if_asked
from raybayes.simulate.detector import Detector
from raybayes.simulate.instrument import Placed
from raybayes.simulate.pilot import Grid
from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import Simulator

TENTH = 10  # weighted rays for each photon that the detector counts
PILOT = 4096  # rays that tell how much light arrives


def counted_observations(
    simulator: JointSimulator,
    theta: Array,
    seed: tuple[int, ...],
    made: Callable[[], object] = lambda: None,
) -> tuple[Array, int]:
    """Noisy observations x [n, size] of theta [n, d] from counted photons, and the rays traced.

    Args:
        simulator: of our own tracer; its `tracing` does not matter.
        seed: with the index of a theta it determines its observation.
        made: called for each that is made in the last setting.

    Raises:
        InputError: a theta cannot be built.
    """
    parts, rays = [], 0
    for j, setting in enumerate(simulator.settings):
        one, own = setting.simulator, simulator.own(theta, setting)
        compiled, photons = one.compiled(own), rays_needed(one)[0]
        placed = one.placed(own)
        observed = []
        for i in range(len(theta)):
            stop_if_asked()
            observed.append(_observed(one, compiled, i, (*seed, j), photons, placed[i]))
            if setting is simulator.settings[-1]:
                made()
        parts.append(np.array([x for x, _ in observed]).reshape(len(theta), one.detector.size))
        rays += sum(traced for _, traced in observed)
    return np.concatenate(parts, axis=1), rays


def rays_needed(simulator: Simulator) -> tuple[bool, int]:
    """What an observation takes in the middle of the prior.

    Returns:
        whether photons are traced one by one, rather than weighted rays; and how many of either.
    """
    middle = np.mean(simulator.support, axis=0)[None]
    compiled = simulator.compiled(middle)
    photons = int(simulator.detector.photons) * len(_exposures(simulator.detector))
    weighted = _enough(simulator, compiled, 0)
    return (True, photons) if photons <= weighted else (False, weighted)


def _enough(simulator: Simulator, compiled: Compiled, i: int) -> int:
    """Weighted rays whose noise is a TENTH of that of the light that arrives at the i-th theta.

    Weighted counts of n rays have the variance sum w^2 / n^2; counts of N photons, p / N.
    """
    _, weights = _weighted(simulator, compiled, i, PILOT, (0,))
    if not weights.sum() > 0:
        return PILOT
    return max(int(TENTH * simulator.detector.photons * (weights**2).sum() / weights.sum()), PILOT)


def _observed(
    simulator: Simulator,
    compiled: Compiled,
    i: int,
    seed: tuple[int, ...],
    photons: bool,
    placed: Placed,
) -> tuple[Array, int]:
    rng = np.random.default_rng((*seed, i))
    if photons:
        return _of_photons(simulator, compiled, i, (*seed, i), rng, placed)
    rays = _enough(simulator, compiled, i)
    traced, weights = _weighted(simulator, compiled, i, rays, (*seed, i))
    profile = placed.counted(np.stack((traced.x, traced.y)), weights, rays, rng)
    return placed.detector.observe(profile, rng), rays


def _weighted(
    simulator: Simulator, compiled: Compiled, i: int, rays: int, seed: tuple[int, ...]
) -> tuple[Rays, Array]:
    """Random rays where the light comes from, and the light of those that arrive [arrived]."""
    grid: Grid = simulator.grid
    weights: list[Array] = []

    def points(dimensions: int, n: int) -> Iterator[Array]:
        for some in uniforms("random", dimensions, n, seed):
            moved, weight = grid.moved(some)
            weights.append(weight)
            yield moved

    traced = trace_compiled(simulator.beamline, compiled, i, rays, None, seed, points)
    return traced, traced.weight * np.concatenate(weights)[traced.arrived]


def _exposures(detector: Detector) -> tuple[slice, ...]:
    """The parts of x whose photons are others': profiles are two exposures, an image is one."""
    if detector.reads == "image":
        return (slice(None),)
    both = (slice(detector.bins[0]), slice(detector.bins[0], None))
    return tuple(part for part, bins in zip(both, detector.bins, strict=True) if bins)


def _of_photons(
    simulator: Simulator,
    compiled: Compiled,
    i: int,
    seed: tuple[int, ...],
    rng: np.random.Generator,
    placed: Placed,
) -> tuple[Array, int]:
    detector, counts, rays = placed.detector, np.zeros(placed.detector.size), 0
    for exposure, part in enumerate(_exposures(detector)):
        emitted = max(int(rng.poisson(detector.photons)), 1)
        key = (*seed, exposure)
        traced = trace_compiled(simulator.beamline, compiled, i, emitted, None, key, "random")
        kept = rng.random(len(traced.weight)) < traced.weight  # a photon is absorbed or is not
        places = np.stack((traced.x, traced.y))[:, kept]
        counts[part] = placed.counted(places, np.ones(kept.sum()), 1, rng)[part]
        rays += emitted
    dark = rng.poisson(detector.background, counts.shape)
    x = counts + dark + detector.read_noise * rng.standard_normal(counts.shape)
    return np.asarray(x), rays
