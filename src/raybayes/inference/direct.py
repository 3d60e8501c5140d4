"""The posterior of one observation without a network: modes, a surrogate about them, weights.

A Sobol design over the prior finds where to begin; climbs follow what is summed up of the
observation first (where a beam is beside the measured one, its profile says nothing of the way),
then the observation itself. About the tops a surrogate takes the simulator's place: adaptive
importance sampling by it makes draws, and weights by the exact likelihood take off what it gets
wrong. Rounds of this end when the weights are good.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp, ndtri, softmax
from scipy.stats import chi2
from scipy.stats.qmc import Sobol
from threadpoolctl import threadpool_limits

from raybayes.array_types import Array
from raybayes.errors import InputError, stop_if_asked
from raybayes.inference.adaptive import ABOUT, adaptive, parted
from raybayes.inference.importance import Refined, importance
from raybayes.inference.laplace import apart, laplace_mixture
from raybayes.inference.mcmc import power_worth
from raybayes.inference.proposal import Components, TMixture
from raybayes.inference.scoring import Task, Tops, climb
from raybayes.inference.surrogate import NODES, surrogate

FOLLOWING = 12  # steps of a climb by what is summed up
LIKELY = 8  # starts by the observation itself, beside those that are followed
ROUNDS = 8  # at most
WORTH, SURE = 0.4, 0.6  # of draws that weights are worth, and Pareto k, for no more to be learned
TEMPERED = 50  # draws for each parameter that weights are worth, or their power
REMEMBERED = 8000  # simulations, the likeliest
DEEPEST = 0.9999  # of a normal posterior's mass: how deep below its top simulations are nodes
FEW = 0.25  # share of wide draws
FLAT, WIDER = 0.4, 1.2  # the power of the posterior that they are fitted to, and how much wider
ENDS = 1e-6  # of the prior's mass at either side, where no design begins

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Effort:
    """How much work it is.

    Attributes:
        design: places over the prior, a power of 2; starts: climbs; each: simulations of a round.
        draws: simulations of a round once a smaller one was good.
    """

    design: int = 1024
    starts: int = 24
    each: int = 1000
    draws: int = 4000


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
    kept = Remembered(seen.task)
    rng = np.random.default_rng(seed)
    progress("looking over the prior")
    starts, dark = _starts(seen, kept, dim, effort, rng)
    progress(f"climbing from {len(starts)} places")
    tops = apart(climb(kept, starts))
    if len(tops.z) == 0:
        raise InputError("nowhere in the prior can this observation be made: no climb ended")
    # Matrices of d x d; their threads would wait for each other.
    with threadpool_limits(1):
        weighed, log_p, rounds = _rounds(seen, kept, laplace_mixture(tops), effort, rng, progress)
    return Direct(weighed, log_p, tops, rounds, dark, kept.count)


class Remembered(Task):
    """A task that counts its simulations, and keeps the likeliest of those that were judged."""

    def __init__(self, task: Task) -> None:
        super().__init__(self._ask, task.log_likelihood, task.score)
        self._task, self.count = task, 0
        self._made: list[tuple[Array, Array, Array]] = []

    def _ask(self, z: Array) -> Array:
        stop_if_asked()
        self.count += len(z)
        return self._task.predict(z)

    def judged(self, z: Array) -> tuple[Array, Array]:
        expected, value = super().judged(z)
        good = np.isfinite(value)
        self._made.append((z[good], expected[good], value[good]))
        every = [np.concatenate(part) for part in zip(*self._made, strict=True)]
        order = np.argsort(-every[2])[:REMEMBERED]
        self._made = [(every[0][order], every[1][order], every[2][order])]
        return expected, value

    def nodes(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """z [n, d] and expected [n, m], all over the posterior: its top and what lies around."""
        z, expected, value = self._made[0]
        deep = int((value > value[0] - 0.5 * chi2.ppf(DEEPEST, z.shape[1])).sum())
        top = min(NODES // 2, len(z))
        rest = np.arange(top, max(deep, min(NODES, len(z))))
        some = rng.permutation(rest)[: NODES - top]
        rows = np.concatenate((np.arange(top), some))
        _, once = np.unique(z[rows], axis=0, return_index=True)
        return z[rows[once]], expected[rows[once]]


def _starts(
    seen: Seen, kept: Remembered, dim: int, effort: Effort, rng: np.random.Generator
) -> tuple[Array, float]:
    """Where climbs begin [k, d], and the share of the design that gives nothing to see."""
    cube = Sobol(dim, rng=rng).random(effort.design)
    z = ndtri(np.clip(cube, ENDS, 1 - ENDS))
    expected, value = kept.judged(z)

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
    following = Task(lambda at: seen.summarise(kept.predict(at)), likely, score)
    order = np.argsort(-np.where(visible, likely(summary) - 0.5 * (z**2).sum(axis=1), -np.inf))
    order = order[: min(effort.starts, int(visible.sum()))]
    followed = climb(following, z[order], FOLLOWING).z
    best = z[np.argsort(-value)[:LIKELY]]
    return np.concatenate((followed, best)), float(1 - visible.mean())


@dataclass(frozen=True)
class Drawn:
    """Exactly judged draws of one proposal: z [n, d], log p(x, z) [n], and the proposal's log q."""

    z: Array
    log_p: Array
    log_q: Callable[[Array], Array]


