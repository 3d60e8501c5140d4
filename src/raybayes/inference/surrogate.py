"""In place of a simulator, about a posterior: quick to ask, checked where it matters.

What is expected of an observation changes smoothly with theta. About one posterior it is a few
principal components, each a quadratic and what radial basis functions add, exact at the simulations
that were made; many moves ask that. What it gets wrong is known from simulations that it has not
seen, and is taken off by weights.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from scipy.linalg import solve
from scipy.spatial.distance import cdist

from raybayes.array_types import Array, Ints

NODES = 2000  # simulations that it goes through, at most
KEPT = 1e-4  # of the noise's variance: components that hold less in all are left out
SMOOTH = 1e-6  # of a typical r^3, so that simulations at nearly one place do no harm
BEYOND = 1.3  # of the distance within which the nodes lie: farther out it is not asked
TERMS = 0.2  # of the nodes: more terms of the quadratic than so many, and a plane takes its place


@dataclass(frozen=True)
class Surrogate:
    """log p(z | y) of an observation y, but for a constant, where y(z) is interpolated.

    y(z) = mean + c(z) axes; c = quadratic + sum over nodes of |white - node|^3 weight.

    Attributes:
        whiten: [d, d], to where draws are alike in all directions and nodes within 1.
        nodes: [N, d], white; weights: [N + terms, r], of the nodes and of the quadratic.
        powers: [terms, degree], which variables a term multiplies (d stands for 1).
        off: [r], the observation's components; rest: what of its square they do not hold.
    """

    centre: Array
    whiten: Array
    nodes: Array
    powers: Ints
    weights: Array
    off: Array
    rest: float

    def white(self, z: Array) -> Array:
        """[n, d]."""
        return np.asarray((z - self.centre) @ self.whiten)

    def components(self, z: Array) -> Array:
        """c [n, r] at z [n, d]."""
        white, n = self.white(z), len(self.nodes)
        square = cdist(white, self.nodes, "sqeuclidean")
        cubes = square * np.sqrt(square)
        return np.asarray(cubes @ self.weights[:n] + _terms(white, self.powers) @ self.weights[n:])

    def log_p(self, z: Array) -> Array:
        """[n], at z [n, d]; -inf where it is not asked."""
        off = self.off - self.components(z)
        found = -0.5 * ((off**2).sum(axis=1) + self.rest + (z**2).sum(axis=1))
        beyond = np.linalg.norm(self.white(z), axis=1) > BEYOND
        return np.where(beyond, -np.inf, found)


def surrogate(z: Array, y: Array, observed: Array, draws: Array) -> Surrogate:
    """Through simulations y [n, m] at z [n, d], in units of the noise.

    Args:
        observed: [m], in the same unit.
        draws: [k, d], about where the posterior is, which tell in what unit distances are.
    """
    d = draws.shape[1]
    centre = draws.mean(axis=0)
    spread = np.cov(draws.T).reshape(d, d)
    whiten = np.linalg.inv(np.linalg.cholesky(spread + 1e-9 * np.trace(spread) / d * np.eye(d))).T
    nodes = (z - centre) @ whiten
    radius = float(np.linalg.norm(nodes, axis=1).max())
    whiten, nodes = whiten / radius, nodes / radius  # all within 1: well conditioned
    mean = y.mean(axis=0)
    axes = _components(y - mean)
    powers = _powers(d, len(z))
    terms = _terms(nodes, powers)
    cubes = cdist(nodes, nodes) ** 3
    n, t = terms.shape
    system = np.zeros((n + t, n + t))
    system[:n, :n] = cubes + SMOOTH * np.median(cubes) * np.eye(n)
    system[:n, n:], system[n:, :n] = terms, terms.T
    target = np.vstack(((y - mean) @ axes.T, np.zeros((t, len(axes)))))
    weights = solve(system, target, assume_a="sym")
    off = observed - mean
    seen = axes @ off
    return Surrogate(centre, whiten, nodes, powers, weights, seen,
                     float(off @ off - seen @ seen))  # fmt: skip


def _powers(d: int, n: int) -> Ints:
    """[terms, degree]: of a quadratic, or of a plane where it has too many terms."""
    chosen = [*combinations_with_replacement(range(d + 1), 2)]
    return np.array(chosen) if len(chosen) <= TERMS * n else np.arange(d + 1)[:, None]


def _terms(white: Array, powers: Ints) -> Array:
    """[n, terms]."""
    variables = np.column_stack([white, np.ones(len(white))])
    return np.asarray(np.prod(variables[:, powers], axis=2))


def _components(y: Array) -> Array:
    """[r, m]: principal axes that hold all but KEPT of the noise's variance in each entry."""
    power, vectors = np.linalg.eigh(y @ y.T)  # [n, n], where y [n, m] may be of many pixels
    power, vectors = np.maximum(power[::-1], 0.0), vectors[:, ::-1]
    left = np.cumsum(power[::-1])[::-1] / y.size
    count = max(1, int((left > KEPT).sum()))
    axes = vectors[:, :count].T @ y
    return np.asarray(axes / np.linalg.norm(axes, axis=1, keepdims=True))
