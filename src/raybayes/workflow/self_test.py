"""Is this machine fit: versions, threads, devices, and a self-test of some seconds."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import jax
import numba
import numpy as np

from raybayes.beamline.derive import with_values
from raybayes.beamline.trace import trace
from raybayes.density import mixture
from raybayes.inference.estimator import Estimator
from raybayes.inference.train import Training
from raybayes.prior import Independent, Normal
from raybayes.study.plan import Plan
from raybayes.study.run import PACKAGES

OPTIONAL = ("distributed", "dask-jobqueue", "rayx", "xrt", "raypyng")

RAYS = 20_000
PITCH = 0.01  # mrad
EXIT = 1200.0  # mm, from M4 to the image
CLOSE_BEAM = 0.01  # of the closed form
PAIRS, EPOCHS = 6000, 15
NOISE = 0.5  # sd, beside the prior's 1
CLOSE_POSTERIOR = 0.1  # of the prior's sd


@dataclass(frozen=True)
class Check:
    """One part of the self-test, beside its closed form."""

    name: str
    found: float
    exact: float
    tolerance: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the found number is near enough to the exact one."""
        return abs(self.found - self.exact) <= self.tolerance


def machine() -> dict[str, Any]:
    """Versions, threads and devices."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "optional": {name: _version(name) for name in OPTIONAL},
        "cores": os.cpu_count(),
        "numba_threads": numba.get_num_threads(),
        "jax_devices": [str(device) for device in jax.devices()],
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def self_test() -> list[Check]:
    """Trace UE112 and train a small density, both beside their closed forms."""
    return [
        *_timed(_beam_follows_the_mirror),
        *_timed(_posterior_of_a_normal),
    ]


def _timed(test: Callable[[], list[tuple[str, float, float, float]]]) -> list[Check]:
    start = time.perf_counter()
    found = test()
    seconds = time.perf_counter() - start
    return [Check(*each, seconds / len(found)) for each in found]


def _beam_follows_the_mirror() -> list[tuple[str, float, float, float]]:
    """A mirror that pitches by d moves the beam by 2 q d at a distance q."""
    _, beamline = Plan.read("ue112")
    turned = with_values(beamline, {"M4.rotationXerror": PITCH})
    shift = abs(trace(turned, RAYS).x.mean() - trace(beamline, RAYS).x.mean())
    exact = 2 * EXIT * PITCH * 1e-3
    return [("M4 pitch of 10 µrad moves the beam, mm", float(shift), exact, CLOSE_BEAM * exact)]


def _posterior_of_a_normal() -> list[tuple[str, float, float, float]]:
    """theta ~ N(0, 1), x = theta + N(0, s^2): the posterior is N(x, s^2) / (1 + s^2)."""
    rng = np.random.default_rng(0)
    prior = Independent(("theta",), (Normal(mean=0, sd=1),))
    theta = prior.sample(PAIRS, rng)
    x = theta + NOISE * rng.standard_normal(theta.shape)
    posterior = Estimator(prior, mixture(), Training(epochs=EPOCHS)).fit(theta, x)
    draws = posterior.sample(np.array([1.0]), 4000)
    share = 1 / (1 + NOISE**2)
    return [
        ("mean of a trained posterior", float(draws.mean()), share, CLOSE_POSTERIOR),
        ("its sd", float(draws.std()), float(NOISE * np.sqrt(share)), CLOSE_POSTERIOR),
    ]
