"""The posterior of one observation without a network: modes, a surrogate about them, weights.

A Sobol design over the prior finds where to begin; climbs follow what is summed up of the
observation first (where a beam is beside the measured one, its profile says nothing of the way),
then the observation itself. About the tops a surrogate takes the simulator's place: tempering and
MCMC moves by it make draws, and weights by the exact likelihood take off what it gets wrong. Rounds
of this end when the weights are good.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp, ndtri, softmax
from scipy.stats.qmc import Sobol
from threadpoolctl import threadpool_limits

from raybayes.array_types import Array
from raybayes.errors import InputError, stop_if_asked
from raybayes.inference.importance import Refined, effective_size, importance
from raybayes.inference.laplace import LaplaceMixture, apart
from raybayes.inference.mcmc import power_worth
from raybayes.inference.proposal import TMixture
from raybayes.inference.scoring import Task, Tops, climb
from raybayes.inference.surrogate import NODES, Surrogate, surrogate

FOLLOWING = 12  # steps of a climb by what is summed up
LIKELY = 8  # starts by the observation itself, beside those that are followed
ROUNDS = 8  # at most
WORTH = 0.3  # of the draws: where weights are worth as many, no more is learned
TEMPERED = 50  # draws for each parameter that weights are worth, or their power
ABOUT, APART = 1000, 0.1  # draws that a mixture is fitted to, moved apart by so many sd
TRIED, BATCHES = 10_000, 10  # draws of a mixture; of so many mixtures at most
PLENTY = 1.0  # independent draws by the surrogate for each that is weighed
ENDS = 1e-6  # of the prior's mass at either side, where no design begins

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Effort:
    """How much work it is.

    Attributes:
        design: places over the prior, a power of 2; starts: climbs; each: simulations of a round.
        draws: that are weighed at the end; moves: of each by MCMC, by the surrogate.
    """

    design: int = 1024
    starts: int = 24
    each: int = 1000
    draws: int = 4000
    moves: int = 30


@dataclass(frozen=True)
class Direct:
    """A posterior in z = to_real(theta), and how far to trust it.

    Attributes:
        weighed: draws with weights by the exact likelihood.
        log_p: [n], of these draws, log p(x, z).
        tops: where climbs ended, the largest mass first.
        rounds: that it took; dark: share of the design where nothing can be seen.
        simulations: that all took.
    """

    weighed: Refined
    log_p: Array
    tops: Tops
    rounds: int
    dark: float
    simulations: int


@dataclass(frozen=True)
class Seen:
    """An observation as a direct posterior needs it.

    Attributes:
        task: its likelihood.
        stable: expected [n, m] -> [n, k] in units of the noise at every level, and so y: [k], of
            the observation.
        summarise: expected [n, m] -> [n, s], NaN where there is nothing to sum up; summary: [s], of
            the observation, and near: [s], how near an expected one should come.
    """

    task: Task
    stable: Callable[[Array], Array]
    y: Array
    summarise: Callable[[Array], Array]
    summary: Array
    near: Array


def direct(
    seen: Seen,
    dim: int,
    effort: Effort = Effort(),
    seed: int = 0,
    progress: Progress = lambda stage: None,
) -> Direct:
    """Modes, then draws.

    Args:
        progress: called with the name of each stage as it begins.

    Raises:
        InputError: nothing in the design can be seen, or no draw could have made the observation.
    """
    kept = _Kept(seen.task)
    seen = replace(seen, task=kept)
    rng = np.random.default_rng(seed)
    progress("looking over the prior")
    starts, dark = _starts(seen, dim, effort, rng)
    progress(f"climbing from {len(starts)} places")
    tops = apart(climb(kept, starts))
    if len(tops.z) == 0:
        raise InputError("nowhere in the prior can this observation be made: no climb ended")
    # Matrices of d x d; their threads would wait for each other.
    with threadpool_limits(1):
        weighed, log_p, rounds = _rounds(seen, LaplaceMixture(tops), effort, rng, progress)
    return Direct(weighed, log_p, tops, rounds, dark, kept.count)


class _Kept(Task):
    """A task that counts its simulations, and keeps the likeliest of those that were judged."""

    count: int
    made: tuple[Array, Array, Array]

    def __init__(self, task: Task) -> None:
        ask = task.predict

        def counted(z: Array) -> Array:
            stop_if_asked()
            vars(self)["count"] += len(z)
            return ask(z)

        super().__init__(counted, task.log_likelihood, task.score)
        vars(self).update(count=0)

    def judged(self, z: Array) -> tuple[Array, Array]:
        expected, value = super().judged(z)
        good = np.isfinite(value)
        new = (z[good], expected[good], value[good])
        parts = zip(self.made, new, strict=True) if "made" in vars(self) else ((n,) for n in new)
        every = [np.concatenate(part) for part in parts]
        likeliest = np.argsort(-every[2])[:NODES]
        vars(self).update(made=tuple(part[likeliest] for part in every))
        return expected, value


def _starts(seen: Seen, dim: int, effort: Effort, rng: np.random.Generator) -> tuple[Array, float]:
    """Where climbs begin [k, d], and the share of the design that gives nothing to see."""
    cube = Sobol(dim, rng=rng).random(effort.design)
    z = ndtri(np.clip(cube, ENDS, 1 - ENDS))
    expected, value = seen.task.judged(z)

    def score(summary: Array) -> tuple[Array, Array]:
        return seen.summary - summary, np.broadcast_to(seen.near**-2.0, summary.shape)

    def likely(summary: Array) -> Array:
        return np.asarray(-0.5 * (((seen.summary - summary) / seen.near) ** 2).sum(axis=1))

    summary = seen.summarise(expected)
    visible = np.isfinite(summary).all(axis=1)
    if not visible.any():
        raise InputError(
            f"at none of {len(z)} places over the prior does light arrive in the detector's bins; "
            "widen the prior or the detector, or check the study's beamline (raybayes trace)"
        )
    following = Task(lambda at: seen.summarise(seen.task.predict(at)), likely, score)
    order = np.argsort(-np.where(visible, likely(summary) - 0.5 * (z**2).sum(axis=1), -np.inf))
    order = order[: min(effort.starts, int(visible.sum()))]
    followed = climb(following, z[order], FOLLOWING).z
    best = z[np.argsort(-value)[:LIKELY]]
    return np.concatenate((followed, best)), float(1 - visible.mean())


def _rounds(
    seen: Seen, mixture: LaplaceMixture, effort: Effort, rng: np.random.Generator,
    progress: Progress,
) -> tuple[Refined, Array, int]:  # fmt: skip
    """Simulations near the posterior, a surrogate through them, draws by it; again, until weights
    are good."""
    z = mixture.sample(effort.each, rng)
    weighed, n = importance(z, _log_p(seen, z), mixture.log_prob(z)), effort.each
    for number in range(1, ROUNDS + 1):
        progress(f"round {number}")
        draws, near = _drawn(seen, weighed, n, rng)
        log_p = _log_p(seen, draws)
        weighed = importance(draws, log_p, near(draws))
        if DEBUG: print("     ", n, len(np.unique(draws,axis=0)), "k", weighed.pareto_k, "ess", weighed.ess, weighed.log_evidence)
        good = weighed.trusted and weighed.ess >= WORTH * n
        if n == effort.draws and (good or number == ROUNDS):
            break
        if good or number == ROUNDS - 1:
            n = effort.draws  # a few have shown that it is time for all
    return weighed, log_p, number


def _log_p(seen: Seen, z: Array) -> Array:
    """log p(x, z) [n], in nats."""
    return seen.task.judged(z)[1] - 0.5 * z.shape[1] * np.log(2 * np.pi)


def _drawn(
    seen: Seen, weighed: Refined, n: int, rng: np.random.Generator
) -> tuple[Array, Callable[[Array], Array]]:
    """n draws of the posterior as a surrogate has it, and its log density, normalised."""
    about = _about(weighed, rng)
    made = vars(seen.task)["made"]
    near: Surrogate = surrogate(made[0], seen.stable(made[1]), made[2], seen.y, about)
    mixtures, z, log_p = [], np.zeros((0, about.shape[1])), np.zeros(0)
    for batch in range(BATCHES):
        mixtures.append(TMixture(about, rng))
        tried = mixtures[-1].sample(TRIED, rng)
        z, log_p = np.concatenate((z, tried)), np.concatenate((log_p, near.log_p(tried)))
        # As of one mixture of all that were drawn from: Cornuet et al., arXiv 0907.1254.
        log_q = logsumexp([one.log_prob(z) for one in mixtures], axis=0) - np.log(len(mixtures))
        log_w = log_p - log_q
        if effective_size(log_w) > PLENTY * n:
            break
        about = z[rng.choice(len(z), ABOUT, p=softmax(log_w))]
        about = about + APART * about.std(axis=0) * rng.standard_normal(about.shape)
    if DEBUG: print("     amis", batch+1, effective_size(log_w))
    total = logsumexp(log_w) - np.log(len(log_w))
    share = softmax(log_w)
    # Systematic resampling: no draw is taken more often than its weight asks for.
    places = (np.arange(n) + rng.random()) / n
    picked = z[np.minimum(np.searchsorted(np.cumsum(share), places), len(z) - 1)]
    return picked, lambda at: near.log_p(at) - total


DEBUG = True


def _about(weighed: Refined, rng: np.random.Generator) -> Array:
    """Draws of equal weight from weighted ones, a little apart."""
    n, d = weighed.theta.shape
    power = power_worth(weighed.log_weight, min(TEMPERED * d, n / 2), 1.0)
    picked = weighed.theta[rng.choice(n, ABOUT, p=softmax(power * weighed.log_weight))]
    return picked + APART * picked.std(axis=0) * rng.standard_normal(picked.shape)
