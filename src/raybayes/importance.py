"""Importance sampling: draws of q become draws of p, and say how far to trust that.

Pareto smoothing and its diagnostic: Vehtari et al., arXiv 1507.02646; a trained posterior
corrected by the exact likelihood: Dax et al., arXiv 2210.05686; draws that are picked by their
weight and then moved: Gilks and Berzuini, J. R. Stat. Soc. B 63, 127 (2001), here by differential
evolution (ter Braak, Stat. Comput. 16, 239 (2006)) and by a law fitted to the others; over
densities between q and p where the weight is on few of them: Del Moral, Doucet and Jasra, J. R.
Stat. Soc. B 68, 411 (2006).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_t
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from raybayes.errors import InputError

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

Array = NDArray[np.float64]

TRUSTED = 0.7  # Pareto k above which no number of draws makes the weights' mean reliable
LEAST = 100  # weights that make a tail
MOVES = 30  # of each draw; some tenth of them is accepted
APART = 4  # different draws for each parameter, or there is nowhere to move
JITTER = 1e-5  # of the length of a move: no draw is bound to a lattice
KEPT = 0.5  # of the draws, in effect, that one step from q towards p leaves
STEPS = 100  # at most
LEAP = 5  # every so many moves, one leaps
BETWEEN = LEAP  # moves after each step; the last one leaps
FREEDOM = 5  # degrees, of a t law: tails heavier than those of a normal law
PARTS = (1, 2, 4, 8)  # of a fitted law
EACH = 10  # draws for each parameter, or it is no part
FITTED = 1000  # draws at most: more tell a law little more
THIN = 1e-12  # least to largest eigenvalue of a correlation; below, the draws lie in a plane
BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}"


@dataclass(frozen=True)
class Refined:
    """Weighted draws of the exact posterior.

    Attributes:
        theta: [n, d], draws of the proposal.
        log_weight: [n], smoothed; their exponentials sum to 1.
        pareto_k: shape of the weights' tail; above 0.7 the proposal was too narrow.
        log_evidence: log p(x), in nats.
        standard_error: of the log evidence, as far as the weights know.
    """

    theta: Array
    log_weight: Array
    pareto_k: float
    log_evidence: float
    standard_error: float

    @property
    def weight(self) -> Array:
        """[n], summing to 1."""
        return np.exp(self.log_weight)

    @property
    def ess(self) -> float:
        """Effective sample size: as many independent exact draws tell as much of a mean."""
        return _ess(self.log_weight)

    @property
    def trusted(self) -> bool:
        return self.pareto_k <= TRUSTED

    @property
    def sentence(self) -> str:
        """How far to trust it, in words."""
        if self.trusted:
            return (
                f"Corrected by the exact likelihood: {self._worth} (Pareto k {self.pareto_k:.2f})."
            )
        if _stuck(self._allowed):
            return f"{self.fault}: do not act on it."
        return (
            f"{self.fault}: train longer, or have its draws led to the exact posterior by moves "
            "(raybayes refine, or Posterior.moved)."
        )

    @property
    def fault(self) -> str:
        """Why the weights cannot be trusted, where they cannot."""
        if _stuck(self._allowed):
            return (
                f"The network's draws that could have made this are in {_counted(self._allowed)}, "
                "as it was not trained on anything like this observation"
            )
        return (
            "The network's posterior is too narrow here to be corrected by weights (Pareto k "
            f"{self.pareto_k:.2f} > {TRUSTED}, {self._worth})"
        )

    @property
    def _allowed(self) -> Array:
        return self.theta[np.isfinite(self.log_weight)]

    @property
    def _worth(self) -> str:
        return f"worth {self.ess:.0f} of {len(self.theta)} draws"

    def quantile(self, levels: Sequence[float]) -> Array:
        """[k, d] for k levels, each parameter by itself."""
        columns = []
        for column in self.theta.T:
            order = np.argsort(column)
            below = np.cumsum(self.weight[order]) - self.weight[order] / 2
            columns.append(np.interp(levels, below, column[order]))
        return np.stack(columns, axis=-1)

    def sample(self, n: int, seed: int = 0) -> Array:
        """[n, d] draws of equal weight; many are twins where n is not well below `ess`.

        `moved` makes them different ones.
        """
        picked = np.random.default_rng(seed).choice(len(self.theta), n, p=self.weight)
        return self.theta[picked]

    def mean(self) -> Array:
        """[d], of the exact posterior."""
        return self.weight @ self.theta

    def sd(self) -> Array:
        """[d]."""
        return np.sqrt(self.weight @ (self.theta - self.mean()) ** 2)


def importance(theta: ArrayLike, log_p: ArrayLike, log_q: ArrayLike) -> Refined:
    """Weigh draws of q by p / q, with the largest weights smoothed.

    Args:
        theta: [n, d] draws of q.
        log_p: [n], log p(x | theta) p(theta); -inf where it cannot be.
        log_q: [n], log of the normalised density they were drawn from.

    Raises:
        InputError: a NaN, too few draws, or no draw that p allows.
    """
    points, above, below = (np.asarray(a, np.float64) for a in (theta, log_p, log_q))
    n = len(points)
    if points.ndim != 2 or not above.shape == below.shape == (n,):
        raise InputError(
            f"theta {points.shape}, log p {above.shape} and log q {below.shape} must be [n, d], "
            "[n] and [n]"
        )
    log_w = above - below
    if np.isnan(log_w).any() or (log_w == np.inf).any():
        raise InputError("a weight is NaN or infinite; look for it in log p and log q")
    allowed = np.isfinite(log_w)
    if allowed.sum() < LEAST:
        raise InputError(
            f"{allowed.sum()} of {n} draws could have made this observation; importance sampling "
            f"needs {LEAST}: give more draws, or sample with reference_posterior"
        )
    log_total = logsumexp(log_w)
    ess = _ess(log_w)
    smoothed = np.full(n, -np.inf)
    smoothed[allowed], pareto_k = _smoothed(log_w[allowed])
    if _stuck(points[allowed]):
        pareto_k = np.inf
    error = np.sqrt(max(1 / ess - 1 / n, 0))  # of the mean weight over itself
    return Refined(points, smoothed, pareto_k, float(log_total - np.log(n)), float(error))


@dataclass(frozen=True)
class Moved:
    """Draws that a Markov chain has moved.

    Attributes:
        theta: [n, d].
        log_p: [n], of the density that they are moved by.
        accepted: the share of the moves that was made.
    """

    theta: Array
    log_p: Array
    accepted: float


def moved(
    theta: ArrayLike,
    log_p: Callable[[Array], Array],
    moves: int = MOVES,
    seed: int = 0,
    quiet: bool = True,
) -> Moved:
    """Move draws of p in a way that leaves p as it is, so that twins part.

    Each draw moves along the difference of two others, so correlations and scales cost nothing;
    every fifth move leaps to where a law says that the others are, which crosses from peak to peak.
    Draws of another density come nearer to p, but not within a few moves to p itself.

    Args:
        theta: [n, d], with 4 d different draws at least where they are to move.
        log_p: [m, d] -> [m], but for a constant; -inf where theta cannot be.
        moves: of each draw, or 0; every one asks for log p at n places, in two halves.
        quiet: no progress bar.

    Raises:
        InputError: too few draws, or a NaN in log p.
    """
    chain = _Chain(theta, (log_p,), np.random.default_rng(seed))
    accepted = chain.move(np.ones(1), moves, quiet)
    return Moved(chain.theta, chain.logs[:, 0], accepted)


def bridged(
    refined: Refined,
    log_p: Callable[[Array], Array],
    log_q: Callable[[Array], Array],
    n: int,
    moves: int = MOVES,
    seed: int = 0,
    quiet: bool = True,
) -> Moved:
    """n draws of equal weight from weighted ones, also where the weight is on few of them.

    They are picked by a power of their weights that leaves half of them in effect, moved by the
    density between, q^(1 - power) p^power, weighed anew, and so on; last they are moved by p.

    Args:
        refined: draws of q, weighed by p / q.
        log_p, log_q: [m, d] -> [m]; log p but for a constant.
        moves: of each draw by p, or 0: they are picked once, twins and all.
        quiet: no progress bar.

    Raises:
        InputError: as `moved`; or q is so far from p that STEPS steps do not lead there.
    """
    rng, left = np.random.default_rng(seed), 1.0  # of the power
    theta, log_w, logs = refined.theta, refined.log_weight, None
    with tqdm(total=1.0, desc="towards p", disable=quiet, bar_format=BAR) as bar:
        for _ in range(STEPS):
            least = KEPT * min(n, np.isfinite(log_w).sum())
            step = _step(log_w, least, left) if moves else left
            rows = rng.choice(len(theta), n, p=softmax(step * log_w))
            theta, logs = theta[rows], None if logs is None else logs[rows]
            left -= step
            bar.update(step)
            if left == 0:
                return moved(theta, log_p, moves, seed, quiet)
            chain = _Chain(theta, (log_p, log_q), rng, logs)
            chain.move(np.array([1 - left, left]), BETWEEN)
            theta, logs = chain.theta, chain.logs
            log_w = logs[:, 0] - logs[:, 1]
    raise InputError(
        f"after {STEPS} steps the draws are {1 - left:.0%} of the way from the network's posterior "
        "to the exact one: it is wrong about this observation; train longer, or sample the exact "
        "one with reference_posterior"
    )


def refitted(
    theta: ArrayLike, log_p: Callable[[Array], Array], n: int = 10_000, seed: int = 0
) -> Refined:
    """Weigh n draws of a law that was fitted to draws of p: a mixture of multivariate t laws.

    Draws that moves have led to p say neither how many independent ones they are worth nor what
    the evidence is; these do, where a law of few peaks with heavy tails is near enough to p.

    Args:
        theta: [m, d] draws of p.
        log_p: [n, d] -> [n], log p(x | theta) p(theta).

    Raises:
        InputError: as `importance`; or the draws lie in a plane, which has no such law.
    """
    rng = np.random.default_rng(seed)
    law = _Law(np.asarray(theta, np.float64), rng)
    tried = law.sample(n, rng)
    return importance(tried, log_p(tried), law.log_prob(tried))


class _Law:
    """A mixture of multivariate t laws near draws [n, d]."""

    def __init__(self, draws: Array, rng: np.random.Generator) -> None:
        some = np.unique(draws, axis=0)  # twins would be taken for a peak
        some = some[:: -(-len(some) // FITTED)]
        self.mean, sd = some.mean(axis=0), some.std(axis=0)
        if not sd.all():
            raise InputError("a parameter is the same in all draws; fit no law to them")
        size, axes = np.linalg.eigh(np.atleast_2d(np.corrcoef(some.T)))
        if size[0] < THIN * size[-1]:
            raise InputError("some parameters tell the others in all draws; fit no law to them")
        # Where the draws are white; parameters may differ by many digits.
        self.to_theta = sd[:, None] * axes * np.sqrt(size)
        self.to_white = (axes / np.sqrt(size)).T / sd
        self.log_det = -np.log(sd).sum() - np.log(size).sum() / 2
        fitted = _mixture((some - self.mean) @ self.to_white.T, int(rng.integers(1 << 31)))
        # Peaks that hardly a draw has found yet are tried often enough to fill.
        self.share = (fitted.weights_ + 1 / len(fitted.weights_)) / 2
        self.parts = [
            multivariate_t(mean, covariance, FREEDOM)
            for mean, covariance in zip(fitted.means_, fitted.covariances_, strict=True)
        ]

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """[n, d], in no order."""
        counts = rng.multinomial(n, self.share)
        white = [
            part.rvs(count, random_state=rng).reshape(count, len(self.mean))
            for part, count in zip(self.parts, counts, strict=True)
        ]
        return self.mean + rng.permutation(np.concatenate(white)) @ self.to_theta.T

    def log_prob(self, theta: Array) -> Array:
        """[n], in nats per unit of theta."""
        white = (theta - self.mean) @ self.to_white.T
        logs = np.stack([np.reshape(part.logpdf(white), len(white)) for part in self.parts])
        return logsumexp(logs, axis=0, b=self.share[:, None]) + self.log_det


def _mixture(white: Array, seed: int) -> "GaussianMixture":
    """Of as many normal laws as the BIC asks for."""
    from sklearn.mixture import GaussianMixture

    n, d = white.shape
    with threadpool_limits(1):  # matrices of d x d; their threads would wait for each other
        laws = [
            GaussianMixture(
                parts, tol=0.01, max_iter=1000, n_init=2, init_params="k-means++", random_state=seed
            ).fit(white)
            for parts in PARTS
            if parts == 1 or n >= EACH * d * parts
        ]
    return min(laws, key=lambda law: law.bic(white))


class _Chain:
    """Draws [n, d] with the logs [n, k] of densities there, moved in place."""

    def __init__(
        self,
        theta: ArrayLike,
        densities: Sequence[Callable[[Array], Array]],
        rng: np.random.Generator,
        logs: Array | None = None,
    ) -> None:
        self.theta = np.array(theta, np.float64)
        if self.theta.ndim != 2:
            raise InputError(f"theta {self.theta.shape}: give [n, d] draws")
        self.densities, self.rng = densities, rng
        self.logs = self._logs(self.theta) if logs is None else logs.copy()

    def move(self, power: Array, moves: int, quiet: bool = True) -> float:
        """By the product of the densities to their powers [k]; the share of moves made."""
        count, d = self.theta.shape
        if moves and _places(self.theta) < APART * d:
            raise InputError(
                f"the draws are in {_counted(self.theta)}, and moving them needs {APART * d}; "
                "where the network found no more, it was not trained on anything like this "
                "observation; else more weights (-n of raybayes refine) make more"
            )
        rng, made = self.rng, 0
        for i in tqdm(range(moves), desc="move draws", disable=quiet or not moves):
            order = rng.permutation(count)
            halves = order[: count // 2], order[count // 2 :]
            for own, other in (halves, halves[::-1]):
                propose = self._leap if (i + 1) % LEAP == 0 else self._along
                tried, favoured = propose(self.theta[own], self.theta[other])
                found = self._logs(tried)
                gained = found @ power - self.logs[own] @ power - favoured
                taken = np.log(rng.random(len(own))) < gained
                made += int((taken & (tried != self.theta[own]).any(axis=1)).sum())
                self.theta[own[taken]], self.logs[own[taken]] = tried[taken], found[taken]
        return made / max(1, moves * count)

    def _along(self, theta: Array, others: Array) -> tuple[Array, Array | float]:
        """Along the difference of two others; and 0, as likely there as back."""
        n, d = theta.shape
        rng = self.rng
        gamma = 2.38 / np.sqrt(2 * d)  # best for a normal law (ter Braak 2006, eq. 2)
        first = rng.integers(len(others), size=n)
        second = (first + rng.integers(1, len(others), size=n)) % len(others)
        stretch = gamma * (1 + JITTER * rng.standard_normal((n, 1)))
        return theta + stretch * (others[first] - others[second]), 0.0

    def _leap(self, theta: Array, others: Array) -> tuple[Array, Array | float]:
        """To draws of a law fitted to the others; and by how many nats it favours them."""
        try:
            law = _Law(others, self.rng)
        except InputError:  # they lie in a plane, which has none
            return self._along(theta, others)
        tried = law.sample(len(theta), self.rng)
        return tried, law.log_prob(tried) - law.log_prob(theta)

    def _logs(self, theta: Array) -> Array:
        found = np.stack([np.asarray(log(theta), np.float64) for log in self.densities], axis=-1)
        if np.isnan(found).any():
            raise InputError("log p of a moved draw is NaN; look for it in the likelihood")
        return found


def _places(theta: Array) -> int:
    """How many different ones there are of draws [n, d]."""
    return len(np.unique(theta, axis=0))


def _stuck(theta: Array) -> bool:
    """Whether draws are in so few places that their weights say nothing of others."""
    return _places(theta) < min(APART * theta.shape[1], len(theta))


def _counted(theta: Array) -> str:
    places = _places(theta)
    return f"{places} place{'s' * (places > 1)}"


def _step(log_w: Array, least: float, left: float) -> float:
    """The largest power, up to `left`, whose weights are worth `least` draws."""
    if _ess(left * log_w) >= least:
        return left
    low, high = 0.0, left
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _ess(middle * log_w) >= least else (low, middle)
    return low


def _ess(log_w: Array) -> float:
    """Of weights that need not sum to 1."""
    return float(np.exp(2 * logsumexp(log_w) - logsumexp(2 * log_w)))


def _smoothed(log_w: Array) -> tuple[Array, float]:
    """Normalised log weights, their tail replaced by a generalised Pareto's quantiles; its k."""
    from arviz_stats.base.array import array_stats

    plain = log_w - logsumexp(log_w)
    if np.ptp(log_w) < 1e-6:  # q is p: there is no tail
        return plain, -np.inf
    try:
        with np.errstate(all="ignore"):  # where all of the tail but the largest underflows
            smoothed, k = array_stats.psislw(-log_w)
    except ValueError:  # the tail's weights are all the same
        return plain, np.inf
    usable = np.isfinite(k) and not np.isnan(smoothed).any()
    return (smoothed, float(k)) if usable else (plain, np.inf)
