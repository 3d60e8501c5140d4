"""One study in one output folder: simulate, train, check."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from raybayes.array_types import Array, Ints
from raybayes.beamline.model import Beamline
from raybayes.diagnostics import Calibration, calibration, ranks
from raybayes.errors import InputError, shorten
from raybayes.inference.estimator import Estimator
from raybayes.inference.noise import Nuisance
from raybayes.inference.posterior import Posterior
from raybayes.inference.train import Fit, State
from raybayes.simulate.campaign import Campaign, tally
from raybayes.simulate.engines.config import TracerConfig
from raybayes.simulate.engines.protocol import Engine
from raybayes.simulate.failures import Outcome, simulate_all
from raybayes.simulate.gaps import with_gaps
from raybayes.simulate.photons import counted_observations, rays_needed
from raybayes.simulate.settings import JointSimulator
from raybayes.store import Arrays, Store, damaged, make_folder, read_json, write_json
from raybayes.study import plan
from raybayes.study.accuracy import FILE, Proven, read_proven
from raybayes.study.explained import explained
from raybayes.study.study import Study

DRAWS = 255  # per observation, for ranks: 0..255
NOISE, CHECK = 1, 2  # streams of random numbers beside the shards'
MARK = "study.json"
BEFORE = ("simulations", FILE)  # what `raybayes simulate` leaves in a folder
COUNTED = 100_000_000  # rays of a check, at most: it takes fewer pairs where each needs many
FEWEST = 100  # pairs of a check
ELSEWHERE = (
    "run the study again with another --out, into which simulations/ and simulator.json may be "
    "moved before"
)
PACKAGES: tuple[str, ...] = (*plan.PACKAGES, "jax", "equinox", "optax", "safetensors")


@dataclass(frozen=True)
class Checks:
    """A posterior on fresh pairs.

    Attributes:
        theta, x: [n, d] truths and [n, bins] noisy observations.
        draws: [n, DRAWS, d]; rank: [n, d], of the truth among them.
        calibration: of the ranks of all parameters.
        sd_ratio: [d], root mean square posterior sd over prior sd.
        gapped: calibration of the same pairs with bins that have no reading; None where the study
            has no gaps.
        counted: rays that were counted for x; 0: another engine made it.
        seconds: that counting them took.
    """

    theta: Array
    x: Array
    draws: Array
    rank: Ints
    calibration: Calibration
    sd_ratio: Array
    counted: int
    seconds: float
    gapped: Calibration | None = None


@dataclass(frozen=True)
class Run:
    """One study in one output folder."""

    study: Study
    beamline: Beamline
    folder: Path

    @cached_property
    def simulator(self) -> JointSimulator:
        """Our own tracer for all settings, whatever engine simulates."""
        return self.study.simulator(self.beamline)

    @cached_property
    def engine(self) -> Engine:
        """What simulates: our tracer, unless the study names another."""
        ours = isinstance(self.study.engine, TracerConfig) and not self.study.unlit
        return self.simulator if ours else self.study.build_engine(self.beamline)

    @property
    def exact(self) -> bool:
        """Whether the likelihood is known; other engines add a noise that is not."""
        return isinstance(self.study.engine, TracerConfig)

    @cached_property
    def proven(self) -> Proven | None:
        """How good the simulator is on this study, where it was tested."""
        return read_proven(self.folder)

    def identity(self, *parts: str) -> str:
        """Hash of what determines a result: the named parts of the study, and the beamline."""
        return self.study.identity(self.beamline, *parts)

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
        """Make the folder and write the study into it.

        Raises:
            InputError: the folder holds another study's results or other files, or cannot be
                written.
        """
        make_folder(self.folder)
        mark = self.folder / MARK
        if os.path.lexists(mark):
            found = _read_mark(mark).hash
            if found != self.identity():
                raise InputError(
                    f"{self.folder}: holds the results of another study (hash {found}, this "
                    f"one is {self.identity()}); choose another --out folder"
                )
        elif _others(self.folder):
            raise InputError(
                f"{self.folder}: is not empty and was not made by raybayes; choose another folder"
            )
        content = {
            "hash": self.identity(),
            "beamline": str(Path(self.beamline.path).absolute()),
            "study": self.study.model_dump(mode="json", by_alias=True),
        }
        write_json(mark, content)

    @cached_property
    def campaign(self) -> Campaign:
        """What fills this run's store with simulations."""
        return self.study.campaign(self.beamline, self.folder, self.engine)

    @property
    def store(self) -> Store:
        """Where this run's simulations are kept."""
        return self.campaign.store

    def simulate(self, progress: Callable[[dict], object] = lambda header: None) -> Arrays:
        """All simulations of the study: made, or read where they are there already.

        Args:
            progress: called with the header of each shard that is made.

        Returns:
            theta [n, d], profile [n, size] (fractions of the emitted photons, of the study's own
            flux and background whatever theta says) and transmission [n].

        Raises:
            InputError: too many simulations failed, or the store cannot be written.
        """
        self.campaign.run(self.store.shards(self.study.simulations), progress)
        return self.store.read(self.study.simulations)

    @cached_property
    def notes(self) -> list[str]:
        """What a person must know of the simulations; none where all went well."""
        if self.study.online:
            return []
        return tally(self.store, self.store.shards(self.study.simulations)).sentences()

    def train(
        self, data: Arrays | None, progress: Callable[[State], object]
    ) -> tuple[Posterior, Fit]:
        """Fit the density, with the detector's noise fresh in every epoch.

        Args:
            data: simulations, as `simulate` returns them: theta [n, d], profile [n, size]; None:
                they are made while the network trains.
            progress: called with the state after every epoch.

        Returns:
            the posterior, and its training curve.
        """
        study, detector = self.study, self.study.detectors
        seen = {**detector.features, "missing": bool(study.gaps)}
        density = study.density.model_copy(update=seen)
        estimator = Estimator(study.prior, density, study.training, study.pretraining, study.seed)
        common = (progress, self.folder / "training.safetensors", self.made_by)
        if data is None:
            posterior, fit = estimator.train_online(self.observe, study.simulations, *common)
        else:
            noise = Nuisance(study.observe, study.afresh) if study.unlit else study.observe
            arrays = (data["theta"], data["profile"], noise)
            posterior, fit = estimator.train(*arrays, *common)
        posterior.save(self.folder / "posterior.safetensors")
        return posterior, fit

    def observe(self, theta: Array, rng: np.random.Generator) -> Array:
        """Noisy observations x [n, size], counts, of theta [n, d], with rays of their own.

        Raises:
            InputError: a simulation failed.
        """
        outcome = self._outcome(theta, rng)
        for reason in outcome.reasons.values():
            raise InputError(f"{len(outcome.reasons)} of {len(theta)} simulations failed: {reason}")
        return self.study.observe(outcome.profile, rng)

    def observed(self, theta: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """As `observe`, of those theta that do not fail: theta [<= n, d] and x."""
        outcome = self._outcome(theta, rng)
        x = self.study.detectors.observe(outcome.profile[outcome.good], rng)
        return theta[outcome.good], x

    def profiles(self, theta: Array, key: tuple[int, ...]) -> Array:
        """Expected profiles of those theta [n, d] that do not fail, [<= n, bins]."""
        outcome = self._simulated(theta, key)
        return outcome.profile[outcome.good]

    def _outcome(self, theta: Array, rng: np.random.Generator) -> Outcome:
        return self._simulated(theta, tuple(int(k) for k in rng.integers(1 << 32, size=2)))

    def _simulated(self, theta: Array, key: tuple[int, ...]) -> Outcome:
        study = self.study
        # How many may fail is a rule for campaigns; here the caller sees which did.
        rule = study.failures.model_copy(update={"then": "skip", "at_most": 1.0})
        outcome = simulate_all(self.engine, theta, key, study.detectors.size, rule)
        return replace(outcome, profile=study.lit(outcome.profile, theta))

    def check(self, posterior: Posterior, made: Callable[[], object] = lambda: None) -> Checks:
        """Judge the posterior on fresh pairs that training never saw, made of counted photons.

        Args:
            made: called for each observation that was counted.
        """
        study, rng = self.study, np.random.default_rng((self.study.seed, NOISE, CHECK, CHECK))
        theta, start = study.prior.sample(study.validation, rng), time.perf_counter()
        theta, x, counted = self.pairs(theta, rng, made)
        seconds = time.perf_counter() - start
        draws = posterior.sample(x, DRAWS, study.seed)
        rank = ranks(theta, draws)
        result = calibration(rank, DRAWS + 1)
        spread = np.sqrt((draws.var(axis=1, ddof=1)).mean(axis=0))
        ratio = spread / study.prior.sd
        gapped = None
        if study.gaps:
            holed = posterior.sample(with_gaps(study.detectors, x, 1.0, rng), DRAWS, study.seed)
            gapped = calibration(ranks(theta, holed), DRAWS + 1)
        return Checks(theta, x, draws, rank, result, ratio, counted, seconds, gapped)

    def pairs(
        self, theta: Array, rng: np.random.Generator, made: Callable[[], object] = lambda: None
    ) -> tuple[Array, Array, int]:
        """Of theta [n, d] some theta [<= n, d] with observations x, and the rays counted for x.

        Of our tracer's they come from counted photons, never from the expected profiles that
        trained the posterior; as many pairs as COUNTED rays are enough for. Of other engines they
        are simulated as those of the training.
        """
        if not self.exact:
            return *self.observed(theta, rng), 0  # what failed, training did not see either
        theta = self._built(theta)
        seed = (self.study.seed, NOISE, CHECK, int(rng.integers(1 << 32)))
        n = self.countable()[0]
        x, counted = counted_observations(self.simulator, theta[:n], seed, made)
        return theta[:n], x, counted

    def countable(self) -> tuple[int, int]:
        """How many pairs a check takes, and how many rays each of them needs."""
        each = sum(rays_needed(setting.simulator)[1] for setting in self.simulator.settings)
        return int(min(self.study.validation, max(FEWEST, COUNTED / each))), each

    def _built(self, theta: Array) -> Array:
        """Those of theta [n, d] that the beamline can be built with."""
        outcome = self._simulated(theta, (CHECK,))
        return theta[outcome.good]


def summary(run: Run, checks: Checks) -> dict[str, Any]:
    """The run in numbers, for a machine or a table: a row per parameter."""
    error = np.sqrt(((checks.draws.mean(axis=1) - checks.theta) ** 2).mean(axis=0))
    rows: dict[str, dict[str, Any]] = {
        name: {
            "rms_error": float(error[j]),
            "sd_over_prior_sd": float(checks.sd_ratio[j]),
            "rank_p_value": float(checks.calibration.p_value[j]),
            "ranks_uniform": bool(checks.calibration.uniform()[j]),
        }
        for j, name in enumerate(run.study.prior.names)
    }
    if checks.gapped is not None:
        found = zip(rows.values(), checks.gapped.p_value, checks.gapped.uniform(), strict=True)
        for row, p_value, uniform in found:
            row["gapped_rank_p_value"] = float(p_value)
            row["gapped_ranks_uniform"] = bool(uniform)
    return {
        "study": run.study.name,
        "validation": len(checks.theta),
        "counted_rays": checks.counted,
        "counting_seconds": checks.seconds,
        "parameters": rows,
    }


def _others(folder: Path) -> bool:
    """Whether there is something in it that no simulation leaves there."""
    try:
        return any(name not in BEFORE for name in os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error


class _Mark(BaseModel):
    """What stands in MARK."""

    model_config = ConfigDict(extra="forbid", strict=True)

    hash: str
    beamline: str
    study: dict[str, Any]


def _read_mark(path: Path) -> _Mark:
    try:
        return _Mark.model_validate(read_json(path, ELSEWHERE))
    except ValidationError as error:
        raise damaged(path, explained(error), ELSEWHERE) from error


def open_run(folder: str | os.PathLike[str], trust_engine: bool = False) -> Run:
    """The run that a folder holds.

    Args:
        trust_engine: run a program, or a function of Python, that the folder's study names as its
            engine. Whoever made the folder chose it.

    Raises:
        InputError: it holds none, or is damaged; its engine runs something that is not trusted; or
            its beamline file was moved or changed.
    """
    mark = Path(folder) / MARK
    if not os.path.lexists(mark):
        raise InputError(f"{folder}: holds no run of raybayes; give the --out folder of one")
    found = _read_mark(mark)
    try:
        study = Study(**found.study)
    except ValidationError as error:
        raise damaged(mark, explained(error), ELSEWHERE) from error
    if study.engine.runs and not trust_engine:
        raise InputError(
            f"{folder}: was not opened, since its study runs {shorten(study.engine.runs)}; if you "
            "trust who made this folder, add --trust-engine (in Python: trust_engine=True)"
        )
    run = Run(study, study.read_beamline(found.beamline), Path(folder))
    if run.identity() != found.hash:
        raise InputError(
            f"{found.beamline}: was changed after the run in {folder}, or another version of "
            "raybayes made it; run the study again"
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


def exact_likelihood(run: Run, x: Array) -> Callable[[Array], Array]:
    """theta [n, d] -> log p(x | theta) [n], widened by the simulator's own error where it is known.

    Raises:
        InputError: another engine simulates, with an error that is not known.
    """
    if not run.exact:
        raise InputError(
            f"study {run.study.name}: its simulations have a noise of their own, so their "
            "likelihood is not known; refining needs our own tracer, without [engine]"
        )
    return run.simulator.log_likelihood(x)
