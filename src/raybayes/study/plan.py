"""What determines a study's simulations. It imports no JAX, so a worker needs none."""

import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from raybayes.array_types import Array
from raybayes.beamline.data_files import contents
from raybayes.beamline.model import Beamline
from raybayes.beamline.rml import read_rml
from raybayes.errors import InputError
from raybayes.observations import Target
from raybayes.prior import Independent, Marginal
from raybayes.simulate.campaign import Campaign
from raybayes.simulate.detector import Detector
from raybayes.simulate.engines.config import EngineConfig, TracerConfig
from raybayes.simulate.engines.protocol import Engine, Scene
from raybayes.simulate.failures import Failures
from raybayes.simulate.instrument import (
    Instrument,
    Unlit,
    instrument_columns,
    is_instrument,
    is_light,
)
from raybayes.simulate.settings import Detectors, JointSimulator, Setting, SettingConfig, lit
from raybayes.simulate.simulator import Tracing
from raybayes.store import Store, read_text
from raybayes.study.explained import explained

SHIPPED = (
    "ue112", "ue112-image", "ue112-wellposed", "ue112-rigid-m4", "ue112-two-settings",
    "ue112-instrument",
)  # fmt: skip
PACKAGES: tuple[str, ...] = ("raybayes", "numpy", "scipy", "numba")
ALONE = (SettingConfig(),)  # of a study that names no settings: one, as the beamline stands
LARGEST = 100_000  # bytes of a study; those that people write have 1 or 2 kB
LONGEST = 1000  # letters of a line
DETERMINE = (
    "parameters", "seed", "detector", "tracing", "shard", "engine", "failures", "settings",
)  # fmt: skip


