"""Fit: from measured files to the exact posterior without a network."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from raybayes.analysis.fitting import Fitted, fit
from raybayes.analysis.measurement import DRAWS, LEVELS, Inference, Studied, measure, told_modes
from raybayes.report.frame_picture import in_letters
from raybayes.report.measurement_page import as_result, write_measurement_page
from raybayes.report.nexus import write_result
from raybayes.simulate.counted_check import Row
from raybayes.store import make_folder
from raybayes.study.accuracy import said
from raybayes.study.run import Run
from raybayes.workflow.infer import folder_name
from raybayes.workflow.refine import MORE, finer, off_at_draws, tested
from raybayes.workflow.run_study import prepared

DOUBTFUL = (
    "The draws are not those of the exact posterior (Pareto k {k:.2f} > 0.7, worth {ess:.0f} of "
    "{n}): do not act on these numbers; another seed, or a trained network (raybayes run, refine) "
    "may help."
)


def fit_files(
    name: str,
    paths: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    to: str | os.PathLike[str] | None = None,
    changes: dict[str, Any] | None = None,
    seed: int = 0,
    quiet: bool = True,
) -> dict[str, Any]:
    """The exact posterior of a measurement, by simulations made for it; nothing is trained.

    Args:
        name: a shipped study or a TOML file.
        paths: files, of each setting in the study's order.
        out: a folder of the study, where it stands how many rays are enough; a run may be in it.
        to: the folder of the results; default: one in OUT/fitted, named as by `infer_files`.
        changes: of the study's table [observation].
        seed: with the study and the files it determines the result.
        quiet: nothing is said on the way.

    Returns:
        a row per parameter; the modes; how far to trust the draws; the beam in numbers, the alarms,
        what was done to the data, and where the files are.

    Raises:
        InputError: as `infer_files` and `raybayes.analysis.fitting.fit`.
    """
    tell = (lambda sentence: None) if quiet else said
    run = prepared(name, out, quiet)
    studied = Studied(run)
    observation = measure(run, paths, changes or {})
    run, fitted, row = _settled(run, observation.x, seed, tell)
    weighed = fitted.weighed
    picked = np.random.default_rng(seed).choice(len(weighed.theta), DRAWS, p=weighed.weight)
    result = studied.beside(observation, weighed.theta[picked], seed)
    raised = list(result.alarms)
    if not weighed.trusted:
        raised.append(DOUBTFUL.format(k=weighed.pareto_k, ess=weighed.ess, n=len(weighed.theta)))
    if not row.good:
        raised.append(off_at_draws(row))
    result = replace(result, alarms=tuple(raised))
    found = {
        "study": run.study.name,
        "parameters": _rows(result, fitted),
        **_told(run, fitted, row),
        "beam": result.beam(run.study.detectors),
        "alarms": raised,
        "done": list(observation.done),
        "picture": in_letters(observation),
    }
    folder = Path(to) if to else run.folder / "fitted" / folder_name(observation)
    log_prob = fitted.log_p[picked] - weighed.log_evidence
    return {**found, "written": _written(run, result, found, fitted, log_prob, folder)}


def _settled(
    run: Run, x: np.ndarray, seed: int, tell: Callable[[str], None]
) -> tuple[Run, Fitted, Row]:
    """A posterior with rays that are enough at its own draws, by counting."""
    for more in range(1 + MORE):
        fitted = fit(run, x, seed=seed, progress=tell)
        tell("testing the simulator at draws, by counting")
        row = tested(run, fitted.weighed, seed)
        if row.good or more == MORE:
            break
        run = finer(run)
        tell(f"once more with {run.study.tracing.rays} rays")
    return run, fitted, row


def _rows(result: Inference, fitted: Fitted) -> list[dict[str, Any]]:
    weighed = fitted.weighed
    low, middle, high = weighed.quantile([LEVELS[0], 0.5, LEVELS[1]])
    mean, sd = weighed.mean(), weighed.sd()
    return [
        {
            "parameter": p.name,
            "unit": p.unit,
            "mean": float(mean[j]),
            "median": float(middle[j]),
            "sd": float(sd[j]),
            "low": float(low[j]),
            "high": float(high[j]),
            "modes": told_modes(result.draws[:, j], p),
        }
        for j, p in enumerate(result.parameters)
    ]


def _told(run: Run, fitted: Fitted, row: Row) -> dict[str, Any]:
    """How it was found, and how far to trust it."""
    weighed, found = fitted.weighed, fitted.found
    return {
        "modes": fitted.modes,
        "draws": len(weighed.theta),
        "ess": weighed.ess,
        "pareto_k": weighed.pareto_k,
        "trusted": weighed.trusted,
        "log_evidence": weighed.log_evidence,
        "standard_error": weighed.standard_error,
        "simulations": found.simulations,
        "rounds": found.rounds,
        "dark": found.dark,
        "sentence": f"By {found.simulations} simulations and no network: {len(weighed.theta)} "
        f"draws, worth {weighed.ess:.0f} independent ones of the exact posterior (Pareto k "
        f"{weighed.pareto_k:.2f}).",
        "simulator": {
            "rays": run.study.tracing.rays,
            "error": row.noise,
            "uncertainty": row.uncertainty,
        },
    }


def _written(
    run: Run, result: Inference, found: dict[str, Any], fitted: Fitted, log_prob: np.ndarray,
    folder: Path,
) -> dict[str, str]:  # fmt: skip
    """The NeXus file and the page; where they are."""
    make_folder(folder)
    plain = as_result(run, result, log_prob)
    kept = ("draws", "ess", "pareto_k", "log_evidence", "standard_error", "simulations")
    numbers = {f"fitted_{key}": f"{found[key]:.6g}" for key in kept}
    nexus = folder / "result.nxs"
    made = {**plain.made_by, **numbers}
    write_result(nexus, replace(plain, made_by=made, weighted=fitted.weighed))
    page = write_measurement_page(run, result, folder, fitted=found)
    return {"report": str(page), "nexus": str(nexus)}
