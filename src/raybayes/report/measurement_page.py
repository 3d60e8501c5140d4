"""The page of one measurement."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from raybayes.analysis.measurement import PREDICTED, STREAM, Inference
from raybayes.array_types import Array
from raybayes.report.figures import corner, fit_figures
from raybayes.report.frame_picture import frame_pictures
from raybayes.report.nexus import Result
from raybayes.report.page import drawn, write_page
from raybayes.study.run import Run


def as_result(run: Run, result: Inference, log_prob: Array | None = None) -> Result:
    """The arrays of an inference, for its file.

    Args:
        log_prob: [n], of its draws, in nats; default: by its network.
    """
    return Result(
        title=run.study.name,
        targets=run.study.targets,
        x=result.observation.x,
        predicted=result.predicted,
        names=tuple(p.name for p in result.parameters),
        units=tuple(p.unit for p in result.parameters),
        draws=result.draws,
        log_prob=result.log_prob if log_prob is None else log_prob,
        done=result.observation.done,
        alarms=result.alarms,
        made_by=result.network.made_by if result.network else run.made_by,
        observation=result.observation,
        seed=result.seed,
    )


def write_measurement_page(
    run: Run,
    result: Inference,
    folder: Path,
    more: Callable[[], dict[str, Figure]] = dict,
    refined: dict[str, Any] | None = None,
    fitted: dict[str, Any] | None = None,
) -> Path:
    """The page of one measurement.

    Args:
        more: figures; refined, fitted: what `raybayes refine` or `fit` found.
    """
    rng = np.random.default_rng((run.study.seed, STREAM))
    prior = run.study.prior.sample(1500, rng)

    def figures() -> dict[str, Figure]:
        return {
            "corner": corner(
                result.parameters, prior, result.draws[:1500],
                np.median(result.draws, axis=0), "median",
            ),
            **fit_figures(run.study, result.observation.x, result.predicted),
            **frame_pictures(result.observation),
            **more(),
        }  # fmt: skip

    content: dict[str, object] = {
        "study": run.study.name,
        "files": result.observation.files,
        "rows": fitted["parameters"] if fitted else result.table(),
        "beam": result.beam(run.study.detectors),
        "refined": refined,
        "fitted": fitted,
        "alarms": result.alarms,
        "done": result.observation.done,
        "predicted": PREDICTED,
        "made_by": run.made_by,
    }
    return write_page(folder, drawn(figures), content, "observation.html.jinja")
