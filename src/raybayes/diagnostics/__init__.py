"""Is a posterior right? Arrays in, frozen results out, each with a `plot(ax)`.

Nothing here knows what made the draws: any posterior can be judged. What each diagnostic cannot
see stands in its own docstring, and tests/diagnostics holds it to that.
"""

from raybayes.diagnostics.alarms import Alarm, evidence_alarm, mahalanobis, mmd, together
from raybayes.diagnostics.calibration import (
    Calibration,
    calibration,
    ecdf_band,
    hpd,
    ranks,
    references,
    sbc,
    tarp,
)
from raybayes.diagnostics.classifiers import C2ST, LocalC2ST, c2st, local_c2st
from raybayes.diagnostics.conformal import ConformalCalibration, conformal, conformal_hpd_level
from raybayes.diagnostics.neighbours import PRDC, prdc
from raybayes.diagnostics.predictive import Predictive, chi2_per_bin, predictive_check

__all__ = [
    "C2ST",
    "PRDC",
    "Alarm",
    "Calibration",
    "ConformalCalibration",
    "LocalC2ST",
    "Predictive",
    "c2st",
    "calibration",
    "chi2_per_bin",
    "conformal",
    "conformal_hpd_level",
    "ecdf_band",
    "evidence_alarm",
    "hpd",
    "local_c2st",
    "mahalanobis",
    "mmd",
    "prdc",
    "predictive_check",
    "ranks",
    "references",
    "sbc",
    "tarp",
    "together",
]
