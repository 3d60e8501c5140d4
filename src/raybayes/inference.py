"""The trained posterior of a finished run, used on a measurement: numbers, alarms, files."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic import ValidationError

from raybayes import report
from raybayes.beamline.rml import read_rml
from raybayes.diagnostics import mahalanobis, predictive_check
from raybayes.errors import InputError
from raybayes.importance import Refined
from raybayes.observations import Observation, Reading, read_settings
from raybayes.plan import explained
from raybayes.posterior import Posterior
from raybayes.results import Result, write_result
from raybayes.simulate.detector import Detector
from raybayes.simulate.several import Detectors
from raybayes.store import make_folder
from raybayes.study import Run, Study
from raybayes.workflow import fit_figures, report_parameters

Array = NDArray[np.float64]

DRAWS = 4000
PREDICTED = 200  # draws simulated again
COMPARED = 400  # settings from the prior that an observation is held against
STREAM = 4  # of random numbers, beside those of training and checks
LEVEL = 0.01  # rate of false alarms
LEVELS = (0.16, 0.84)  # of the central 68 % interval


@dataclass(frozen=True)
class Inference:
    """A posterior at one measurement.

    Attributes:
        draws: [DRAWS, d], in the parameters' units.
        predicted: [PREDICTED, size], counts: new readings at posterior draws.
        alarms: sentences; none where nothing speaks against the posterior.
    """

    posterior: Posterior
    observation: Observation
    parameters: list[report.Parameter]
    draws: Array
    predicted: Array
    alarms: tuple[str, ...]

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
        study, path = Study(**found["study"]), found["beamline"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: holds no run of raybayes; give the --out folder of one") from (
            error
        )
    run = Run(study, read_rml(path), Path(folder))
    if run.identity() != found["hash"]:
        raise InputError(f"{path}: was changed after the run in {folder}; run the study again")
    return run


def open_posterior(run: Run) -> Posterior:
    """What the run has trained."""
    path = run.folder / "posterior.safetensors"
    if not path.exists():
        raise InputError(f"{run.folder}: its study has not been trained yet; run it to its end")
    return Posterior.load(path)


def measure(
    run: Run, paths: Sequence[str | os.PathLike[str]], changes: dict[str, Any]
) -> Observation:
    """Read files by the study's [observation] and what the caller changes of it.

    Args:
        paths: of each setting, in the study's order.
    """
    own = run.study.observation.model_dump()
    try:
        reading = Reading.model_validate({**own, **changes})
    except ValidationError as error:
        raise InputError(explained(error)) from error
    return read_settings(paths, run.study.targets, reading)


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
    posterior = open_posterior(run)
    draws = posterior.sample(observation.x, DRAWS, seed)
    return seen_through(run, posterior, observation, draws, seed)


def seen_through(
    run: Run, posterior: Posterior, observation: Observation, draws: Array, seed: int
) -> Inference:
    """Draws [n, d] of a posterior, the network's own or better ones, beside the measurement."""
    detector = run.study.detectors
    profiles = run.expected(draws[:PREDICTED], (STREAM, seed))
    rng = np.random.default_rng((run.study.seed, STREAM, seed))
    predicted = detector.observe(profiles, rng)
    said = [_unexplained(observation.x, detector, profiles, predicted), *_unlike(run, observation)]
    alarms = tuple(sentence for sentence in said if sentence)
    return Inference(posterior, observation, report_parameters(run), draws, predicted, alarms)


def refine(run: Run, result: Inference, n: int = DRAWS, seed: int = 0) -> Refined:
    """Draws at a measurement, weighed by the exact likelihood.

    Raises:
        InputError: the likelihood is not exact, or no draw could have made the measurement.
    """
    if not run.exact:
        raise InputError(
            f"study {run.study.name}: its simulations have a noise of their own, so their "
            'likelihood is not exact; refining needs our tracer with [tracing] mode = "expected"'
        )
    x = result.observation.x
    return result.posterior.refine(x, run.simulator.log_likelihood(x), n, seed)


def _unexplained(x: Array, detector: Detectors, profiles: Array, predicted: Array) -> str:
    """An alarm where the posterior's own predictions do not look like the measurement."""
    expected = detector.expected(profiles)
    check = predictive_check(x, expected, detector.spread(expected), predicted)
    if check.p_value > LEVEL:
        return ""
    return (
        f"What the posterior predicts does not explain the measurement: chi² per bin "
        f"{check.chi2_per_dof:.3g} where {check.replicated.mean():.3g} is expected (p = "
        f"{check.p_value:.2g}). The beamline, the detector's settings or the network do not "
        "describe it; do not act on these numbers."
    )


SUMMARIES = (
    "total", "horizontal centroid", "vertical centroid", "horizontal rms width",
    "vertical rms width",
)  # fmt: skip


def beam_summaries(detector: Detector, x: Array) -> Array:
    """[n, 5] of observations [n, size]: total counts; centroids and rms widths, um.

    The bins' background is subtracted; counts below it are taken as none.
    """
    both = detector.profiles(x)
    rows = detector.bins[1] if detector.reads == "image" else 1
    columns = detector.bins[0] if detector.reads == "image" else 1
    halves = np.split(both, [detector.bins[0]], axis=-1)
    columns_ = []
    for axis, (half, summed) in enumerate(zip(halves, (rows, columns), strict=True)):
        noise = np.sqrt(summed) * detector.read_noise
        light = half - summed * detector.background
        light = np.where(light > 3 * noise, light, 0.0)
        total = light.sum(axis=-1) + 1e-9
        edges = 1e3 * detector.edges(axis)
        place = (edges[1:] + edges[:-1]) / 2
        mean = light @ place / total
        spread = np.sqrt(np.maximum(light @ place**2 / total - mean**2, 0))
        columns_.append((total, mean, spread))
    (total, x_mean, x_sd), (_, y_mean, y_sd) = columns_
    return np.stack([total, x_mean, y_mean, x_sd, y_sd], axis=-1)


def _all_summaries(run: Run, x: Array) -> Array:
    """[n, 5 for each setting] of observations [n, size]."""
    detectors = run.study.detectors
    pairs = zip(detectors.each, detectors.parts(x), strict=True)
    return np.concatenate([beam_summaries(detector, part) for detector, part in pairs], axis=1)


def _unlike(run: Run, observation: Observation) -> list[str]:
    """Alarms where the beam is unlike all that the study simulates."""
    rng = np.random.default_rng((run.study.seed, STREAM))
    theta = run.study.prior.sample(COMPARED, rng)
    known = _all_summaries(run, run.observe(theta, rng))
    seen = _all_summaries(run, observation.x[None])
    labels = [f"{t.name}, {name}" if t.name else name for t in run.study.targets
              for name in SUMMARIES]  # fmt: skip
    alarm = mahalanobis(known, seen)
    outside = [
        f"{name} {value:.4g} (simulated: {low:.4g} to {high:.4g})"
        for name, value, low, high in zip(
            labels, seen[0], known.min(axis=0), known.max(axis=0), strict=True
        )
        if not low <= value <= high
    ]
    said = []
    if alarm.raised(LEVEL)[0]:
        said.append(
            f"The beam is unlike those that the study simulates (Mahalanobis distance "
            f"{alarm.statistic[0]:.3g}, p = {alarm.p_value[0]:.2g})."
        )
    if outside:
        said.append(f"Outside all of {COMPARED} simulated beams: {'; '.join(outside)}.")
    return said


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
        log_prob=posterior.log_prob(result.draws, result.observation.x),
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