class Plan(BaseModel):
    """The part of a study that its simulations follow from.

    Relative paths are relative to the study's own file; $NAME in them is the environment's.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(min_length=1)
    beamline: str = Field(description="an RML file; 'ue112_pgm1.rml' is shipped")
    parameters: dict[str, Marginal] = Field(
        description="ELEMENT.PARAMETER = [low, high] or {kind = ..., ...}, in RAY-UI's units",
        min_length=1,
    )
    allow_unmodelled: bool = Field(
        False,
        exclude_if=lambda allowed: not allowed,  # studies without keep their hashes
        description="warn of what the beamline's file asks for and is not modelled, and go on",
    )
    seed: int = Field(0, ge=0)
    simulations: int = Field(20_000, ge=100)
    shard: int = Field(1000, gt=0, description="simulations per file")
    detector: Detector = Detector()
    tracing: Tracing = Tracing()
    engine: EngineConfig = TracerConfig()
    failures: Failures = Failures()
    settings: tuple[SettingConfig, ...] = Field(
        default_factory=lambda: ALONE,
        min_length=1,
        exclude_if=lambda settings: settings is ALONE,  # studies without keep their hashes
        description="an observation of each, of one theta; default: one, as the beamline stands",
    )

    @field_validator("settings", mode="before")
    @classmethod
    def _with_detectors(cls, settings: Any, info: ValidationInfo) -> Any:
        """What a setting's own detector leaves out is as in [detector]."""
        if not isinstance(settings, list) or "detector" not in info.data:
            return settings
        common = info.data["detector"].model_dump()

        def completed(own: Mapping[str, Any]) -> dict[str, Any]:
            renamed = {"bin_width"} if "pitch" in own else set()  # two names of one key
            return {**{k: v for k, v in common.items() if k not in renamed}, **own}

        return [
            {**each, "detector": completed(each["detector"])}
            if isinstance(each, Mapping) and isinstance(each.get("detector"), Mapping)
            else each
            for each in settings
        ]

    @property
    def prior(self) -> Independent:
        """Of the parameters, in their order."""
        return Independent(tuple(self.parameters), tuple(self.parameters.values()))

    @classmethod
    def read(cls, name: str | os.PathLike[str]) -> tuple[Self, Beamline]:
        """Read a shipped study by its name or any study by its path, and its beamline.

        Raises:
            InputError: no such file, a key or value that a study does not have (with the key), a
                reversed prior, or a parameter that the beamline does not have.
        """
        path = study_path(name)
        study = cls._parse(path)
        beamline = study.read_beamline(_beamline_path(study.beamline, path.parent))
        study._check_instrument()
        for scene in study.optics.scenes(beamline):
            study.engine.check(scene)
        return study, beamline

    def _check_instrument(self) -> None:
        """Refuses instrument parameters that no detector has, or that an engine does not know."""
        prior = self.prior
        self.instrument.check(instrument_columns(prior.names, prior.low[None])[0])
        if all(map(is_instrument, prior.names)):
            raise InputError(
                f"study {self.name}: all its parameters are the detector's; add one of the beamline"
            )
        placed = [name for name in prior.names if is_instrument(name) and not is_light(name)]
        if placed and not isinstance(self.engine, TracerConfig):
            raise InputError(
                f"parameter {placed[0]}: only our own tracer knows it; leave out [engine], or it"
            )

    def read_beamline(self, path: str | os.PathLike[str]) -> Beamline:
        """The beamline of a file, with what this study allows."""
        return read_rml(path, "warn" if self.allow_unmodelled else "error")

    @classmethod
    def _parse(cls, path: Path) -> Self:
        try:
            keys = _toml(path)
        except (OSError, UnicodeDecodeError) as error:
            shipped = ", ".join(SHIPPED)
            raise InputError(
                f"{path}: cannot be read as a study ({getattr(error, 'strerror', None) or error}); "
                f"give a TOML file or one of: {shipped}"
            ) from error
        except (ValueError, RecursionError) as error:  # tomllib's own, and of what it calls
            raise InputError(f"{path}: not valid TOML: {error}") from error
        try:
            return cls(**_with_template(keys, path.parent))
        except ValidationError as error:
            raise InputError(f"{path}: {explained(error)}") from error

    def _without(self, unseen: Callable[[str], bool]) -> Self:
        """The plan without the parameters of some names."""
        seen = {name: prior for name, prior in self.parameters.items() if not unseen(name)}
        return self if len(seen) == len(self.parameters) else self._changed(parameters=seen)

    def _changed(self, **changes: Any) -> Self:
        return self.model_copy(update=changes)

    @property
    def instrument(self) -> Instrument:
        """What of the detector is a parameter."""
        return Instrument.of(tuple(self.parameters))

    @property
    def optics(self) -> Self:
        """The plan of the beamline's parameters alone, with the detector at its sharpest."""
        prior, instrument = self.prior, self.instrument
        if not instrument.names:
            return self
        low = instrument_columns(prior.names, prior.low[None])

        def sharpest(detector: Detector) -> Detector:
            psf = tuple(instrument.psf(detector, low)[0].tolist())
            return detector.model_copy(update={"psf": psf})

        settings = tuple(
            each.model_copy(update={"detector": each.detector and sharpest(each.detector)})
            for each in self.settings
        )
        return self._without(is_instrument)._changed(
            detector=sharpest(self.detector),
            settings=self.settings if self.settings is ALONE else settings,
        )

    @property
    def unlit(self) -> bool:
        """Whether simulations know less than theta: flux and background are added to them."""
        return any(map(is_light, self.parameters))

    def lit(self, profile: Array, theta: Array) -> Array:
        """Profiles [n, size] of optics, in the flux and the background of theta [n, d]."""
        return lit(self.detectors, self.prior.names, profile, theta)

    def afresh(self, theta: Array, profile: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Theta [n, d] with flux and background drawn anew, and profiles [n, size] in them."""
        drawn = self.prior.sample(len(theta), rng)
        theta = np.where([is_light(name) for name in self.prior.names], drawn, theta)
        return theta, self.lit(profile, theta)

    def scene(self, beamline: Beamline) -> Scene:
        """What an engine is built for: the beamline as it stands, without settings."""
        prior = self.prior
        return Scene(beamline, prior.names, (prior.low, prior.high), self.detector, self.seed)

    def scenes(self, beamline: Beamline) -> list[Scene]:
        """One for each setting, with the parameters that it sees.

        Raises:
            InputError: settings that this study or beamline cannot have, with the key.
        """
        plain = self.scene(beamline)
        if self.settings is not ALONE and not isinstance(self.engine, TracerConfig):
            raise InputError(
                f"key 'settings': engine {self.engine.kind!r} simulates one setting; leave out "
                "[engine], so that our tracer simulates them, or the settings"
            )
        scenes = []
        for i, setting in enumerate(self.settings):
            try:
                scenes.append(setting.scene(plain))
            except InputError as error:
                raise InputError(f"key 'settings.{i}': {error}") from error
        return scenes

    @property
    def detectors(self) -> Detectors:
        """Of all settings: what reads an observation."""
        return Detectors(tuple(each.detector or self.detector for each in self.settings))

    @property
    def targets(self) -> list[Target]:
        """What each setting's part of an observation is; nameless where there is but one."""
        several = len(self.settings) > 1
        labels = (f"setting {i}: {each.label}" for i, each in enumerate(self.settings, 1))
        return [
            Target(d.reads, (d.edges(0), d.edges(1)), d.background, label if several else "")
            for d, label in zip(self.detectors.each, labels, strict=True)
        ]

    def at(self, values: Iterable[str]) -> Array:
        """Theta [d] from texts NAME=VALUE; the middle of the prior where none is given."""
        prior = self.prior
        theta = dict(zip(prior.names, (prior.low + prior.high) / 2, strict=True))
        for text in values:
            name, _, value = text.rpartition("=")
            if name not in theta:
                raise InputError(
                    f"{text}: give NAME=VALUE with one of the study's parameters {', '.join(theta)}"
                )
            try:
                theta[name] = float(value)
            except ValueError:
                raise InputError(f"{text}: {value!r} is not a number") from None
        return np.array(list(theta.values()))

    def build_engine(self, beamline: Beamline) -> Engine:
        """What simulates; a missing package or program is an InputError here."""
        unlit = self._without(is_light)
        if isinstance(self.engine, TracerConfig):
            engine: Engine = unlit.simulator(beamline)
        else:
            engine = self.engine.build(unlit.scene(beamline), self.tracing)
        if unlit is self:
            return engine
        return Unlit(engine, [i for i, n in enumerate(self.prior.names) if not is_light(n)])

    def simulator(self, beamline: Beamline) -> JointSimulator:
        """Our own tracer, of all settings."""
        scenes, tracer = self.scenes(beamline), TracerConfig()
        settings = tuple(
            Setting(tracer.build(scene, self.tracing), each.steps)
            for scene, each in zip(scenes, self.settings, strict=True)
        )
        prior = self.prior
        return JointSimulator(prior.names, (prior.low, prior.high), settings)

    def identity(self, beamline: Beamline, *parts: str) -> str:
        """Hash of what determines a result: the named parts of the study, and the beamline."""
        # How a measurement is read, and where a study lies, change nothing that was simulated.
        apart: dict[str, Any] = {
            "observation": True,
            "settings": {"__all__": {"observation"}},
            "engine": {"folder"},
        }
        chosen = self.model_dump(
            mode="json", by_alias=True, include=set(parts) or None, exclude=apart
        )
        elements = [
            (e.name, e.type, sorted((k, str(p.text), p.rules) for k, p in e.params.items()))
            for e in beamline.elements
        ]
        text = json.dumps([chosen, elements, *contents(beamline)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def store(self, beamline: Beamline, folder: Path) -> Store:
        """Of simulations; its hash leaves out what does not change them."""
        header = {
            "study": self.identity(beamline, *DETERMINE),
            "seed": self.seed,
            "names": list(self.prior.names),
            "units": {"theta": "RAY-UI's", "profile": "fraction of emitted photons per bin"},
        }
        return Store(folder / "simulations", header, self.shard)

    def campaign(self, beamline: Beamline, folder: Path, engine: Engine | None = None) -> Campaign:
        """What fills the store in a folder; `engine` in place of the study's own."""
        package = self.engine.package
        return Campaign(
            engine or self.build_engine(beamline),
            self.prior,
            self.store(beamline, folder),
            self.failures,
            self.seed,
            self.detectors.size,
            (*PACKAGES, package) if package else PACKAGES,
        )


def is_all(name: str | os.PathLike[str]) -> bool:
    """Whether the study has no keys but those of its plan."""
    try:
        return set(_toml(study_path(name))) <= set(Plan.model_fields)
    except (OSError, ValueError, RecursionError):
        return True  # reading the plan says what is wrong


def _toml(path: Path) -> dict[str, Any]:
    """As tomllib, which for a key a.a.a... takes memory that grows with the square of its parts."""
    text = read_text(path, LARGEST)
    if any(len(line) > LONGEST for line in text.split("\n")):
        raise ValueError(f"a line has more than {LONGEST} letters")
    return tomllib.loads(text)


def study_path(name: str | os.PathLike[str]) -> Path:
    """Of a shipped study's file by its name, or of any other as given."""
    if str(name) in SHIPPED:
        return Path(str(resources.files("raybayes") / "data" / f"{name}.toml"))
    return Path(name)


def _beamline_path(name: str, folder: Path) -> Path:
    name = os.path.expandvars(name)
    beside = folder / name
    if not os.path.exists(beside) and not Path(name).is_absolute():
        shipped = Path(str(resources.files("raybayes") / "data" / name))
        return shipped if os.path.exists(shipped) else beside
    return beside


def _with_template(keys: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An engine's template is a file beside the study; what counts is its text."""
    engine = keys.get("engine")
    if not isinstance(engine, Mapping) or not isinstance(engine.get("template"), str):
        return keys
    path = folder / engine["template"]
    try:
        text = read_text(path, LARGEST)
        return {**keys, "engine": {**engine, "template": text, "folder": str(folder.resolve())}}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"key 'engine.template': {path} cannot be read ({error})") from error
