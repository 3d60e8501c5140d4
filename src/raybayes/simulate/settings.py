"""The settings of a study: its conditions of measurement, at least one, and an observation of each.

A setting differs from the beamline as it stands by known motor steps, or by a screen on the way.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, field_validator

from raybayes.array_types import Array
from raybayes.beamline.derive import with_screen
from raybayes.beamline.model import Beamline
from raybayes.errors import InputError
from raybayes.observations import Reading
from raybayes.simulate.detector import Detector
from raybayes.simulate.engines.protocol import Capabilities, Scene
from raybayes.simulate.instrument import Instrument, instrument_columns, is_instrument
from raybayes.simulate.simulator import Simulator, Tracing


class SettingConfig(BaseModel):
    """One of a study's [[settings]]: what is changed before the observation is taken.

    An empty table is the beamline as it stands.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    screen: str | None = Field(
        None, description="the element in whose place a screen stands; default: the last plane"
    )
    steps: dict[str, float] = Field(
        {}, description="ELEMENT.PARAMETER = by how much it is moved from theta"
    )
    detector: Detector | None = Field(
        None, description="of this setting; what it leaves out is as in [detector]"
    )
    observation: dict[str, Any] = Field(
        {}, description="how its files are read; what it leaves out is as in [observation]"
    )

    @field_validator("observation")
    @classmethod
    def _known(cls, changes: dict[str, Any]) -> dict[str, Any]:
        Reading.model_validate(changes)
        return changes

    @property
    def label(self) -> str:
        """How it differs from the beamline as it stands."""
        screen = [f"screen at {self.screen}"] if self.screen else []
        moved = [f"{name} {step:+g}" for name, step in self.steps.items()]
        return ", ".join(screen + moved) or "as it stands"

    def scene(self, plain: Scene) -> Scene:
        """What its simulator is built for; `plain` is the study's without any change.

        Raises:
            InputError: no such element or parameter, or nothing of the study is seen here.
        """
        unknown = {*self.steps} - {*plain.names}
        if unknown:
            raise InputError(
                f"steps: {', '.join(sorted(unknown))} is no parameter of the study, which has "
                f"{', '.join(plain.names)}"
            )
        beamline, names = plain.beamline, list(plain.names)
        if self.screen is not None:
            beamline, names = self._screened(beamline, self.screen, names)
        steps = np.array([self.steps.get(name, 0.0) for name in names])
        columns = [list(plain.names).index(name) for name in names]
        low, high = (np.asarray(end, np.float64)[columns] + steps for end in plain.support)
        detector = self.detector or plain.detector
        return replace(
            plain, beamline=beamline, names=tuple(names), support=(low, high), detector=detector
        )

    def _screened(
        self, beamline: Beamline, screen: str, names: list[str]
    ) -> tuple[Beamline, list[str]]:
        """The beamline as far as the screen, and those parameters that stand before it."""
        if screen == beamline.elements[-1].name:
            raise InputError(
                f"screen: {screen} is the last element, where the study's detector stands already; "
                "leave the screen out"
            )
        short = with_screen(beamline, screen)
        before = {element.name for element in short.elements}
        seen = [n for n in names if n.rpartition(".")[0] in before or is_instrument(n)]
        unmoved = sorted({*self.steps} - {*seen})
        if unmoved:
            raise InputError(
                f"steps: {', '.join(unmoved)} does not stand before the screen at {screen}, which "
                "does not see it move; leave the step out"
            )
        if all(map(is_instrument, seen)):
            raise InputError(
                f"screen: no parameter of the study stands before {screen}; choose a later element"
            )
        return short, seen


@dataclass(frozen=True)
class Setting:
    """How one of the observations is taken.

    Attributes:
        simulator: of its screen; its names are those parameters that stand before the screen.
        steps: by how much motors were moved from theta, "ELEMENT.PARAMETER": step.
    """

    simulator: Simulator
    steps: dict[str, float]


