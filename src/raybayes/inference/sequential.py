"""Rounds of propose, simulate, fit, for one observation x_o; `init` and `step` are pure.

SNPE-C with atoms: Greenberg, Nonnenmacher and Macke, arXiv 1905.07488; truncated proposals
(TSNPE): Deistler, Goncalves and Macke, arXiv 2210.04815. Any density of the engine serves in
either. What differs between the methods is a proposal and a number of atoms.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array, Bools
from raybayes.errors import InputError
from raybayes.inference.estimator import Estimator, Proposed
from raybayes.inference.posterior import Posterior
from raybayes.prior import Prior, log_prob_of_z

Proposal = Callable[[Posterior, Array, int, np.random.Generator], Array]
Draw = Callable[[Array, np.random.Generator], Array]

PROPOSED = 1 << 14  # draws looked at together
LEAST = 1e-4  # share of a proposal that must be kept
OWN = 10_000  # draws that give the level of a truncation
ENDS = 100_000  # draws that show where a prior ends
CANDIDATES = 64  # for one draw, where the prior is too wide to be cut


@dataclass(frozen=True)
class Method:
    """How theta of a later round are proposed, and how the network learns from them.

    Attributes:
        atoms: 1: plain likelihood, right where proposals are the prior, cut or whole.
    """

    name: str
    propose: Proposal
    atoms: int = 1


@dataclass(frozen=True)
class State:
    """All pairs so far, and what was made of them.

    Attributes:
        theta, x: [n, d] and [n, size] of all rounds; x without noise where noise is added later.
        drawn: how many of them are of the first round, whose theta the prior drew.
        posterior: after the last round; None before the first.
    """

    theta: Array
    x: Array
    drawn: int = 0
    rounds: int = 0
    posterior: Posterior | None = None

    def joined(self, theta: Array, x: Array) -> "State":
        """With the pairs of one round more, of which nothing has been made yet.

        Args:
            theta, x: [n, d] and [n, size].
        """
        every = np.concatenate([self.theta, theta]), np.concatenate([self.x, x])
        return State(*every, self.drawn or len(theta), self.rounds + 1)


@dataclass(frozen=True)
class Sequential:
    """One observation's posterior, by simulations that are proposed where it matters.

    Attributes:
        estimator: which density, and how it is trained in every round; later rounds go on from
            the weights of the last.
        x_o: [size], the observation.
        simulate: (theta [n, d], generator) -> x [n, size].
        noise: (x, generator) -> noisy x, as long, drawn afresh in every epoch; None: x has its
            noise.
    """

    estimator: Estimator
    x_o: Array
    simulate: Draw
    method: Method
    noise: Draw | None = None

    def init(self) -> State:
        """Nothing yet.

        Raises:
            InputError: x_o is not one observation, or not finite.
        """
        x_o = np.asarray(self.x_o)
        if x_o.ndim != 1 or not np.isfinite(x_o).all():
            raise InputError(
                f"x_o of shape {x_o.shape} must be one observation, [size], of finite numbers"
            )
        return State(np.empty((0, self.estimator.prior.dim)), np.empty((0, len(x_o))))

    def pairs(self, state: State, n: int) -> tuple[Array, Array]:
        """The n pairs of the next round; of the seed, the round and the last posterior alone.

        Returns:
            theta [n, d] and x [n, size].

        Raises:
            InputError: the simulator gives x of another shape, or hardly any proposal is inside
                the prior.
        """
        rng = np.random.default_rng((self.estimator.seed, state.rounds))
        if state.posterior is None:
            theta = self.estimator.prior.sample(n, rng)
        else:
            theta = self.method.propose(state.posterior, self.x_o, n, rng)
        x = np.asarray(self.simulate(theta.copy(), rng))
        if x.shape != (n, len(self.x_o)):
            raise InputError(
                f"the simulator gave x of shape {x.shape}; it must be [{n}, {len(self.x_o)}], as "
                "long as x_o"
            )
        return theta, x

    def fit(self, state: State, theta: Array, x: Array, checkpoint: Path | None = None) -> State:
        """The state with one round more, its network fitted to all rounds' pairs.

        Args:
            theta, x: [n, d] and [n, size], of this round.
            checkpoint: a file to save training to, and to go on from.
        """
        every = state.joined(theta, x)
        first = state.posterior is None
        posterior = replace(self.estimator, seed=self.estimator.seed + state.rounds).fit(
            every.theta,
            every.x,
            self.noise,
            checkpoint=checkpoint,
            proposed=Proposed(state.posterior, 1 if first else self.method.atoms, every.drawn),
        )
        return replace(every, posterior=posterior)

    def step(self, state: State, n: int) -> State:
        """One round of n simulations."""
        return self.fit(state, *self.pairs(state, n))


def snpe_c(atoms: int = 10) -> Method:
    """SNPE-C: proposals are the last posterior, cut to the prior (arXiv 1905.07488).

    The pairs of the first round keep their plain likelihood beside that of the atoms.

    Args:
        atoms: theta that each pair's loss compares, its own among them.

    Raises:
        InputError: fewer than two atoms.
    """
    if atoms < 2:
        raise InputError(f"atoms = {atoms}: SNPE-C compares at least two")
    return Method("snpe-c", _inside, atoms)


def tsnpe(quantile: float = LEAST) -> Method:
    """Proposals are the prior, cut to where the last posterior is (2210.04815, alg. 1).

    Args:
        quantile: share of the posterior's own draws that the cut may lose.
    """

    def propose(posterior: Posterior, x_o: Array, n: int, rng: np.random.Generator) -> Array:
        own = posterior.sample(x_o, OWN, int(rng.integers(1 << 31)))
        level = np.quantile(posterior.log_prob(own, x_o), quantile)

        def kept() -> Array:
            theta = posterior.prior.sample(PROPOSED, rng)
            return theta[posterior.log_prob(theta, x_o) > level]

        found = kept()
        if len(found) * CANDIDATES < PROPOSED:
            return _resampled(posterior, x_o, level, n, rng)
        return _gathered(kept, found, n)

    return Method(f"tsnpe, {quantile:g}", propose)


def leakage(posterior: Posterior, x: ArrayLike, n: int = 10_000, seed: int = 0) -> float:
    """Share of the posterior's draws where the prior has no mass; see `inside`.

    Atoms do not constrain what a network puts there. Behind the prior's bijection that is at its
    far ends; a density that is `raw` leaves the support, too.
    """
    return float(1 - _within(posterior.prior)(posterior.sample(x, n, seed)).mean())


def inside(posterior: Posterior, x: ArrayLike, n: int, seed: int = 0) -> Array:
    """[n, d] draws of the posterior where the prior has mass.

    That is where its density of z is no lower than at all of many draws of its own.

    Raises:
        InputError: hardly any draw is there.
    """
    return _inside(posterior, np.asarray(x), n, np.random.default_rng(seed))


def _inside(posterior: Posterior, x_o: Array, n: int, rng: np.random.Generator) -> Array:
    within = _within(posterior.prior)

    def kept() -> Array:
        theta = posterior.sample(x_o, PROPOSED, int(rng.integers(1 << 31)))
        return theta[within(theta)]

    return _gathered(kept, kept(), n)


def _within(prior: Prior) -> Callable[[Array], Bools]:
    """Whether the prior has mass at theta [n, d]."""
    level = log_prob_of_z(prior, prior.sample(ENDS, np.random.default_rng(0))).min()

    def within(theta: Array) -> Bools:
        with np.errstate(divide="ignore", invalid="ignore"):  # NaN at an end is not within
            return log_prob_of_z(prior, theta) >= level

    return within


def _gathered(more: Callable[[], Array], found: Array, n: int) -> Array:
    """n rows, from as many calls as it takes."""
    tries = 1
    while len(found) < n:
        if len(found) < LEAST * PROPOSED * tries:
            raise InputError(
                f"of {PROPOSED * tries} proposals {len(found)} lie inside the prior: the network "
                "leaks; take tsnpe(), or more simulations in each round"
            )
        found, tries = np.concatenate([found, more()]), tries + 1
    return found[:n]


def _resampled(
    posterior: Posterior, x_o: Array, level: float, n: int, rng: np.random.Generator
) -> Array:
    """The cut prior by sampling importance resampling of the posterior (2210.04815, sec. A.2)."""
    theta = posterior.sample(x_o, n * CANDIDATES, int(rng.integers(1 << 31)))
    log_q = posterior.log_prob(theta, x_o)
    log_w = np.where(log_q > level, posterior.prior.log_prob(theta) - log_q, -np.inf)
    groups = theta.reshape(n, CANDIDATES, -1)
    gumbel = rng.gumbel(size=log_w.shape)  # the largest of log w + Gumbel is a draw of weight w
    best = (log_w + gumbel).reshape(n, CANDIDATES).argmax(axis=1)
    return groups[np.arange(n), best]
