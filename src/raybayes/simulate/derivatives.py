"""How profiles and moments change with parameters, and what a profile constrains.

Derivatives are central differences with common rays. A finite set of rays makes directions that
nothing is known of look informative: the noise of its Jacobian has a square. So information is
cross-fitted: two Jacobians from independent rays, whose noises do not multiply.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array
from raybayes.beamline.beam import beam
from raybayes.beamline.trace import trace_compiled
from raybayes.simulate.instrument import is_instrument
from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import Simulator

LARGEST_STEP = 0.05  # of a parameter's range
HALVINGS = 6
MOMENTS = ("transmission", "x", "y", "rms x", "rms y", "energy")


def jacobian(function: Callable[[Array], Array], theta: ArrayLike, ranges: ArrayLike) -> Array:
    """Derivatives of f [n, d] -> [n, m] at one theta, [m, d].

    Each parameter has a step of its own: from a twentieth of its range downwards by halves,
    the one where halving it once more changes the derivative least.

    Args:
        function: must use the same random numbers for all n.
        theta: [d]; ranges: [d], how far each parameter may move.
    """
    centre, widths = np.asarray(theta, np.float64), np.asarray(ranges, np.float64)
    d = len(centre)
    steps = LARGEST_STEP * widths * 2.0 ** -np.arange(HALVINGS)[:, None]  # [k, d]
    offsets = steps[..., None] * np.eye(d)  # [k, d, d]
    both = np.concatenate((centre + offsets, centre - offsets)).reshape(-1, d)
    values = function(both).reshape(2, HALVINGS, d, -1)
    slopes = (values[0] - values[1]) / (2 * steps[..., None])  # [k, d, m]
    change = np.linalg.norm(np.diff(slopes, axis=0), axis=-1)  # [k - 1, d]
    best = change.argmin(axis=0) + 1
    return slopes[best, np.arange(d)].T


def profile_jacobian(simulator: Simulator, theta: ArrayLike) -> Array:
    """Of the expected profile (fractions), [bins, d], in mode "expected"."""
    return jacobian(lambda t: simulator.profiles(t, None)[0], theta, _ranges(simulator))


def moments_jacobian(simulator: Simulator, theta: ArrayLike, rays: int = 1 << 14) -> Array:
    """Of MOMENTS at the last element (mm, eV), [moments, d]."""

    def moments(thetas: Array) -> Array:
        compiled = simulator.compiled(thetas)
        seed = (simulator.seed, 0)
        traced = (
            trace_compiled(simulator.beamline, compiled, i, rays, None, seed, "sobol")
            for i in range(len(thetas))
        )
        beams = [beam(each) for each in traced]
        return np.array([(b.transmission, *b.centroid, *b.rms, b.energy) for b in beams])

    return jacobian(moments, theta, _ranges(simulator))


@dataclass(frozen=True)
class Information:
    """What one noisy observation constrains, beside a prior that is uniform on the support.

    Attributes:
        fisher: [d, d], in the parameters' units.
        sd: [d], the linear posterior's standard deviation over the prior's; 1: nothing learned.
        gains: [d], from the best known direction down: information over the prior's.
        directions: [d, d], one row for each gain, in standard deviations of the prior.
    """

    names: tuple[str, ...]
    fisher: Array
    sd: Array
    gains: Array
    directions: Array

    @property
    def identifiable(self) -> int:
        """How many directions the data know better than the prior does."""
        return int((self.gains > 1).sum())


def information(
    simulator: JointSimulator, theta: ArrayLike, steps: ArrayLike | None = None
) -> Information:
    """Cross-fitted Fisher information at theta [d], in mode "expected".

    I = sum over the bins of dmu dmu^T / (mu + read noise^2), with dmu from independent rays.

    Args:
        steps: [k, d], for k observations, each with the parameters moved by a known step; None:
            one observation, where they stand.
    """
    at = np.asarray(theta, np.float64)
    moved = np.zeros((1, len(at))) if steps is None else np.asarray(steps, np.float64)
    return _learned(simulator, np.sum([_fisher(simulator, at + step) for step in moved], axis=0))


def _learned(simulator: JointSimulator, fisher: Array) -> Information:
    scale = _ranges(simulator) / np.sqrt(12)
    gains, vectors = np.linalg.eigh(scale[:, None] * fisher * scale)
    gains = np.maximum(gains, 0)  # what is below zero is noise
    posterior = vectors @ np.diag(1 / (1 + gains)) @ vectors.T
    return Information(
        tuple(simulator.names),
        fisher,
        np.sqrt(np.diag(posterior)),
        gains[::-1],
        vectors.T[::-1],
    )


def _fisher(simulator: JointSimulator, theta: Array) -> Array:
    """[d, d] of one observation: the sum over its settings."""
    total = np.zeros((len(theta), len(theta)))
    for setting in simulator.settings:
        seen = simulator.columns(setting)
        own = simulator.own(theta[None], setting)[0]
        total[np.ix_(seen, seen)] += _fisher_of_setting(setting.simulator, own)
    return total


def _fisher_of_setting(simulator: Simulator, theta: Array) -> Array:
    """[d, d], of the parameters that the setting sees."""
    detector = simulator.detector
    other = replace(simulator, seed=simulator.seed + 1)
    one, two = (detector.photons * profile_jacobian(s, theta) for s in (simulator, other))
    mean = detector.expected_counts(simulator.profiles(theta[None], None)[0][0])
    weight = 1 / (mean + detector.read_noise**2)
    cross = one.T @ (weight[:, None] * two)
    return (cross + cross.T) / 2


@dataclass(frozen=True)
class Step:
    """A second observation with one parameter moved by a known step, and what it would constrain.

    Attributes:
        size: of the step, in the parameter's unit; 0: the same observation again.
        sd: [d], posterior over prior standard deviation from both observations together.
        nats: what the second observation adds, in the linear approximation.
    """

    name: str
    size: float
    sd: Array
    nats: float


def next_steps(simulator: JointSimulator, theta: ArrayLike, reach: float = 0.5) -> list[Step]:
    """What to measure next at theta [d]: the step with the largest gain first.

    Each parameter is moved by `reach` of its range, towards the side with more room, so that
    the second observation is one that the simulator knows.
    """
    at = np.asarray(theta, np.float64)
    low, high = np.asarray(simulator.support, np.float64)
    side = np.where(at < (low + high) / 2, 1.0, -1.0)
    alone = _fisher(simulator, at)
    before = np.log1p(_learned(simulator, alone).gains).sum()
    steps = [("", 0.0, np.zeros(len(at)))]
    for j, name in enumerate(simulator.names):
        if is_instrument(name):
            continue
        move = np.zeros(len(at))
        move[j] = side[j] * reach * (high - low)[j]
        steps.append((name, float(move[j]), move))
    found = []
    for name, size, move in steps:
        again = _fisher(simulator, at + move) if name else alone
        both = _learned(simulator, alone + again)
        nats = 0.5 * float(np.log1p(both.gains).sum() - before)
        found.append(Step(name, size, both.sd, nats))
    return sorted(found, key=lambda step: -step.nats)


def _ranges(simulator: Simulator | JointSimulator) -> Array:
    return np.ptp(np.asarray(simulator.support, np.float64), axis=0)
