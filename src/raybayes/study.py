"""A study is one TOML file = one run: simulate, train, check. The room that knows all others."""

import hashlib
import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.rml import Beamline, read_rml
from raybayes.density import DensityConfig, Pretraining, deep
from raybayes.diagnostics import Calibration, Ints, calibration, ranks
from raybayes.errors import InputError
from raybayes.estimator import Estimator
from raybayes.observations import Reading
from raybayes.posterior import Posterior
from raybayes.prior import Independent, Marginal
from raybayes.simulate.detector import Detector
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.store import Arrays, Store, write_whole
from raybayes.train import Fit, State, Training

Array = NDArray[np.float64]

DRAWS = 255  # per observation, for ranks: 0..255
NOISE, CHECK = 1, 2  # streams of random numbers beside the shards'
PACKAGES = ("raybayes", "numpy", "scipy", "numba", "jax", "equinox", "optax", "safetensors")


class Study(BaseModel):
    """The whole of a run. Relative paths are relative to the study's own file; $NAME is the
    environment's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    beamline: str = Field(description="an RML file; 'ue112_pgm1.rml' is shipped")
    parameters: dict[str, Marginal] = Field(
        description="ELEMENT.PARAMETER = [low, high] or {kind = ..., ...}, in RAY-UI's units",
        min_length=1,
    )
    seed: int = Field(0, ge=0)
    simulations: int = Field(20_000, ge=100)
    online: bool = Field(False, description="so many simulations anew in every epoch; none stored")
    validation: int = Field(1000, ge=100, description="fresh pairs for checks and report")
    shard: int = Field(1000, gt=0, description="simulations per file")
    detector: Detector = Detector()
    tracing: Tracing = Tracing()
    density: DensityConfig = deep(members=2)
    training: Training = Training()
    pretraining: Pretraining | None = None
    observation: Reading = Reading()

    @property
    def prior(self) -> Independent:
        return Independent(tuple(self.parameters), tuple(self.parameters.values()))


SHIPPED = ("ue112", "ue112-image")


def read_study(name: str | os.PathLike[str]) -> tuple[Study, Beamline]:
    """Read a shipped study by its name or any study by its path, and its beamline.

    Raises:
        InputError: no such file, a key or value that a study does not have (with the key), a
            reversed prior, or a parameter that the beamline does not have.
    """
    path = _study_path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        shipped = ", ".join(SHIPPED)
        raise InputError(
            f"{path}: cannot be read as a study ({getattr(error, 'strerror', error)}); "
            f"give a TOML file or one of: {shipped}"
        ) from error
    try:
        study = Study(**tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise InputError(f"{path}: {explained(error)}") from error
    beamline = read_rml(_beamline_path(study.beamline, path.parent))
    if study.observation.dark is not None:
        dark = str(path.parent.absolute() / os.path.expandvars(study.observation.dark))
        reading = study.observation.model_copy(update={"dark": dark})
        study = study.model_copy(update={"observation": reading})
    prior = study.prior
    compile_beamline(beamline, prior.names, [prior.low, prior.high])  # refuses now, not in hours
    return study, beamline


def _study_path(name: str | os.PathLike[str]) -> Path:
    if str(name) in SHIPPED:
        return Path(str(resources.files("raybayes") / "data" / f"{name}.toml"))
    return Path(name)


def _beamline_path(name: str, folder: Path) -> Path:
    name = os.path.expandvars(name)
    beside = folder / name
    if not beside.exists() and not Path(name).is_absolute():
        shipped = Path(str(resources.files("raybayes") / "data" / name))
        return shipped if shipped.exists() else beside
    return beside


def explained(error: ValidationError) -> str:
    """The first of what is wrong, with its key."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"key {key!r}: {first['msg']}, found {first['input']!r}{more}"


@dataclass(frozen=True)
class Checks:
    """A posterior on fresh pairs.

    Attributes:
        theta, x: [n, d] truths and [n, bins] noisy observations.
        draws: [n, DRAWS, d]; rank: [n, d], of the truth among them.
        calibration: of the ranks of all parameters.
        shrinkage: [d], root mean square posterior sd over prior sd.
    """

    theta: Array
    x: Array
    draws: Array
    rank: Ints
    calibration: Calibration
    shrinkage: Array


