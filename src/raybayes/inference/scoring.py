"""Modes of a posterior by Fisher scoring: all starts, and all directions of each, in one batch.

The Hessian's place is taken by the expected information (McCullagh and Nelder 1989, 2.5), damped as
by Levenberg and Marquardt (Nocedal and Wright 2006, 10.3). Places are z = to_real(theta), where the
prior is a standard normal: its ends are infinitely far, so nothing is bounded.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from raybayes.array_types import Array, Bools

STEPS = 40  # at most
CLOSE = 0.01  # nats: a smaller gain ends the climb
DAMPINGS = np.array([0.1, 1.0, 10.0])  # tried at once, times the last one
FIRST, STUCK = 1e-2, 1e7  # damping; beyond the latter a climb has ended
LONGEST = 1.0  # of a step, in each z
SHARE, LEAST, MOST = 0.3, 1e-4, 0.05  # of a sd: the difference that a derivative is taken over


@dataclass
class Task:
    """What a climb is of: an observation's likelihood, through what it is expected to be.

    Attributes:
        predict: z [n, d] -> expected [n, m]; NaN in rows that cannot be simulated.
        log_likelihood: expected [n, m] -> [n], nats; -inf where it cannot be.
        score: expected [n, m] -> by how much each entry is below the observation's, and the
            information of each: [n, m] both. Their product is the slope of the log-likelihood.
    """

    predict: Callable[[Array], Array]
    log_likelihood: Callable[[Array], Array]
    score: Callable[[Array], tuple[Array, Array]]

    def judged(self, z: Array) -> tuple[Array, Array]:
        """Expected [n, m] at z [n, d], and log p(x | z) p(z) but for a constant [n]."""
        expected = self.predict(z)
        known = np.isfinite(expected).all(axis=1)
        value = np.full(len(z), -np.inf)
        if known.any():
            likely = self.log_likelihood(expected[known])
            value[known] = np.where(np.isnan(likely), -np.inf, likely)
        return expected, np.asarray(value - 0.5 * (z**2).sum(axis=1))


@dataclass(frozen=True)
class Tops:
    """Where climbs ended.

    Attributes:
        z: [k, d]; value: [k], log p(x | z) p(z) but for a constant.
        expected: [k, m]; precision: [k, d, d], the expected information and the prior's.
        simulations: that all climbs took.
    """

    z: Array
    value: Array
    expected: Array
    precision: Array
    simulations: int

    def picked(self, rows: Array | Bools) -> "Tops":
        """Some of them."""
        return Tops(self.z[rows], self.value[rows], self.expected[rows], self.precision[rows],
                    self.simulations)  # fmt: skip

    @property
    def covariance(self) -> Array:
        """[k, d, d], Laplace's."""
        return np.asarray(np.linalg.inv(self.precision))

    @property
    def log_mass(self) -> Array:
        """[k], log of the evidence that Laplace's approximation gives each, but for a constant."""
        d = self.z.shape[1]
        volume = 0.5 * d * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(self.precision)[1]
        return self.value + volume


def climb(
    task: Task,
    starts: Array,
    steps: int = STEPS,
    progress: Callable[[int], object] = lambda done: None,
) -> Tops:
    """Uphill from every start [k, d] that can be simulated, until nothing is gained.

    A place that cannot be simulated fails alone: the step there is not taken.

    Args:
        progress: called after each step with their number so far.
    """
    expected, value = task.judged(starts)
    good = np.isfinite(value)
    z, value, expected = starts[good], value[good], expected[good]
    k, d = z.shape
    damping, done, asked = np.full(k, FIRST), np.zeros(k, bool), len(starts)
    precision = np.tile(np.eye(d), (k, 1, 1))
    for number in range(steps):
        moving = np.flatnonzero(~done)
        if len(moving) == 0:
            break
        slope, precision[moving] = _curvature(task, z[moving], expected[moving], precision[moving])
        tried = _tried(z[moving], slope, precision[moving], damping[moving])
        there, found = task.judged(tried.reshape(-1, d))
        asked += len(moving) * (2 * d + len(DAMPINGS))
        found, there = found.reshape(len(moving), -1), there.reshape(len(moving), len(DAMPINGS), -1)
        best, rows = found.argmax(axis=1), np.arange(len(moving))
        gain = found[rows, best] - value[moving]
        up = gain > 0
        taken = moving[up]
        z[taken], value[taken] = tried[rows, best][up], found[rows, best][up]
        expected[taken] = there[rows, best][up]
        damping[moving] *= np.where(up, DAMPINGS[best], 100.0)
        done[moving] = (up & (gain < CLOSE)) | (damping[moving] > STUCK)
        progress(number + 1)
    if k:
        precision = _curvature(task, z, expected, precision)[1]
        asked += 2 * d * k
    return Tops(z, value, expected, precision, asked)


def _curvature(task: Task, z: Array, expected: Array, before: Array) -> tuple[Array, Array]:
    """Slope [k, d] of log p(x | z) p(z) and minus its expected curvature [k, d, d]."""
    k, d = z.shape
    sd = 1 / np.sqrt(np.einsum("kii->ki", before))
    apart = np.clip(SHARE * sd, LEAST, MOST)[:, :, None] * np.eye(d)  # [k, d, d]
    both = np.stack((z[:, None] + apart, z[:, None] - apart))  # [2, k, d, d]
    ahead, behind = task.predict(both.reshape(-1, d)).reshape(2, k, d, -1)
    # On one side of a place that cannot be simulated the difference is one-sided.
    here = expected[:, None]
    sides = [np.asarray(np.isfinite(side).all(axis=2)) for side in (ahead, behind)]
    width = np.einsum("kii->ki", apart) * (sides[0] + 1.0 * sides[1])
    ahead, behind = (np.where(ok[..., None], side, here)
                     for ok, side in zip(sides, (ahead, behind), strict=True))  # fmt: skip
    slopes = (ahead - behind) / np.maximum(width, LEAST)[..., None]  # [k, d, m]
    below, weight = task.score(expected)
    slope = np.einsum("kdm,km->kd", slopes, weight * below) - z
    weighted = slopes * np.sqrt(weight)[:, None]
    return slope, weighted @ weighted.transpose(0, 2, 1) + np.eye(d)


def _tried(z: Array, slope: Array, precision: Array, damping: Array) -> Array:
    """[k, DAMPINGS, d]: where steps with more and less damping lead."""
    scale = np.einsum("kii->ki", precision)[:, None, :, None] * np.eye(z.shape[1])
    damped = precision[:, None] + (damping[:, None] * DAMPINGS)[..., None, None] * scale
    step = np.linalg.solve(damped, slope[:, None, :, None])[..., 0]
    length = np.abs(step).max(axis=2, keepdims=True) / LONGEST
    return z[:, None] + step / np.maximum(length, 1.0)
