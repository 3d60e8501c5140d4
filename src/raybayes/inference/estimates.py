"""One observation's posterior in a few numbers: means, medians, modes, and their errors."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.differentiate import hessian, jacobian
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from raybayes.array_types import Array, Bools, Ints
from raybayes.density import Density
from raybayes.errors import InputError
from raybayes.inference.posterior import Posterior

STEINBACH = 256  # draws of the estimate in Steinbach (2021)
REACH = 3.0  # z beyond which no mode is sought: what is left of the prior there is 3e-3
NEIGHBOURS = 12  # draws among which a path leads uphill
DEPTH = 1.0  # nats: a shallower valley does not part two modes
SMALLEST = 0.01  # mass of a mode
SAME = 0.2  # posterior sd: tops nearer than this in every parameter are one
STARTS = 4  # highest draws of each mode, from which it is climbed
STEP = 1e-4  # in z, of the slope of the prior's log determinant


@dataclass(frozen=True)
class Mode:
    """A local maximum of q(theta | x) per unit of theta.

    Attributes:
        theta: [d].
        log_q: there, in nats.
        mass: share of the posterior in its basin.
        covariance: [d, d], Laplace's, (-H)^-1; NaN where it is no proper maximum (an edge, a
            ridge).
        at_edge: [d], the density still rises towards the end of the prior: the estimate is the
            prior's end, not the data's.
    """

    theta: Array
    log_q: float
    mass: float
    covariance: Array
    at_edge: Bools


@dataclass(frozen=True)
class Estimates:
    """Point estimates of theta [d], in its units, and how sure they are.

    Attributes:
        n: draws they were made from.
        mean, sd: of the posterior.
        standard_error: of the mean, from the number of draws alone: sd / sqrt(n).
        median: of each parameter by itself.
        geometric_median: the point with the least mean distance to the draws, in units of sd.
        modes: the highest first.
        mean_of_256: Steinbach's (2021), a mean of 256 draws; its standard error is sd / 16, or
            6.25 % of the posterior sd.
        network_sd: sd of the mean over the networks of an ensemble: what training did not settle;
            None for a single network.
    """

    n: int
    mean: Array
    sd: Array
    standard_error: Array
    median: Array
    geometric_median: Array
    modes: tuple[Mode, ...]
    mean_of_256: Array
    network_sd: Array | None

    @property
    def map(self) -> Array:
        """[d]: maximum a posteriori in physical theta; where `modes` has several, read those."""
        return self.modes[0].theta


def estimate(posterior: Posterior, x: ArrayLike, n: int = 2048, seed: int = 0) -> Estimates:
    """All estimates of one observation.

    Args:
        x: [size].
        n: draws.

    Raises:
        InputError: fewer than 256 draws, or more than one observation.
    """
    if n < STEINBACH or np.ndim(x) != 1:
        raise InputError(
            f"n = {n}, x of {np.ndim(x)} axes: give n >= {STEINBACH} and one observation"
        )
    draws = posterior.sample(x, n, seed)
    sd = draws.std(axis=0, ddof=1)
    means = [member.mean(x, n, seed) for member in posterior.members]
    return Estimates(
        n,
        draws.mean(axis=0),
        sd,
        sd / np.sqrt(n),
        np.median(draws, axis=0),
        geometric_median(draws),
        modes(posterior, x, draws),
        posterior.mean(x, STEINBACH, seed + 1),
        np.std(means, axis=0, ddof=1) if len(means) > 1 else None,
    )


def geometric_median(draws: ArrayLike) -> Array:
    """[d]: the point with the least mean distance to draws [n, d], in units of their sd."""
    points = np.asarray(draws, np.float64)
    centre, sd = points.mean(axis=0), points.std(axis=0)
    scaled = (points - centre) / sd

    def distance(place: Array) -> tuple[float, Array]:
        apart = place - scaled
        far = np.linalg.norm(apart, axis=1)
        return far.mean(), (apart / np.maximum(far, 1e-12)[:, None]).mean(axis=0)

    return centre + sd * minimize(distance, np.zeros(points.shape[1]), jac=True).x


def modes(posterior: Posterior, x: ArrayLike, draws: ArrayLike) -> tuple[Mode, ...]:
    """Modes of q(theta | x) in physical theta, the highest first.

    Draws that a path over neighbouring draws joins without a valley belong to one mode; from the
    highest of them its maximum is climbed.

    Args:
        x: [size].
        draws: [n, d] of this posterior, which give the masses.
    """
    points = np.asarray(draws, np.float64)
    scale, height = points.std(axis=0), posterior.log_prob(points, x)
    basin = basins(points / scale, height)
    tops: list[tuple[Array, float, float]] = []  # z, log q, mass
    for label in np.unique(basin):
        inside = basin == label
        starts = points[inside][np.argsort(-height[inside])[:STARTS]]
        z, log_q = max((_climb(posterior, x, s) for s in starts), key=lambda top: top[1])
        tops.append((z, log_q, float(inside.mean())))
    found: list[Mode] = []
    for z, log_q, _ in sorted(tops, key=lambda top: -top[1]):
        theta = posterior.prior.from_real(z)
        if any((np.abs(theta - other.theta) < SAME * scale).all() for other in found):
            continue
        # Few draws in many dimensions leave gaps in a ridge; its parts climb to one top.
        near = [np.abs(posterior.prior.from_real(t[0]) - theta) < SAME * scale for t in tops]
        mass = sum(top[2] for top, same in zip(tops, near, strict=True) if same.all())
        edge = np.abs(z) > REACH - 1e-3
        found.append(Mode(theta, log_q, mass, _laplace(posterior, x, z), edge))
    return tuple(found)


def basins(points: Array, height: Array) -> Ints:
    """[n]: the index of the draw that stands for each draw's mode.

    Steepest ascent over nearest neighbours; two modes are one where the pass between them is less
    than DEPTH below the lower (Chazal et al., J. ACM 60, 41, 2013).

    Args:
        points: [n, d] in comparable units; height: [n], their log density.
    """
    tree = cKDTree(points)
    near = tree.query(points, np.arange(min(NEIGHBOURS + 1, len(points))) + 1)[1][:, 1:]
    parent = np.arange(len(points))

    def top(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i in np.argsort(-height):
        higher = near[i][height[near[i]] > height[i]]
        for j in higher[np.argsort(-height[higher])]:
            mine, other = top(i), top(j)
            low, high = sorted((mine, other), key=lambda peak: height[peak])
            if height[low] - height[i] < DEPTH:  # of i itself: nothing, so it joins the highest
                parent[low] = high
    label = np.array([top(i) for i in range(len(points))])
    return _without_small(tree, points, label)


def _without_small(tree: cKDTree, points: Array, label: Ints) -> Ints:
    """Draws of modes that are too small go to the nearest other mode."""
    share = np.bincount(label, minlength=len(label))[label] / len(label)
    kept = share >= SMALLEST
    if kept.any():
        nearest = cKDTree(points[kept]).query(points)[1]
        label = label[kept][nearest]
    return label


def _log_det(posterior: Posterior, z: Array) -> Array:
    """[...]: log |dz / dtheta| at z [..., d]."""
    return posterior.prior.log_det_to_real(posterior.prior.from_real(z))


def _climb(posterior: Posterior, x: ArrayLike, start: Array) -> tuple[Array, float]:
    """The maximum uphill of theta, as z, and log q(theta | x) there.

    The network's slope is exact; that of the prior's Jacobian, which makes it one in physical
    theta, is a central difference, so that any prior will do.
    """
    seen = jnp.asarray(x, jnp.float32)
    offsets = STEP * np.eye(len(start))

    def descent(z: Array) -> tuple[float, Array]:
        log_q, slope = _value_and_slope(posterior.density, jnp.asarray(z, jnp.float32), seen)
        around = np.concatenate([z[None], z + offsets, z - offsets])
        here, ahead, behind = np.split(_log_det(posterior, around), [1, 1 + len(z)])
        value = float(log_q) + float(here[0])
        gradient = np.asarray(slope, np.float64) + (ahead - behind) / (2 * STEP)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return 1e30, np.zeros_like(z)  # outside of the density's support: not this way
        return -value, -gradient

    z = np.clip(posterior.prior.to_real(start), -REACH, REACH)
    best = minimize(descent, z, jac=True, method="L-BFGS-B", bounds=[(-REACH, REACH)] * len(z))
    return best.x, -float(best.fun)


def _laplace(posterior: Posterior, x: ArrayLike, z: Array) -> Array:
    """(-H)^-1 of log q(theta | x) in theta at a maximum z; NaN where there is none."""

    def log_det(points: Array) -> Array:  # [d, ...] as scipy wants it
        return _log_det(posterior, np.moveaxis(points, 0, -1))

    def theta(points: Array) -> Array:
        return np.moveaxis(posterior.prior.from_real(np.moveaxis(points, 0, -1)), -1, 0)

    here, seen = jnp.asarray(z, jnp.float32), jnp.asarray(x, jnp.float32)
    bend = np.asarray(_hessian(posterior.density, here, seen), np.float64)
    bend = bend + hessian(log_det, z, initial_step=0.1).ddf
    values, vectors = np.linalg.eigh((bend + bend.T) / 2)
    if not (values < 0).all() or (np.abs(z) > REACH - 1e-3).any():
        return np.full((len(z), len(z)), np.nan)
    # The slope is zero there, so that H transforms as a tensor.
    stretch = jacobian(theta, z, initial_step=0.1).df @ vectors
    return stretch / -values @ stretch.T


@eqx.filter_jit
def _value_and_slope(density: Density, z: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jax.value_and_grad(lambda one: density.log_prob(one, x))(z)


@eqx.filter_jit
def _hessian(density: Density, z: jax.Array, x: jax.Array) -> jax.Array:
    return jax.hessian(lambda one: density.log_prob(one, x))(z)
