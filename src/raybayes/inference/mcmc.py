"""Markov chain Monte Carlo: moves of a set of draws that leave a density as it is.

Draws that are picked by their weights and then moved: Gilks and Berzuini, J. R. Stat. Soc. B 63,
127 (2001), here by differential evolution (ter Braak, Stat. Comput. 16, 239 (2006)) and by
independence moves from a mixture that is fitted to the other draws. Tempering from q to p: Del
Moral, Doucet and Jasra, J. R. Stat. Soc. B 68, 411 (2006).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax
from tqdm import tqdm

from raybayes.array_types import Array
from raybayes.errors import InputError, stop_if_asked
from raybayes.inference.importance import (
    APART,
    Refined,
    distinct,
    effective_size,
    in_places,
)
from raybayes.inference.proposal import TMixture

MOVES = 30  # MCMC moves of each draw; some tenth of them is accepted
JITTER = 1e-5  # of the length of a move: no draw is bound to a lattice
KEPT = 0.5  # of the draws, in effect, that one step from q towards p leaves
STEPS = 100  # at most
INDEPENDENCE = 5  # every so many MCMC moves, one is an independence move
BETWEEN = INDEPENDENCE  # MCMC moves after each step; the last one is an independence move
BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}"


@dataclass(frozen=True)
class McmcDraws:
    """Draws after MCMC moves.

    Attributes:
        theta: [n, d].
        log_p: [n], of the density that the moves leave as it is, in nats.
        accepted: the share of the moves that was accepted.
    """

    theta: Array
    log_p: Array
    accepted: float


def mcmc(
    theta: ArrayLike,
    log_p: Callable[[Array], Array],
    moves: int = MOVES,
    seed: int = 0,
    quiet: bool = True,
) -> McmcDraws:
    """Move draws of p by MCMC moves, which leave p as it is, so that duplicate draws part.

    A differential-evolution move goes along the difference of two other draws, so correlations and
    scales cost nothing; every fifth move is an independence move, to a draw of a mixture that is
    fitted to the other draws, which crosses from peak to peak. Draws of another density come nearer
    to p, but not within a few moves to p itself.

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
    return McmcDraws(chain.theta, chain.logs[:, 0], accepted)


def tempered(
    refined: Refined,
    log_p: Callable[[Array], Array],
    log_q: Callable[[Array], Array],
    n: int,
    moves: int = MOVES,
    seed: int = 0,
    quiet: bool = True,
) -> McmcDraws:
    """n draws of equal weight from weighted ones, also where the weight is on few of them.

    They are picked by a power of their weights that leaves half of them in effect, moved by the
    tempered density between, q^(1 - power) p^power, weighed anew, and so on; last they are moved
    by p.

    Args:
        refined: draws of q, weighed by p / q.
        log_p, log_q: [m, d] -> [m]; log p but for a constant.
        moves: of each draw by p, or 0: they are picked once, duplicate draws and all.
        quiet: no progress bar.

    Raises:
        InputError: as `mcmc`; or q is so far from p that STEPS steps do not lead there.
    """
    rng, left = np.random.default_rng(seed), 1.0  # of the power
    theta, log_w, logs = refined.theta, refined.log_weight, None
    with tqdm(total=1.0, desc="towards p", disable=quiet, bar_format=BAR) as bar:
        for _ in range(STEPS):
            least = KEPT * min(n, np.isfinite(log_w).sum())
            step = power_worth(log_w, least, left) if moves else left
            rows = rng.choice(len(theta), n, p=softmax(step * log_w))
            theta, logs = theta[rows], None if logs is None else logs[rows]
            left -= step
            bar.update(step)
            if left == 0:
                return mcmc(theta, log_p, moves, seed, quiet)
            chain = _Chain(theta, (log_p, log_q), rng, logs)
            chain.move(np.array([1 - left, left]), BETWEEN)
            theta, logs = chain.theta, chain.logs
            log_w = logs[:, 0] - logs[:, 1]
    raise InputError(
        f"after {STEPS} steps the draws are {1 - left:.0%} of the way from the network's posterior "
        "to the exact one: it is wrong about this observation; train longer, or sample the exact "
        "one with reference_posterior"
    )


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
        """By the product of the densities to their powers [k]; the share of accepted moves."""
        count, d = self.theta.shape
        if moves and distinct(self.theta) < APART * d:
            raise InputError(
                f"the draws are in {in_places(self.theta)}, and moving them needs {APART * d}; "
                "where the network found no more, it was not trained on anything like this "
                "observation; else more weights (-n of raybayes refine) make more"
            )
        rng, accepted = self.rng, 0
        for i in tqdm(range(moves), desc="move draws", disable=quiet or not moves):
            stop_if_asked()
            order = rng.permutation(count)
            halves = order[: count // 2], order[count // 2 :]
            independent = (i + 1) % INDEPENDENCE == 0
            propose = self._independence_move if independent else self._differential_evolution_move
            for own, other in (halves, halves[::-1]):
                tried, favoured = propose(self.theta[own], self.theta[other])
                found = self._logs(tried)
                gained = found @ power - self.logs[own] @ power - favoured
                taken = np.log(rng.random(len(own))) < gained
                accepted += int((taken & (tried != self.theta[own]).any(axis=1)).sum())
                self.theta[own[taken]], self.logs[own[taken]] = tried[taken], found[taken]
        return accepted / max(1, moves * count)

    def _differential_evolution_move(
        self, theta: Array, others: Array
    ) -> tuple[Array, Array | float]:
        """Along the difference of two others; and 0, as likely there as back."""
        n, d = theta.shape
        rng = self.rng
        gamma = 2.38 / np.sqrt(2 * d)  # best for a normal distribution (ter Braak 2006, eq. 2)
        first = rng.integers(len(others), size=n)
        second = (first + rng.integers(1, len(others), size=n)) % len(others)
        stretch = gamma * (1 + JITTER * rng.standard_normal((n, 1)))
        return theta + stretch * (others[first] - others[second]), 0.0

    def _independence_move(self, theta: Array, others: Array) -> tuple[Array, Array | float]:
        """To draws of a mixture fitted to the others; and by how many nats it favours them."""
        try:
            proposal = TMixture(others, self.rng)
        except InputError:  # they lie in a plane, to which no density can be fitted
            return self._differential_evolution_move(theta, others)
        tried = proposal.sample(len(theta), self.rng)
        return tried, proposal.log_prob(tried) - proposal.log_prob(theta)

    def _logs(self, theta: Array) -> Array:
        found = np.stack([np.asarray(log(theta), np.float64) for log in self.densities], axis=-1)
        if np.isnan(found).any():
            raise InputError("log p of a moved draw is NaN; look for it in the likelihood")
        return found


def power_worth(log_w: Array, least: float, left: float) -> float:
    """The largest power, up to `left`, by which weights [n] are worth `least` draws."""
    if effective_size(left * log_w) >= least:
        return left
    low, high = 0.0, left
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if effective_size(middle * log_w) >= least else (low, middle)
    return low
