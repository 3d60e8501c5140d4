"""How far to trust a posterior: judged on fresh pairs, and at one observation against the exact.

The room where the two columns meet beside the study: a posterior, the simulator that made its
pairs, and every diagnostic.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from raybayes.array_types import Array
from raybayes.diagnostics import (
    C2ST,
    PRDC,
    Alarm,
    Calibration,
    ConformalCalibration,
    LocalC2ST,
    Predictive,
    c2st,
    chi2_per_bin,
    conformal,
    evidence_alarm,
    hpd,
    local_c2st,
    mahalanobis,
    prdc,
    predictive_check,
    references,
    sbc,
    tarp,
)
from raybayes.errors import InputError
from raybayes.inference.estimates import Estimates, estimate
from raybayes.inference.importance import Refined
from raybayes.inference.posterior import Posterior
from raybayes.simulate.alternative import ascend, log_likelihood, score
from raybayes.simulate.settings import Detectors, JointSimulator
from raybayes.study.run import Checks, Run

LEVEL = 0.68  # of the intervals that are calibrated
PAIRS, DRAWS = 200, 31  # simulated again for the log-likelihood as a test quantity
REFINED = 4000  # draws weighed by the exact likelihood at the observation
NULL, NULL_DRAWS = 100, 200  # observations whose evidence makes the null, draws for each
EXPLAINING = 50  # draws whose predictions an alarm looks at
PREDICTED = 200  # draws simulated again
COMPARED = 600  # draws of each sample that a classifier looks at
STARTING, STARTS = 50, 3  # draws that the likeliest are chosen from, to climb from
TRIALS = 20  # of L-C2ST's null


@dataclass(frozen=True)
class Pairs:
    """A posterior on n fresh pairs that training never saw.

    Attributes:
        theta, x: [n, d] and [n, size].
        draws: [n, L, d].
    """

    theta: Array
    x: Array
    draws: Array


@dataclass(frozen=True)
class Judge:
    """A posterior, beside the simulator and the detector that made its pairs.

    Every judgement is made when it is asked for, and once.
    """

    posterior: Posterior
    simulator: JointSimulator
    pairs: Pairs
    seed: int = 0

    @property
    def detectors(self) -> Detectors:
        """Of the simulator's settings."""
        return self.simulator.detectors

    # -- on all pairs

    @cached_property
    def _subset(self) -> tuple[Array, Array, Array]:
        """theta, x and DRAWS draws of the first pairs."""
        p = self.pairs
        return p.theta[:PAIRS], p.x[:PAIRS], p.draws[:PAIRS, :DRAWS]

    @cached_property
    def log_q(self) -> tuple[Array, Array]:
        """log q of the truths [n] and of their draws [n, DRAWS]."""
        theta, x, draws = self._subset
        every = np.concatenate([theta[:, None], draws], axis=1)
        values = self.posterior.log_prob(every, x)
        return values[:, 0], values[:, 1:]

    @cached_property
    def log_likelihood(self) -> tuple[Array, Array]:
        """log p(x | theta) of the truths [n] and of their draws [n, DRAWS]."""
        theta, x, draws = self._subset
        every = np.concatenate([theta[:, None], draws], axis=1)
        values = log_likelihood(self.simulator, x, every)
        return values[:, 0], values[:, 1:]

    @cached_property
    def calibration(self) -> Calibration:
        """Of every parameter, then of log q and of the log-likelihood."""
        theta, _, draws = self._subset
        quantities = [self.log_q, self.log_likelihood]
        truths = np.column_stack([theta, *(q[0] for q in quantities)])
        drawn = np.concatenate([draws, *(q[1][..., None] for q in quantities)], axis=2)
        return sbc(truths, drawn)

    @cached_property
    def coverage(self) -> Calibration:
        """Of highest-density regions."""
        return hpd(*self.log_q)

    @cached_property
    def tarp_coverage(self) -> Calibration:
        """TARP, about references that depend on x."""
        p = self.pairs
        return tarp(p.theta, p.draws, references(p.theta, p.x, self.seed))

    @cached_property
    def conformal_intervals(self) -> ConformalCalibration:
        """What the intervals of LEVEL need to hold as often as they say."""
        tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        low, high = np.quantile(self.pairs.draws, tails, axis=1)
        return conformal(self.pairs.theta, low, high, LEVEL)

    # -- at one observation

    def at(self, x_o: Array) -> "Verdict":
        """What is judged at one observation [size]."""
        return Verdict(self, np.asarray(x_o, np.float64))

    # -- alarms: each statistic over its distribution for the first pairs, so that 5 % are false

    def refined(self, x: Array, n: int) -> Refined | None:
        """n weighted draws at x [size]; None where no draw could have made x."""
        try:
            return self.posterior.refine(x, self.simulator.log_likelihood(x), n, self.seed)
        except InputError:
            return None

    def _evidences(self, x: Array) -> Array:
        """[m]: log evidence of each observation; the least of all where no draw could make it."""
        found = [self.refined(one, NULL_DRAWS) for one in x]
        known = np.array([each.log_evidence if each else np.inf for each in found])
        return np.where(np.isfinite(known), known, known.min(initial=0.0) - 1e3)

    @cached_property
    def evidences(self) -> Array:
        """[NULL]: of the first pairs' observations."""
        return self._evidences(self.pairs.x[:NULL])

    def _chi2(self, x: Array) -> Array:
        """[m]: of each observation around what its posterior draws predict, per bin."""
        found = []
        for one in x:
            draws = self.posterior.sample(one, EXPLAINING, self.seed)
            expected = self.detectors.expected_counts(self.simulator.profiles(draws, None)[0])
            found.append(chi2_per_bin(one, expected, self.detectors.variance(expected)).mean())
        return np.array(found)

    @cached_property
    def _chi2_null(self) -> Array:
        return self._chi2(self.pairs.x[:NULL])

    def alarms(self, x: Array) -> tuple[Alarm, ...]:
        """Of observations [m, size], each by itself: distance, chi^2 of predictions, evidence."""

        def root(counts: Array) -> Array:
            return np.sqrt(np.maximum(counts, 0))

        return (
            mahalanobis(root(self.pairs.x), root(x)),
            Alarm("chi² of predictions per bin", self._chi2(x), self._chi2_null),
            evidence_alarm(self.evidences, self._evidences(x)),
        )

    def against_alternative(self, alternative: JointSimulator, x: Array, null: int = NULL) -> Alarm:
        """Of observations [m, size]: were they made by another simulator, an alternative model?

        The log likelihood ratio of the alternative against the study's simulator, after the
        parameters have taken up what they can; see `raybayes.simulate.alternative`. What one
        observation cannot show, `diagnostics.together` may, with more than NULL observations as
        the null.
        """

        def ratio(observations: Array, likely: Array) -> Array:
            return score(self.simulator, alternative, observations, likely).log_ratio

        known = self.pairs.x[:null]
        return Alarm(
            "log likelihood ratio of the alternative [nat]",
            ratio(x, self._most_likely(x)),
            ratio(known, self._likely_of_pairs(null)),
        )

    @cached_property
    def _likely_of_pairs(self) -> Callable[[int], Array]:
        """`_most_likely` of the first so many pairs' observations; each found once."""
        return cache(lambda null: self._most_likely(self.pairs.x[:null]))

    def _most_likely(self, x: Array) -> Array:
        """[m, d]: the maximum of each observation's likelihood, from its likeliest draws."""
        m = len(x)
        draws = self.posterior.sample(x, STARTING, self.seed)
        order = log_likelihood(self.simulator, x, draws).argsort(axis=1)[:, -STARTS:]
        starts = np.take_along_axis(draws, order[..., None], axis=1)
        repeated = np.repeat(x, STARTS, axis=0)
        found, values = ascend(self.simulator, repeated, starts.reshape(m * STARTS, -1))
        best = values.reshape(m, STARTS).argmax(axis=1)
        return found.reshape(m, STARTS, -1)[np.arange(m), best]


