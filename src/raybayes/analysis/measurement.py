"""The trained posterior of a finished run, used on a measurement: numbers, alarms, files."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import ValidationError

from raybayes.analysis import beam_alarms
from raybayes.analysis.beam_rows import beam_rows
from raybayes.analysis.marginal_modes import marginal_modes
from raybayes.array_types import Array
from raybayes.diagnostics import Alarm, Predictive, mahalanobis, predictive_check
from raybayes.errors import InputError
from raybayes.inference.importance import Refined, importance
from raybayes.inference.posterior import Posterior
from raybayes.observations import Observation, read_settings
from raybayes.simulate.settings import Detectors
from raybayes.study.explained import explained
from raybayes.study.parameters import Parameter, shown_parameters
from raybayes.study.run import Run, exact_likelihood, open_posterior

DRAWS = 4000
APART = 0.01  # of a prior's range: modes that are nearer are told as one
PREDICTED = 200  # draws simulated again
COMPARED = 400  # thetas from the prior that an observation is held against
STREAM = 4  # of random numbers, beside those of training and checks
LEVELS = (0.16, 0.84)  # of the central 68 % interval


@dataclass(frozen=True)
class Inference:
    """A posterior at one measurement.

    Attributes:
        draws: [DRAWS, d], in the parameters' units.
        predicted: [PREDICTED, size], counts: new readings at posterior draws.
        check: of the measurement against what the draws predict.
        unlike: distance of the beam from those that the study simulates.
        alarms: sentences; none where nothing speaks against the posterior.
        seed: of the draws.
        network: that was asked for them; None where none was.
    """

    observation: Observation
    parameters: list[Parameter]
    draws: Array
    predicted: Array
    check: Predictive
    unlike: Alarm
    alarms: tuple[str, ...]
    seed: int = 0
    network: Posterior | None = None

    @property
    def posterior(self) -> Posterior:
        """The network's."""
        if self.network is None:
            raise TypeError("no network was asked for this posterior")
        return self.network

    @cached_property
    def log_prob(self) -> Array:
        """[DRAWS], of the draws, in nats."""
        return self.posterior.log_prob(self.draws, self.observation.x)

    @property
    def best(self) -> Array:
        """[d]: of the draws that were simulated again, the one nearest to the measurement.

        All medians together may lie between the posterior's modes, where no draw is; but where a
        simulation failed it is not known whose prediction is whose, and they must do.
        """
        if len(self.predicted) < PREDICTED:
            return np.median(self.draws, axis=0)
        return np.asarray(self.draws[self.check.chi2.argmin()])

    def beam(self, detectors: Detectors) -> list[dict[str, Any]]:
        """The measured beam's numbers beside the predicted ones; see `beam_rows`."""
        return beam_rows(detectors, self.observation.x, self.predicted)

    def table(self) -> list[dict[str, Any]]:
        """A row per parameter: mean, median, sd, central 68 % interval, unit, modes if several."""
        low, middle, high = np.quantile(self.draws, [LEVELS[0], 0.5, LEVELS[1]], axis=0)
        return [
            {
                "parameter": p.name,
                "unit": p.unit,
                "mean": float(self.draws[:, j].mean()),
                "median": float(middle[j]),
                "sd": float(self.draws[:, j].std(ddof=1)),
                "low": float(low[j]),
                "high": float(high[j]),
                "modes": told_modes(self.draws[:, j], p),
            }
            for j, p in enumerate(self.parameters)
        ]


def told_modes(draws: Array, parameter: Parameter) -> list[dict[str, float]]:
    """The modes of one parameter's draws [n] where there are several; none for a single one."""
    modes = marginal_modes(draws, APART * (parameter.high - parameter.low))
    return [asdict(mode) for mode in modes] if len(modes) > 1 else []


def measure(
    run: Run, paths: Sequence[str | os.PathLike[str]], changes: dict[str, Any]
) -> Observation:
    """Read files by the study's [observation] and what the caller changes of it.

    Args:
        paths: of each setting, in the study's order.
        changes: keys of [observation] and their values.

    Raises:
        InputError: an option that does not exist, or a file that does not fit the study.
    """
    try:
        readings = run.study.readings(changes)
    except ValidationError as error:
        raise InputError(explained(error)) from error
    return read_settings(paths, run.study.targets, readings)