@dataclass(frozen=True)
class Detectors:
    """The detector of each setting; their readings stand one after the other in one row.

    Exposures are independent, so the likelihood is the product.

    Attributes:
        noise: of each setting's simulator itself, see `Simulator.noise`; empty: none.
    """

    each: tuple[Detector, ...]
    noise: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """The length of an observation x."""
        return sum(detector.size for detector in self.each)

    @property
    def features(self) -> dict[str, Any]:
        """Those of the detector with the largest read noise: less than unit noise elsewhere."""
        return max(self.each, key=lambda detector: detector.read_noise).features

    def parts(self, x: ArrayLike) -> list[Array]:
        """Of x [..., size], each setting's own."""
        ends = np.cumsum([detector.size for detector in self.each])[:-1]
        return np.split(np.asarray(x, np.float64), ends, axis=-1)

    def pairs(self, x: ArrayLike) -> Iterator[tuple[Detector, Array]]:
        """Each setting's detector with its own part of x [..., size]."""
        return zip(self.each, self.parts(x), strict=True)

    def expected_counts(self, profile: ArrayLike) -> Array:
        """Fractions [..., size] -> expected counts [..., size]."""
        return np.concatenate([d.expected_counts(p) for d, p in self.pairs(profile)], axis=-1)

    def variance(self, expected_counts: ArrayLike) -> Array:
        """Of a reading of expected counts [..., size], for chi^2: [..., size], counts^2."""
        pairs = zip(self.pairs(expected_counts), self._noises, strict=True)
        return np.concatenate([d.variance(p, noise) for (d, p), noise in pairs], axis=-1)

    def observe(self, profile: ArrayLike, rng: np.random.Generator) -> Array:
        """Fractions [..., size] -> noisy readings [..., size], counts."""
        return np.concatenate([d.observe(p, rng) for d, p in self.pairs(profile)], axis=-1)

    def log_likelihood(self, x: ArrayLike, profile: ArrayLike) -> Array:
        """log p(x | profile), exact, [...]; x and profile [..., size] broadcast."""
        parts = zip(self.pairs(x), self.parts(profile), self._noises, strict=True)
        return np.sum([d.log_likelihood(x, p, noise) for (d, x), p, noise in parts], axis=0)

    @property
    def _noises(self) -> tuple[float, ...]:
        return self.noise or (0.0,) * len(self.each)


def lit(detectors: Detectors, names: Sequence[str], profile: Array, theta: Array) -> Array:
    """Profiles [n, size] of optics alone, in the flux and the background of theta [n, d]."""
    instrument = Instrument.of(names)
    own = instrument_columns(names, theta)
    parts = [instrument.lit(detector, part, own) for detector, part in detectors.pairs(profile)]
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class JointSimulator:
    """theta [n, d] -> profiles [n, size]: of every setting, one after the other in one row.

    Attributes:
        names: d parameters; every setting's own are among them.
        support: their lows and highs [d].
        settings: at least one.
    """

    names: Sequence[str]
    support: tuple[Array, Array]
    settings: tuple[Setting, ...]
    capabilities: ClassVar[Capabilities] = Simulator.capabilities

    def __post_init__(self) -> None:
        for setting in self.settings:
            unknown = {*setting.simulator.names, *setting.steps} - {*self.names}
            if unknown:
                raise InputError(
                    f"setting of {', '.join(sorted(unknown))}: this is no parameter of the "
                    f"study, which has {', '.join(self.names)}"
                )

    @classmethod
    def alone(cls, simulator: Simulator) -> "JointSimulator":
        """Of one setting, as the beamline stands."""
        return cls(simulator.names, simulator.support, (Setting(simulator, {}),))

    def changed(self, change: Callable[[Simulator], Simulator]) -> "JointSimulator":
        """With the simulator of every setting changed, as to more rays or another detector."""
        settings = (replace(s, simulator=change(s.simulator)) for s in self.settings)
        return replace(self, settings=tuple(settings))

    def traced(self, tracing: Tracing) -> "JointSimulator":
        """With other rays in every setting; see `Simulator.traced`."""
        return self.changed(lambda each: each.traced(tracing))

    @property
    def detectors(self) -> Detectors:
        """Of the settings, in their order."""
        simulators = [setting.simulator for setting in self.settings]
        noise = tuple(s.noise for s in simulators)
        return Detectors(tuple(s.detector for s in simulators), noise if any(noise) else ())

    def columns(self, setting: Setting) -> list[int]:
        """Which of the d parameters the setting sees."""
        return [list(self.names).index(name) for name in setting.simulator.names]

    def own(self, theta: Array, setting: Setting) -> Array:
        """[n, d of the setting]: what its simulator is asked for."""
        step = np.array([setting.steps.get(name, 0.0) for name in self.names])
        return (theta + step)[:, self.columns(setting)]

    def profiles(
        self, theta: ArrayLike, key: int | tuple[int, ...] | None = 0
    ) -> tuple[Array, Array]:
        """Expected profiles [n, size], and the transmission [n] of the setting that has the least.

        Args:
            theta: [n, d] in RAY-UI's units.
            key: as for `Simulator.profiles`, whose rays those of the first setting equal.
        """
        values, parts = np.asarray(theta, np.float64), []
        for i, setting in enumerate(self.settings):
            stream = (*np.atleast_1d(key).tolist(), i) if key is not None and i else key
            parts.append(setting.simulator.profiles(self.own(values, setting), stream))
        profiles, transmission = zip(*parts, strict=True)
        return np.concatenate(profiles, axis=1), np.min(transmission, axis=0)

    def log_likelihood(self, x: ArrayLike) -> Callable[[Array], Array]:
        """The exact log p(x | theta) of all observations x [size], as a function [n, d] -> [n]."""
        return lambda theta: self.detectors.log_likelihood(x, self.profiles(theta, None)[0])
