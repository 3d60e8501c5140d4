"""The exact posterior by importance nested sampling: Lange, arXiv 2306.16923 (nautilus).

Its draws are picked by their weights, so that some are duplicate draws; MCMC moves part them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.inference.mcmc import mcmc
from raybayes.prior import Prior, log_posterior

RUNS = 2  # independent, to see whether they agree
LEAST = 200  # draws of a run: enough to move
MOVES = 10  # of each draw
MIXED = (
    1.01  # split R-hat below which runs are of one distribution (Vehtari et al., arXiv 1903.08008)
)


@dataclass(frozen=True)
class Reference:
    """Draws of the exact posterior, and whether the sampler converged.

    Attributes:
        draws: [n, d], of equal weight; half from each of two independent runs, and no
            duplicate draws unless one of these stopped at its limit.
        log_evidence: log p(x) of each run, in nats; their difference is its error.
        ess: effective sample size of each run.
        r_hat: [d], between the runs; 1 where they agree.
        evaluations: of the likelihood, in all.
        finished: no run stopped at its limit of evaluations.
    """

    draws: Array
    log_evidence: tuple[float, ...]
    ess: tuple[float, ...]
    r_hat: Array
    evaluations: int
    finished: bool

    @property
    def converged(self) -> bool:
        """Both runs finished, and agree in the posterior."""
        return self.finished and bool((self.r_hat < MIXED).all())


def reference_posterior(
    prior: Prior,
    log_likelihood: Callable[[Array], Array],
    n: int = 4000,
    seed: int = 0,
    live: int = 1000,
    limit: int = 200_000,
) -> Reference:
    """Sample p(theta | x) with the exact likelihood, in the unit cube of the prior.

    Finds separate modes; needs some 1e4 evaluations in six dimensions, and 10 more per draw.

    Args:
        prior: must be N(0, I) in its z, as `Independent` is.
        log_likelihood: theta [m, d] -> log p(x | theta) [m]; see `Simulator.log_likelihood`.
        n: draws, and effective sample size.
        live: points that explore; more of them miss fewer small modes.
        limit: evaluations of each run, before its draws are moved.

    Raises:
        InputError: the likelihood is NaN, or of a wrong shape.
    """
    if n < 2 * RUNS:
        raise InputError(f"n = {n}: ask for at least {2 * RUNS} draws")
    from arviz_stats.base.array import array_stats

    share = -(-n // RUNS)
    runs = [
        _run(prior, log_likelihood, max(share, LEAST), seed * RUNS + i, live, limit)
        for i in range(RUNS)
    ]
    chains = np.stack([run[0] for run in runs])
    return Reference(
        np.concatenate(list(chains[:, :share]))[:n],
        tuple(run[1] for run in runs),
        tuple(run[2] for run in runs),
        np.atleast_1d(array_stats.rhat(chains, chain_axis=0, draw_axis=1)),
        sum(run[3] for run in runs),
        all(run[4] for run in runs),
    )


def _run(
    prior: Prior, log_likelihood: Callable[[Array], Array], n: int, seed: int, live: int, limit: int
) -> tuple[Array, float, float, int, bool]:
    """n draws, log evidence, effective sample size, evaluations, finished."""
    from nautilus import Sampler

    def theta(cube: Array) -> Array:
        return prior.from_real(ndtri(cube[..., : prior.dim]))

    asked = 0

    def checked(points: Array) -> Array:
        nonlocal asked
        asked += len(points)
        values = np.asarray(log_likelihood(points), np.float64)
        if values.shape != (len(points),) or np.isnan(values).any():
            raise InputError(
                f"log_likelihood gave {values.shape} for {len(points)} theta, "
                f"{np.isnan(values).sum()} of them NaN; it must give one number for each"
            )
        return values

    sampler = Sampler(
        theta,
        checked,
        n_dim=max(prior.dim, 2),  # the sampler knows no single parameter: one more does nothing
        n_live=live,
        n_networks=1,  # a likelihood of a millisecond does not repay more
        vectorized=True,
        n_batch=256,
        seed=seed,
    )
    finished = sampler.run(n_eff=n, n_like_max=limit, discard_exploration=True)
    points, log_w, _ = sampler.posterior()
    rng = np.random.default_rng((seed, n))
    draws = points[rng.choice(len(points), n, p=np.exp(log_w))]
    if finished:
        draws = mcmc(draws, log_posterior(prior, checked), MOVES, seed).theta
    return draws, float(sampler.log_z), float(sampler.n_eff), asked, finished
