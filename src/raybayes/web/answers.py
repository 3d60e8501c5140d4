"""What the page is told: plain numbers and sentences, ready for JSON."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raybayes.diagnostics import chi2_per_bin
from raybayes.importance import Refined
from raybayes.inference import Inference, Trained
from raybayes.observations import Reading
from raybayes.simulate.detector import Detector

Array = NDArray[np.float64]
DIGITS = 6
BAND = (0.05, 0.5, 0.95)  # of the predicted readings


def numbers(values: ArrayLike) -> Any:
    """Nested lists of so many digits: a third of the text, and more than a screen shows."""
    array = np.asarray(values, np.float64)
    if array.ndim > 1:
        return [numbers(row) for row in array]
    return [float(f"{v:.{DIGITS}g}") for v in array.tolist()]


def described(trained: Trained) -> dict[str, Any]:
    """A study: its parameters, its detector, and how its measurements are read."""
    run, detector = trained.run, trained.run.study.detector
    reading = run.study.observation.model_dump(mode="json", exclude={"dark"})
    return {
        "name": run.study.name,
        "beamline": run.beamline.path.rpartition("/")[2],
        "reads": detector.reads,
        "edges": [numbers(detector.edges(axis)) for axis in (0, 1)],
        "parameters": [
            {"name": p.name, "unit": p.unit, "low": float(p.low), "high": float(p.high)}
            for p in trained.parameters
        ],
        "exact": run.exact,
        "reading": reading,
        "standard": Reading().model_dump(mode="json", exclude={"dark"}),
    }


def inferred(trained: Trained, found: Inference) -> dict[str, Any]:
    """A posterior at one measurement."""
    detector, check, unlike = trained.run.study.detector, found.check, found.unlike
    low, middle, high = np.quantile(detector.profiles(found.predicted), BAND, axis=0)
    return {
        "files": list(found.observation.files),
        "done": list(found.observation.done),
        "rows": found.table(),
        "draws": numbers(found.draws),
        "best": numbers(found.best),
        "measured": parts(detector, detector.profiles(found.observation.x)),
        "low": parts(detector, low),
        "middle": parts(detector, middle),
        "high": parts(detector, high),
        "image": image(detector, found.observation.x),
        "alarms": list(found.alarms),
        "chi2": {
            "found": check.chi2_per_dof,
            "expected": float(check.replicated.mean()),
            "p_value": check.p_value,
        },
        "distance": {
            "found": float(unlike.statistic[0]),
            "usual": float(np.quantile(unlike.null, 0.95)),
            "p_value": float(unlike.p_value[0]),
        },
    }


def corrected(found: Refined) -> dict[str, Any]:
    """The exact likelihood's word on the same draws."""
    return {
        "sentence": found.sentence,
        "trusted": found.trusted,
        "ess": found.ess,
        "draws": len(found.theta),
        "pareto_k": found.pareto_k if math.isfinite(found.pareto_k) else None,
        "mean": numbers(found.mean()),
        "sd": numbers(found.sd()),
    }


def beam(detector: Detector, expected: Array, measured: Array | None) -> dict[str, Any]:
    """What one setting would show; beside a measurement, how far it is from that."""
    chi2 = None
    if measured is not None:
        chi2 = float(chi2_per_bin(measured, expected, detector.spread(expected)))
    return {
        "expected": parts(detector, detector.profiles(expected)),
        "image": image(detector, expected),
        "chi2": chi2,
    }


def parts(detector: Detector, profiles: Array) -> list[list[float]]:
    """The horizontal and the vertical profile."""
    return [numbers(part) for part in np.split(profiles, [detector.bins[0]])]


def image(detector: Detector, x: Array) -> list[list[float]] | None:
    """Rows from below, where the detector reads an image."""
    return numbers(x.reshape(detector.bins[::-1])) if detector.reads == "image" else None