@dataclass(frozen=True)
class Run:
    """One study in one output folder."""

    study: Study
    beamline: Beamline
    folder: Path

    @cached_property
    def simulator(self) -> Simulator:
        prior = self.study.prior
        return Simulator(
            self.beamline,
            prior.names,
            (prior.low, prior.high),
            self.study.detector,
            self.study.tracing,
            self.study.seed,
        )

    def identity(self, *parts: str) -> str:
        """Hash of what determines a result: the named parts of the study, and the beamline."""
        chosen = self.study.model_dump(
            mode="json", include=set(parts) or None, exclude={"observation"}
        )
        beamline = [
            (e.name, e.type, sorted((k, str(p.text)) for k, p in e.params.items()))
            for e in self.beamline.elements
        ]
        text = json.dumps([chosen, beamline], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def made_by(self) -> dict[str, str]:
        """Versions, study and seed: what stands in every artefact."""
        versions = {name: metadata.version(name) for name in PACKAGES}
        return {
            "study": self.study.name,
            "study_hash": self.identity(),
            "seed": str(self.study.seed),
            **versions,
        }

    def claim(self) -> None:
        """Make the folder and write the study into it; refuse a folder of another study."""
        mark = self.folder / "study.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if mark.exists():
                found = json.loads(mark.read_text())["hash"]
                if found != self.identity():
                    raise InputError(
                        f"{self.folder}: holds the results of another study (hash {found}, this "
                        f"one is {self.identity()}); choose another --out folder"
                    )
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{self.folder}: cannot be used as an output folder ({error})"
            ) from error
        if not mark.exists() and any(self.folder.iterdir()):
            raise InputError(
                f"{self.folder}: is not empty and was not made by raybayes; choose another folder"
            )
        content = {
            "hash": self.identity(),
            "beamline": str(Path(self.beamline.path).absolute()),
            "study": self.study.model_dump(mode="json"),
        }
        write_whole(mark, (json.dumps(content, indent=1) + "\n").encode())

    @property
    def store(self) -> Store:
        """Of simulations; its hash leaves out what does not change them."""
        header = {
            "study": self.identity("parameters", "seed", "detector", "tracing", "shard"),
            "seed": self.study.seed,
            "names": list(self.study.prior.names),
            "units": {"theta": "RAY-UI's", "profile": "fraction of emitted photons per bin"},
            "made_by": {name: metadata.version(name) for name in PACKAGES[:4]},
        }
        return Store(self.folder / "simulations", header, self.study.shard)

    def shard(self, index: int, count: int) -> Arrays:
        """One shard: theta from the prior and the expected profiles; from its index alone."""
        theta = self.study.prior.sample(count, np.random.default_rng((self.study.seed, index)))
        profile, transmission = self.simulator.profiles(theta, (0, index))
        return {"theta": theta, "profile": profile, "transmission": transmission}

    def simulate(self, progress: Callable[[int], object] = lambda done: None) -> Arrays:
        """All simulations of the study: made, or read where they are there already."""
        store = self.store
        store.fill(self.study.simulations, self.shard, progress)
        return store.read(self.study.simulations)

    def train(
        self, data: Arrays | None, progress: Callable[[State], object]
    ) -> tuple[Posterior, Fit]:
        """Fit the density, with the detector's noise fresh in every epoch.

        Args:
            data: simulations; None: they are made while the network trains.
        """
        study, detector = self.study, self.study.detector
        # Generalised Anscombe: unit noise in every feature.
        counts = {"features": "counts", "offset": detector.read_noise**2 + 3 / 8}
        density = study.density.model_copy(update=counts)
        estimator = Estimator(study.prior, density, study.training, study.pretraining, study.seed)
        common = (progress, self.folder / "training.safetensors", self.made_by)
        if data is None:
            posterior = estimator.fit_online(self.observe, study.simulations, *common)
        else:
            arrays = (data["theta"], data["profile"], detector.observe)
            posterior = estimator.fit(*arrays, *common)
        posterior.save(self.folder / "posterior.safetensors")
        return posterior, estimator.fit_

    def observe(self, theta: Array, rng: np.random.Generator) -> Array:
        """Noisy observations x of theta [n, d], with rays of their own."""
        profiles, _ = self.simulator.profiles(theta, tuple(rng.integers(1 << 32, size=2)))
        return self.study.detector.observe(profiles, rng)

    def check(self, posterior: Posterior) -> Checks:
        """Judge the posterior on fresh pairs that training never saw."""
        study, rng = self.study, np.random.default_rng((self.study.seed, NOISE, CHECK, CHECK))
        theta = study.prior.sample(study.validation, rng)
        x = self.observe(theta, rng)
        draws = posterior.sample(x, DRAWS, study.seed)
        rank = ranks(theta, draws)
        result = calibration(rank, DRAWS + 1)
        spread = np.sqrt((draws.var(axis=1, ddof=1)).mean(axis=0))
        return Checks(theta, x, draws, rank, result, spread / study.prior.sd)


def summary(run: Run, checks: Checks) -> dict[str, Any]:
    """The run in numbers, for a machine or a table: a row per parameter."""
    error = np.sqrt(((checks.draws.mean(axis=1) - checks.theta) ** 2).mean(axis=0))
    rows = {
        name: {
            "rms_error": float(error[j]),
            "sd_over_prior_sd": float(checks.shrinkage[j]),
            "rank_p_value": float(checks.calibration.p_value[j]),
            "ranks_uniform": bool(checks.calibration.uniform()[j]),
        }
        for j, name in enumerate(run.study.prior.names)
    }
    return {"study": run.study.name, "validation": len(checks.theta), "parameters": rows}
