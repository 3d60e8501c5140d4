"""What of a detector is not known: parameters called detector.NAME, beside those of the optics.

Flux and background change a profile by a factor and a constant, so they cost no simulations; point
spread, pixel size and place change where light lands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.simulate.detector import Detector
from raybayes.simulate.engines.protocol import Capabilities, Engine, Key
from raybayes.simulate.openings import Bins

PREFIX = "detector."


class Kind(NamedTuple):
    """An instrument parameter: its unit, what people call it, and the least value it may have."""

    unit: str
    spoken: str
    least: float


KINDS = {
    "flux": Kind("", "photons over the study's", 0.0),
    "photons": Kind("photons", "photons", 0.0),
    "background": Kind("counts", "background", 0.0),
    "psf_x": Kind("mm", "horizontal point spread", 0.0),
    "psf_y": Kind("mm", "vertical point spread", 0.0),
    "scale": Kind("", "bin width over the study's", 0.01),
    "x": Kind("mm", "detector's place across", -np.inf),
    "y": Kind("mm", "detector's place up", -np.inf),
}
LIGHT = ("flux", "photons", "background")  # that change a profile by a factor and a constant


def is_instrument(name: str) -> bool:
    """Whether a parameter is the detector's, not the beamline's."""
    return name.startswith(PREFIX) and name.removeprefix(PREFIX) in KINDS


def is_light(name: str) -> bool:
    """Whether a parameter changes a profile by a factor and a constant alone."""
    return is_instrument(name) and name.removeprefix(PREFIX) in LIGHT


def instrument_columns(names: Sequence[str], theta: Array) -> Array:
    """[n, k]: of theta [n, d], what is the detector's."""
    return theta[:, list(map(is_instrument, names))]


def kind_of(name: str) -> Kind:
    """Of an instrument parameter."""
    return KINDS[name.removeprefix(PREFIX)]


class Placed(NamedTuple):
    """A detector, and the place of its middle [2], mm."""

    detector: Detector
    middle: Array

    def counted(
        self, places: Array, weight: Array, emitted: int, rng: np.random.Generator
    ) -> Array:
        """As `Detector.counted`, of rays at places [2, n] in the beam's coordinates, mm."""
        return self.detector.counted(places - self.middle[:, None], weight, emitted, rng)


@dataclass(frozen=True)
class Instrument:
    """The instrument parameters of a study [k], by their names without the prefix."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> "Instrument":
        """Those among the names of parameters, in their order."""
        return cls(tuple(n.removeprefix(PREFIX) for n in names if is_instrument(n)))

    def check(self, low: Array) -> None:
        """Refuses a prior with lower ends [k] that reaches where no detector is.

        Raises:
            InputError: with the parameter.
        """
        for name, least in zip(self.names, low, strict=True):
            kind = KINDS[name]
            if least < kind.least:
                raise InputError(
                    f"parameter {PREFIX}{name}: its prior goes down to {least:g}, and "
                    f"{kind.spoken} is at least {kind.least:g}; raise its lower end"
                )
        if {"flux", "photons"} <= set(self.names):
            raise InputError(
                f"parameters {PREFIX}flux and {PREFIX}photons both say how many photons there are; "
                "leave one out"
            )

    def values(self, name: str, own: Array, usual: float) -> Array:
        """[n]: a parameter's column of own [n, k]; as the study has it where it is none."""
        if name not in self.names:
            return np.full(len(own), usual)
        return np.asarray(own[:, self.names.index(name)])

    def places(self, own: Array) -> Array:
        """[n, 2], mm: where the detector's middle lies."""
        return np.stack([self.values(side, own, 0.0) for side in ("x", "y")], axis=1)

    def psf(self, detector: Detector, own: Array) -> Array:
        """[n, 2], mm, rms."""
        sides = zip(("psf_x", "psf_y"), detector.psf, strict=True)
        return np.stack([self.values(name, own, usual) for name, usual in sides], axis=1)

    def bin_width(self, detector: Detector, own: Array) -> Array:
        """[n, 2], mm."""
        return self.values("scale", own, 1.0)[:, None] * np.asarray(detector.bin_width)

    def flux(self, detector: Detector, own: Array) -> Array:
        """[n]: photons over those of the study."""
        if "photons" in self.names:
            return self.values("photons", own, np.nan) / detector.photons
        return self.values("flux", own, 1.0)

    def background(self, detector: Detector, own: Array) -> Array:
        """[n], counts per bin."""
        return self.values("background", own, detector.background)

    def bins(self, detector: Detector, own: Array) -> Bins:
        """Of the detector of each."""
        return Bins(
            self.psf(detector, own),
            self.bin_width(detector, own),
            np.asarray(detector.bins),
            detector.reads == "image",
            self.places(own),
        )

    def placed(self, detector: Detector, own: Array) -> list[Placed]:
        """[n]: the detector of each, and where it stands."""
        columns = zip(
            self.psf(detector, own).tolist(),
            self.bin_width(detector, own).tolist(),
            (detector.photons * self.flux(detector, own)).tolist(),
            self.background(detector, own).tolist(),
            strict=True,
        )
        keys = ("psf", "bin_width", "photons", "background")
        each = [detector.model_copy(update=dict(zip(keys, row, strict=True))) for row in columns]
        return list(map(Placed, each, self.places(own)))

    def lit(self, detector: Detector, profile: Array, own: Array) -> Array:
        """Profiles [n, bins] as the study's own flux and background would have to show them.

        The expected counts of the result, by the study's detector, are those of the instrument.
        """
        if not set(self.names) & set(LIGHT):
            return profile
        more = (self.background(detector, own) - detector.background) / detector.photons
        return np.asarray(profile * self.flux(detector, own)[:, None] + more[:, None])


@dataclass(frozen=True)
class Unlit:
    """An engine for theta with columns that it need not know: flux and background.

    Attributes:
        columns: of theta, that it knows.
    """

    engine: Engine
    columns: list[int]

    @property
    def capabilities(self) -> Capabilities:
        """Those of the engine."""
        return self.engine.capabilities

    def profiles(self, theta: Array, key: Key) -> tuple[Array, Array]:
        """As `Engine.profiles`, without the flux and the background of theta."""
        return self.engine.profiles(np.asarray(theta)[:, self.columns], key)
