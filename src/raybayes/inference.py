"""The trained posterior of a finished run, used on a measurement: numbers, alarms, files."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic import ValidationError

from raybayes import alarms, report
from raybayes.beamline.rml import read_rml
from raybayes.diagnostics import Alarm, Predictive, mahalanobis, predictive_check
from raybayes.errors import InputError
from raybayes.importance import Refined, importance
from raybayes.observations import Observation, read_settings
from raybayes.plan import explained
from raybayes.posterior import Posterior
from raybayes.results import Result, write_result
from raybayes.store import make_folder
from raybayes.study import Run, Study
from raybayes.workflow import fit_figures, report_parameters

Array = NDArray[np.float64]

DRAWS = 4000
PREDICTED = 200  # draws simulated again
COMPARED = 400  # settings from the prior that an observation is held against
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
    """

    posterior: Posterior
    observation: Observation
    parameters: list[report.Parameter]
    draws: Array
    predicted: Array
    check: Predictive
    unlike: Alarm
    alarms: tuple[str, ...]

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

    def table(self) -> list[dict[str, Any]]:
        """A row per parameter: mean, median, sd, central 68 % interval, unit."""
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
            }
            for j, p in enumerate(self.parameters)
        ]


def open_run(folder: str | os.PathLike[str]) -> Run:
    """The run that a folder holds.

    Raises:
        InputError: it holds none, or its beamline file was moved or changed.
    """
    mark = Path(folder) / "study.json"
    try:
        found = json.loads(mark.read_text())
        study, path, identity = Study(**found["study"]), found["beamline"], found["hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: holds no run of raybayes; give the --out folder of one") from (
            error
        )
    run = Run(study, read_rml(path), Path(folder))
    if run.identity() != identity:
        raise InputError(
            f"{path}: was changed after the run in {folder}, or another version of raybayes made "
            "it; run the study again"
        )
    return run


def open_posterior(run: Run) -> Posterior:
    """What the run has trained."""
    return Posterior.load(trained_file(run))


def trained_file(run: Run) -> Path:
    """Where it stands.

    Raises:
        InputError: the run has not come so far.
    """
    path = run.folder / "posterior.safetensors"
    if not path.exists():
        raise InputError(f"{run.folder}: its study has not been trained yet; run it to its end")
    return path


def measure(
    run: Run, paths: Sequence[str | os.PathLike[str]], changes: dict[str, Any]
) -> Observation:
    """Read files by the study's [observation] and what the caller changes of it.

    Args:
        paths: of each setting, in the study's order.
    """
    try:
        readings = run.study.readings(changes)
    except ValidationError as error:
        raise InputError(explained(error)) from error
    return read_settings(paths, run.study.targets, readings)