def pooled(every: Sequence[Drawn]) -> tuple[Refined, Array]:
    """All draws, weighed as if of the mixture of all proposals; and their log p(x, z).

    Veach and Guibas, SIGGRAPH 1995, the balance heuristic: where a proposal is too narrow, another
    one's draws do not get its large weights.
    """
    z, log_p = (np.concatenate([getattr(one, key) for one in every]) for key in ("z", "log_p"))
    share = np.array([len(one.z) for one in every]) / len(z)
    parts = np.stack([one.log_q(z) for one in every])
    return importance(z, log_p, logsumexp(parts, axis=0, b=share[:, None])), log_p


def _rounds(
    seen: Seen, kept: Remembered, mixture: Components, effort: Effort, rng: np.random.Generator,
    progress: Progress,
) -> tuple[Refined, Array, int]:  # fmt: skip
    """Simulations near the posterior, a surrogate through them, draws by it; again, until weights
    are good."""
    z = mixture.sample(effort.each, rng)
    every, error = [Drawn(z, _log_p(kept, z), mixture.log_prob)], 0.0
    n, (weighed, log_p) = effort.each, pooled(every)
    for number in range(1, ROUNDS + 1):
        progress(f"round {number}")
        drawn, error = _drawn(seen, kept, (weighed, log_p), n, rng)
        every.append(drawn)
        alone = importance(drawn.z, drawn.log_p, drawn.log_q(drawn.z))
        weighed, log_p = pooled(every)
        if weighed.pareto_k < SURE and weighed.ess > WORTH * effort.draws:
            break
        if alone.trusted and alone.ess > WORTH * n:
            n = effort.draws  # a few have shown that it is time for many
    error = float(np.hypot(weighed.standard_error, error))
    return replace(weighed, standard_error=error), log_p, number


def _drawn(
    seen: Seen, kept: Remembered, so_far: tuple[Refined, Array], n: int, rng: np.random.Generator
) -> tuple[Drawn, float]:
    """n draws by a surrogate, and some wider ones; and the relative error of its integral."""
    weighed, log_p = so_far
    about = _picked(weighed, weighed.log_weight, rng)
    nodes, expected = kept.nodes(rng)
    near = surrogate(nodes, seen.stable(expected), seen.y, about)
    close = adaptive(near.log_p, about, n, rng)
    # Where the surrogate is too narrow, or is not asked, a few wide draws tell.
    flat = _picked(weighed, weighed.log_weight + (FLAT - 1) * log_p, rng)
    wide = TMixture(flat, rng, WIDER)
    few = round(FEW * n)
    z = np.concatenate((close.sample(n - few, rng), wide.sample(few, rng)))

    def log_q(at: Array) -> Array:
        parts = np.stack((near.log_p(at) - close.log_mass, wide.log_prob(at)))
        return np.asarray(logsumexp(parts, axis=0, b=np.array([[1 - few / n], [few / n]])))

    return Drawn(z, _log_p(kept, z), log_q), close.standard_error


def _log_p(task: Task, z: Array) -> Array:
    """log p(x, z) [n], in nats."""
    return task.judged(z)[1] - 0.5 * z.shape[1] * np.log(2 * np.pi)


def _picked(weighed: Refined, log_weight: Array, rng: np.random.Generator) -> Array:
    """Draws of equal weight from those with log weights [n], a little apart."""
    n, d = weighed.theta.shape
    power = power_worth(log_weight, min(TEMPERED * d, n / 2), 1.0)
    share = softmax(power * log_weight)
    return parted(weighed.theta[rng.choice(n, ABOUT, p=share)], rng)
