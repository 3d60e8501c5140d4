"""What every engine is: theta -> profiles and transmission, with what it can and cannot do."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Protocol

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.model import Beamline
from raybayes.errors import InputError
from raybayes.simulate.detector import Detector

Key = tuple[int, ...]

INSTALL = {
    "rayx": "pip install 'raybayes[rayx]'",
    "xrt": "pip install 'raybayes[xrt]' (with pip: uv cannot build it)",
    "raypyng": "pip install 'raybayes[rayui]'",
    "distributed": "pip install 'raybayes[dask]'",
    "dask_jobqueue": "pip install 'raybayes[dask]'",
}


@dataclass(frozen=True)
class Capabilities:
    """What an engine declares.

    Attributes:
        seeded: the same theta and key give the same numbers.
        batched: many thetas in one call are quicker than one by one.
        misalignment: it traces misaligned elements.
        tolerance: how far its profiles may be from ours, rms over the bins as a share of the peak,
            beside what counting rays explains.
    """

    seeded: bool
    batched: bool
    misalignment: bool = True
    tolerance: float = 0.01


class Engine(Protocol):
    """Simulates one beamline at any theta as one detector reads them.

    An engine is small to pickle: it travels to workers.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    def profiles(self, theta: Array, key: Key) -> tuple[Array, Array]:
        """theta [n, d] in RAY-UI's units -> profiles [n, bins], fractions of the photons that the
        source emits, and transmission [n]. May raise, or give NaN, where a theta fails."""
        ...


@dataclass(frozen=True)
class Scene:
    """What an engine is built for.

    Attributes:
        names: d parameters, "ELEMENT.PARAMETER".
        support: their lows and highs [d].
    """

    beamline: Beamline
    names: Sequence[str]
    support: tuple[Array, Array]
    detector: Detector
    seed: int

    def values(self, theta: Array) -> dict[str, float]:
        """One theta [d], by name."""
        return {name: float(v) for name, v in zip(self.names, theta, strict=True)}

    def integer(self, key: Key) -> int:
        """31 bits that follow from the scene's seed and a key, for programs with a seed."""
        state = np.random.SeedSequence((self.seed, *key)).generate_state(1)
        return int(state[0]) >> 1

    def seen(self, profile: Array) -> float:
        """The share of light on the detector: the transmission, where an engine gives no other."""
        return float(profile.sum() if self.detector.reads == "image" else self._across(profile))

    def _across(self, profile: Array) -> float:
        first = self.detector.bins[0]
        return float((profile[:first] if first else profile).sum())


def needs(module: str) -> ModuleType:
    """Import a package that raybayes does not install by itself.

    Raises:
        InputError: it is missing; the message holds the line that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise InputError(
            f"{package} cannot be imported ({error}); install it: {INSTALL[package]}"
        ) from error