def infer_files(
    out: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    to: str | os.PathLike[str] | None = None,
    changes: dict[str, Any] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Infer from measured files and write page and NeXus file.

    Args:
        out: the folder of a finished run.
        to: the folder of the results; default: one beside the run's, named after the first file.
        changes: of the study's table [observation].

    Returns:
        the table, the alarms, what was done to the data, and where the files are.
    """
    run = open_run(out)
    result = infer(run, measure(run, paths, changes or {}), seed)
    folder = Path(to) if to else run.folder / "observations" / Path(paths[0]).name
    return {
        "study": run.study.name,
        "parameters": result.table(),
        "alarms": list(result.alarms),
        "done": list(result.observation.done),
        "written": write(run, result, folder),
    }


def infer(run: Run, observation: Observation, seed: int = 0) -> Inference:
    """Draws at a measurement, what they predict, and what speaks against them."""
    return Trained(run).infer(observation, seed)


@dataclass(frozen=True)
class Trained:
    """A finished run in memory: what no measurement changes is read or simulated once."""

    run: Run

    @cached_property
    def posterior(self) -> Posterior:
        return open_posterior(self.run)

    @cached_property
    def parameters(self) -> list[report.Parameter]:
        return report_parameters(self.run)

    @cached_property
    def known(self) -> Array:
        """[<= COMPARED, 5 for each setting]: summaries of beams at theta from the prior."""
        rng = np.random.default_rng((self.run.study.seed, STREAM))
        theta = self.run.study.prior.sample(COMPARED, rng)
        return alarms.summaries(self.run.study.detectors, self.run.observed(theta, rng)[1])

    def expected(self, theta: Array) -> Array:
        """Expected counts [size] at one theta [d]; smooth in theta where the tracer is ours."""
        run = self.run
        if run.exact:
            profile = run.simulator.profiles(theta[None], None)[0]
        else:
            profile = run.expected(theta[None], (STREAM,))
        if not len(profile):
            raise InputError("this setting cannot be simulated; move a parameter back")
        return run.study.detectors.expected(profile[0])

    def infer(self, observation: Observation, seed: int = 0) -> Inference:
        """See `infer`."""
        return self.beside(observation, self.posterior.sample(observation.x, DRAWS, seed), seed)

    def beside(self, observation: Observation, draws: Array, seed: int = 0) -> Inference:
        """Draws [n, d], the network's own or better ones, beside the measurement."""
        run, detectors = self.run, self.run.study.detectors
        profiles = run.expected(draws[:PREDICTED], (STREAM, seed))
        rng = np.random.default_rng((run.study.seed, STREAM, seed))
        predicted = detectors.observe(profiles, rng)
        expected = detectors.expected(profiles)
        check = predictive_check(observation.x, expected, detectors.spread(expected), predicted)
        seen = alarms.summaries(detectors, observation.x[None])
        unlike = mahalanobis(self.known, seen)
        said = [
            alarms.unexplained(check),
            alarms.unlike(unlike),
            alarms.outside(alarms.labels(run.study.targets), self.known, seen[0]),
        ]
        raised = tuple(sentence for sentence in said if sentence)
        return Inference(
            self.posterior, observation, self.parameters, draws, predicted, check, unlike, raised
        )


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


def exact_likelihood(run: Run, x: Array) -> Callable[[Array], Array]:
    """theta [n, d] -> log p(x | theta) [n].

    Raises:
        InputError: the study's simulations have a noise of their own.
    """
    if not run.exact:
        raise InputError(
            f"study {run.study.name}: its simulations have a noise of their own, so their "
            'likelihood is not exact; refining needs our tracer with [tracing] mode = "expected"'
        )
    return run.simulator.log_likelihood(x)


def write(run: Run, result: Inference, folder: Path) -> dict[str, str]:
    """The result as NeXus, and its page; where they are."""
    make_folder(folder)
    nexus = folder / "result.nxs"
    write_result(nexus, as_result(run, result))
    return {"report": str(write_page(run, result, folder)), "nexus": str(nexus)}


def as_result(run: Run, result: Inference) -> Result:
    """The arrays of an inference, for its file."""
    posterior = result.posterior
    return Result(
        title=run.study.name,
        targets=run.study.targets,
        x=result.observation.x,
        predicted=result.predicted,
        names=tuple(p.name for p in result.parameters),
        units=tuple(p.unit for p in result.parameters),
        draws=result.draws,
        log_prob=result.log_prob,
        done=result.observation.done,
        alarms=result.alarms,
        made_by=posterior.made_by,
    )


def write_page(
    run: Run,
    result: Inference,
    folder: Path,
    more: Callable[[], dict[str, Figure]] = dict,
    refined: dict[str, Any] | None = None,
) -> Path:
    """The page of one measurement.

    Args:
        more: figures; refined: what `raybayes refine` found.
    """
    rng = np.random.default_rng((run.study.seed, STREAM))
    prior = run.study.prior.sample(1500, rng)

    def figures() -> dict[str, Figure]:
        return {
            "corner": report.corner(
                result.parameters, prior, result.draws[:1500],
                np.median(result.draws, axis=0), "median",
            ),
            **fit_figures(run, result.observation.x, result.predicted),
            **more(),
        }  # fmt: skip

    content: dict[str, object] = {
        "study": run.study.name,
        "files": result.observation.files,
        "rows": result.table(),
        "refined": refined,
        "alarms": result.alarms,
        "done": result.observation.done,
        "predicted": PREDICTED,
        "made_by": run.made_by,
    }
    return report.write_page(folder, report.drawn(figures), content, "observation.html.jinja")
