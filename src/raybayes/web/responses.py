"""What the page is sent: plain numbers and sentences, ready for JSON."""

import base64
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from raybayes.analysis.beam_rows import BAND
from raybayes.analysis.measurement import Inference, Trained
from raybayes.array_types import Array
from raybayes.diagnostics import chi2_per_bin
from raybayes.inference.importance import Refined
from raybayes.observations import Reading
from raybayes.report.frame_picture import frame_pictures
from raybayes.report.page import drawn
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import Detectors

DIGITS = 6


def numbers(values: ArrayLike) -> Any:
    """Nested lists of so many digits: a third of the text, and more than a screen shows."""
    array = np.asarray(values, np.float64)
    if array.ndim > 1:
        return [numbers(row) for row in array]
    # NaN, of which nothing is known, is JSON's null.
    return [None if math.isnan(v) else float(f"{v:.{DIGITS}g}") for v in array.tolist()]


def described(trained: Trained) -> dict[str, Any]:
    """A study: its parameters, what each setting reads, and how its measurements are read."""
    run = trained.run
    # Where a setting reads in a way of its own there is no hint that is true of all.
    own = {key for setting in run.study.settings for key in setting.observation}
    reading = run.study.observation.model_dump(mode="json", exclude={"dark", "mask", *own})
    return {
        "name": run.study.name,
        "beamline": run.beamline.path.rpartition("/")[2],
        "settings": [
            {"label": target.name, "reads": target.reads, "edges": [*map(numbers, target.edges)]}
            for target in run.study.targets
        ],
        "parameters": [
            {
                "name": p.name,
                "spoken": p.spoken,
                "unit": p.unit,
                "low": float(p.low),
                "high": float(p.high),
            }
            for p in trained.parameters
        ],
        "exact": run.exact,
        "reading": reading,
        "standard": Reading().model_dump(mode="json", exclude={"dark", "mask"}),
    }


def inferred(trained: Trained, found: Inference) -> dict[str, Any]:
    """A posterior at one measurement."""
    detectors, check, unlike = trained.run.study.detectors, found.check, found.unlike
    read = zip(
        detectors.each,
        detectors.parts(found.observation.x),
        detectors.parts(found.predicted),
        strict=True,
    )
    return {
        "files": list(found.observation.files),
        "done": list(found.observation.done),
        "rows": found.table(),
        "beam": found.beam(detectors),
        "picture": _picture(found),
        "draws": numbers(found.draws),
        "best": numbers(found.best),
        "settings": [measured(*each) for each in read],
        "alarms": list(found.alarms),
        "chi2": {
            "found": check.chi2_per_bin,
            "expected": float(check.replicated.mean()),
            "p_value": check.p_value,
        },
        "distance": {
            "found": float(unlike.statistic[0]),
            "usual": float(np.quantile(unlike.null, 0.95)),
            "p_value": float(unlike.p_value[0]),
        },
    }


def _picture(found: Inference) -> str:
    """What was read, as the address of a picture; empty where nothing says where it lies."""
    pictures = drawn(lambda: frame_pictures(found.observation))
    if not pictures:
        return ""
    return "data:image/png;base64," + base64.b64encode(pictures["frame"]).decode()


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


def measured(detector: Detector, x: Array, predicted: Array) -> dict[str, Any]:
    """What one setting read, beside predictions [n, size]."""
    low, middle, high = np.quantile(detector.alike(x, predicted), BAND, axis=0)
    return {
        "measured": parts(detector, detector.profiles(x)),
        "low": parts(detector, low),
        "middle": parts(detector, middle),
        "high": parts(detector, high),
        "image": image(detector, x),
    }


def beam(detectors: Detectors, expected: Array, observed: Array | None) -> dict[str, Any]:
    """What each setting would show; beside a measurement, how far they are from that."""
    chi2 = None
    if observed is not None:
        each = (observed, expected, detectors.variance(expected))
        chi2 = float(chi2_per_bin(*(values[~np.isnan(observed)] for values in each)))
    return {
        "settings": [
            {"expected": parts(d, d.profiles(part)), "image": image(d, part)}
            for d, part in detectors.pairs(expected)
        ],
        "chi2": chi2,
    }


def parts(detector: Detector, profiles: Array) -> list[list[float]]:
    """The horizontal and the vertical profile."""
    return [numbers(part) for part in np.split(profiles, [detector.bins[0]])]


def image(detector: Detector, x: Array) -> list[list[float]] | None:
    """Rows from below, where the detector reads an image."""
    return numbers(x.reshape(detector.bins[::-1])) if detector.reads == "image" else None
