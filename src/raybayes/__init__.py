"""Invert X-ray beamlines: from a beam profile to the optics' parameters that produced it."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Imported on first use, so that `raybayes --help` loads neither JAX nor Numba.
_HOMES = {
    "Detector": "raybayes.simulate.detector",
    "Estimator": "raybayes.inference.estimator",
    "Independent": "raybayes.prior",
    "InputError": "raybayes.errors",
    "Posterior": "raybayes.inference.posterior",
    "Run": "raybayes.study.run",
    "Sequential": "raybayes.inference.sequential",
    "Simulator": "raybayes.simulate.simulator",
    "Study": "raybayes.study.study",
    "Tracing": "raybayes.simulate.simulator",
    "Training": "raybayes.inference.train",
    "box": "raybayes.prior",
    "estimate": "raybayes.inference.estimates",
    "read_rml": "raybayes.beamline.rml",
    "read_study": "raybayes.study.study",
    "reference_posterior": "raybayes.inference.nested",
    "run_study": "raybayes.workflow.run_study",
    "snpe_c": "raybayes.inference.sequential",
    "trace": "raybayes.beamline.trace",
    "tsnpe": "raybayes.inference.sequential",
    "with_values": "raybayes.beamline.derive",
    "write_rml": "raybayes.beamline.rml",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'raybayes' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