def infer(run: Run, observation: Observation, seed: int = 0) -> Inference:
    """Draws at a measurement, what they predict, and what speaks against them."""
    return Trained(run).infer(observation, seed)


@dataclass(frozen=True)
class Studied:
    """A study in memory: what no measurement changes is simulated once."""

    run: Run

    @cached_property
    def parameters(self) -> list[Parameter]:
        """How the study's parameters are shown, in their order."""
        return shown_parameters(self.run.beamline, self.run.study.prior)

    @cached_property
    def known(self) -> Array:
        """[<= COMPARED, size]: observations at theta from the prior."""
        rng = np.random.default_rng((self.run.study.seed, STREAM))
        theta = self.run.study.prior.sample(COMPARED, rng)
        return self.run.observed(theta, rng)[1]

    def expected_counts(self, theta: Array) -> Array:
        """Expected counts [size] at one theta [d]; smooth in theta where the tracer is ours.

        Raises:
            InputError: this theta cannot be simulated.
        """
        run = self.run
        if run.exact:
            profile = run.simulator.profiles(theta[None], None)[0]
        else:
            profile = run.profiles(theta[None], (STREAM,))
        if not len(profile):
            raise InputError("this theta cannot be simulated; move a parameter back")
        return run.study.detectors.expected_counts(profile[0])

    def beside(self, observation: Observation, draws: Array, seed: int = 0) -> Inference:
        """Draws [n, d] of a posterior beside the measurement."""
        run, detectors = self.run, self.run.study.detectors
        profiles = run.profiles(draws[:PREDICTED], (STREAM, seed))
        rng = np.random.default_rng((run.study.seed, STREAM, seed))
        predicted = detectors.observe(profiles, rng)
        expected = detectors.expected_counts(profiles)
        read = ~np.isnan(observation.x)  # where something is known
        variance = detectors.variance(expected)
        each = (observation.x, expected, variance, predicted)
        check = predictive_check(*(values[..., read] for values in each))
        known = beam_alarms.summaries(detectors, np.where(read, self.known, np.nan))
        seen = beam_alarms.summaries(detectors, observation.x[None])
        unlike = mahalanobis(known, seen)
        said = [
            beam_alarms.unexplained(check),
            beam_alarms.unlike(unlike),
            beam_alarms.outside(beam_alarms.labels(run.study.targets), known, seen[0]),
        ]
        raised = tuple(sentence for sentence in said if sentence)
        return Inference(
            observation, self.parameters, draws, predicted, check, unlike, raised, seed
        )


class Trained(Studied):
    """A finished run in memory, with its network."""

    @cached_property
    def posterior(self) -> Posterior:
        """What the run has trained."""
        return open_posterior(self.run)

    def infer(self, observation: Observation, seed: int = 0) -> Inference:
        """See `infer`."""
        return self.beside(observation, self.posterior.sample(observation.x, DRAWS, seed), seed)

    def beside(self, observation: Observation, draws: Array, seed: int = 0) -> Inference:
        """Draws [n, d], the network's own or better ones, beside the measurement."""
        return replace(super().beside(observation, draws, seed), network=self.posterior)


def refine(run: Run, result: Inference, n: int = DRAWS, seed: int = 0) -> Refined:
    """Draws at a measurement, weighed by the exact likelihood.

    Raises:
        InputError: the likelihood is not exact, or no draw could have made the measurement.
    """
    x = result.observation.x
    return result.posterior.refine(x, exact_likelihood(run, x), n, seed)


def refining(run: Run, result: Inference, pieces: int = 32) -> Iterator[Refined | None]:
    """`refine` for the result's own draws, a piece at a time, so that a caller can do other things
    in between; all but the last are None.

    Raises:
        InputError: as `refine` does.
    """
    log_likelihood, parts = exact_likelihood(run, result.observation.x), []
    for piece in np.array_split(result.draws, pieces):
        parts.append(log_likelihood(piece))
        yield None
    log_p = np.concatenate(parts) + result.posterior.prior.log_prob(result.draws)
    yield importance(result.draws, log_p, result.log_prob)