@dataclass(frozen=True)
class Verdict:
    """One observation's posterior: what it says, and how far to trust it."""

    judge: Judge
    x: Array

    @cached_property
    def estimates(self) -> Estimates:
        """Means, medians and modes, with their errors."""
        return estimate(self.judge.posterior, self.x, seed=self.judge.seed)

    @cached_property
    def draws(self) -> Array:
        """[REFINED, d] of the network."""
        return self.judge.posterior.sample(self.x, REFINED, self.judge.seed)

    @cached_property
    def refined(self) -> Refined | None:
        """None where no draw of the network could have made the observation."""
        return self.judge.refined(self.x, REFINED)

    @cached_property
    def exact(self) -> Array | None:
        """[COMPARED, d] draws by the exact likelihood; None where weights cannot be trusted."""
        if self.refined is None or not self.refined.trusted:
            return None
        return self.refined.sample(COMPARED, self.judge.seed)

    def _against_exact(self, compare: Callable[[Array, Array], C2ST | PRDC]) -> C2ST | PRDC | None:
        if self.exact is None or self.refined is None or self.refined.ess < COMPARED / 2:
            return None  # duplicate draws alone would be recognised
        return compare(self.exact, self.draws[-COMPARED:])

    @cached_property
    def c2st(self) -> C2ST | None:
        """The network against the exact posterior."""
        return self._against_exact(c2st)  # type: ignore[return-value]

    @cached_property
    def prdc(self) -> PRDC | None:
        """Precision, recall, density and coverage of the network's draws in the exact posterior."""
        return self._against_exact(prdc)  # type: ignore[return-value]

    @cached_property
    def local(self) -> LocalC2ST:
        """L-C2ST, from pairs alone."""
        p = self.judge.pairs
        return local_c2st(p.theta, p.draws[:, 0], p.x, self.x, self.draws[:COMPARED], TRIALS)

    @cached_property
    def predicted(self) -> tuple[Array, Array]:
        """[PREDICTED, size] each: expected counts of posterior draws, and a reading of each."""
        profiles, _ = self.judge.simulator.profiles(self.draws[:PREDICTED], None)
        rng = np.random.default_rng((self.judge.seed, PREDICTED))
        detectors = self.judge.detectors
        return detectors.expected_counts(profiles), detectors.observe(profiles, rng)

    @cached_property
    def predictive(self) -> Predictive:
        """The observation beside what posterior draws predict."""
        expected, readings = self.predicted
        return predictive_check(self.x, expected, self.judge.detectors.variance(expected), readings)

    @cached_property
    def alarms(self) -> tuple[Alarm, ...]:
        """Distance, chi^2 of predictions and evidence, of this observation."""
        return self.judge.alarms(self.x[None])

    def sentences(self) -> list[str]:
        """How far to trust it, in words."""
        said = [
            self.refined.sentence
            if self.refined is not None
            else "No draw of the network could have made this observation: do not act on it."
        ]
        raised = [a.name for a in self.alarms if a.raised().any()]
        said.append(
            f"Alarm at a 5 % rate of false ones: {', '.join(raised)}."
            if raised
            else "No alarm: the simulator makes observations like this one."
        )
        if self.judge.calibration.p_value[-1] < 0.01 / len(self.judge.calibration.p_value):
            said.append(
                "On fresh pairs the log-likelihood of the truth is not that of a draw, so the "
                "network is not exact; where they differ, read the column by the exact likelihood."
            )
        if self.c2st is not None:
            said.append(
                f"A classifier distinguishes the network's draws from the exact posterior's in "
                f"{self.c2st.accuracy:.0%} of cases (50 %: it cannot)."
            )
        return said


def judge_of(run: Run, posterior: Posterior, checks: Checks) -> Judge | None:
    """None where it was not asked for, or the likelihood is not known or takes counting."""
    if run.study.checks == "ranks" or not run.exact or run.study.tracing.mode == "counting":
        return None
    pairs = Pairs(checks.theta, checks.x, checks.draws)
    return Judge(posterior, run.simulator, pairs, run.study.seed)
