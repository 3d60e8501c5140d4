"""Observations made of counted photons: no splat, no expected profile, nothing that was learned.

A posterior that is judged on pairs of the simulator that trained it certifies itself. These pairs
come from another road: photons are traced one by one through the same optics, at random, and those
that land in a bin are its count. Where the source emits too many for that, rays that may arrive are
sampled more often and count less each, so many that their own noise is a tenth of the detector's.
"""

from collections.abc import Iterator

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.geometry import Compiled, compile_beamline
from raybayes.beamline.source import uniforms
from raybayes.beamline.trace import Rays, trace_compiled
from raybayes.simulate.detector import Detector
from raybayes.simulate.pilot import Grid
from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import Simulator

TENTH = 10  # weighted rays for each photon that the detector counts
PILOT = 4096  # rays that tell how much light arrives


def counted_observations(
    simulator: JointSimulator, theta: Array, seed: tuple[int, ...]
) -> tuple[Array, int]:
    """Noisy observations x [n, size] of theta [n, d] from counted photons, and the rays traced.

    Args:
        simulator: of our own tracer; its `tracing` does not matter.
        seed: with the index of a theta it determines its observation.

    Raises:
        InputError: a theta cannot be built.
    """
    rows, rays = [], 0
    for i, one in enumerate(theta):
        parts = []
        for j, setting in enumerate(simulator.settings):
            own = simulator.own(one[None], setting)
            x, traced = _observed(setting.simulator, own, (*seed, i, j))
            parts.append(x)
            rays += traced
        rows.append(np.concatenate(parts))
    return np.array(rows).reshape(len(theta), simulator.detectors.size), rays


def rays_needed(simulator: JointSimulator, theta: Array) -> int:
    """How many rays an observation of one theta [d] takes."""
    return sum(
        _cheaper(s.simulator, _compiled(s.simulator, simulator.own(theta[None], s)))[1]
        for s in simulator.settings
    )


def _compiled(simulator: Simulator, own: Array) -> Compiled:
    return compile_beamline(simulator.beamline, simulator.names, own)


def _observed(simulator: Simulator, own: Array, seed: tuple[int, ...]) -> tuple[Array, int]:
    compiled, detector = _compiled(simulator, own), simulator.detector
    photons, rays = _cheaper(simulator, compiled)
    rng = np.random.default_rng(seed)
    if photons:
        return _of_photons(simulator, compiled, seed, rng), rays
    traced, weights = _weighted(simulator, compiled, rays, seed)
    profile = detector.counted(np.stack((traced.x, traced.y)), weights, rays, rng)
    return detector.observe(profile, rng), rays


def _cheaper(simulator: Simulator, compiled: Compiled) -> tuple[bool, int]:
    """Whether photons are traced one by one, rather than weighted rays; and how many of either."""
    detector = simulator.detector
    photons = int(detector.photons) * len(_exposures(detector))
    _, weights = _weighted(simulator, compiled, PILOT, (0,))
    seen, squares = weights.sum() / PILOT, (weights**2).sum() / PILOT
    # Weighted counts of n rays have the variance sum w^2 / n^2; photons of the detector, p / N.
    weighted = int(TENTH * detector.photons * squares / seen) if seen > 0 else PILOT
    return (True, photons) if photons <= weighted else (False, max(weighted, PILOT))


def _weighted(
    simulator: Simulator, compiled: Compiled, rays: int, seed: tuple[int, ...]
) -> tuple[Rays, Array]:
    """Random rays where the light comes from, and the light of those that arrive [arrived]."""
    grid: Grid = simulator.grid
    weights: list[Array] = []

    def points(dimensions: int, n: int) -> Iterator[Array]:
        for some in uniforms("random", dimensions, n, seed):
            moved, weight = grid.moved(some)
            weights.append(weight)
            yield moved

    traced = trace_compiled(simulator.beamline, compiled, 0, rays, None, seed, points)
    return traced, traced.weight * np.concatenate(weights)[traced.arrived]


def _exposures(detector: Detector) -> tuple[slice, ...]:
    """The parts of x whose photons are others': profiles are two exposures, an image is one."""
    if detector.reads == "image":
        return (slice(None),)
    return slice(detector.bins[0]), slice(detector.bins[0], None)


def _of_photons(
    simulator: Simulator, compiled: Compiled, seed: tuple[int, ...], rng: np.random.Generator
) -> Array:
    detector, counts = simulator.detector, np.zeros(simulator.detector.size)
    for exposure, part in enumerate(_exposures(detector)):
        emitted = int(rng.poisson(detector.photons))
        rays = trace_compiled(
            simulator.beamline, compiled, 0, max(emitted, 1), None, (*seed, exposure), "random"
        )
        kept = rng.random(len(rays.weight)) < rays.weight  # a photon is absorbed or is not
        places = np.stack((rays.x, rays.y))[:, kept]
        counts[part] = detector.counted(places, np.ones(kept.sum()), 1, rng)[part]
    dark = rng.poisson(detector.background, counts.shape)
    return np.asarray(counts + dark + detector.read_noise * rng.standard_normal(counts.shape))
