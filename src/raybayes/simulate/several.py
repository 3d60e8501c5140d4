"""Several observations of one theta: at known motor settings, or on screens along the beam."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raybayes.errors import InputError
from raybayes.simulate.simulator import Simulator

Array = NDArray[np.float64]


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
class Several:
    """theta [n, d] -> x [n, size]: one observation after the other in one row.

    Attributes:
        names: d parameters; every setting's own are among them.
    """

    names: Sequence[str]
    settings: tuple[Setting, ...]

    def __post_init__(self) -> None:
        for setting in self.settings:
            unknown = {*setting.simulator.names, *setting.steps} - {*self.names}
            if unknown:
                raise InputError(
                    f"setting of {', '.join(sorted(unknown))}: this is no parameter of the "
                    f"study, which has {', '.join(self.names)}"
                )

    @property
    def sizes(self) -> list[int]:
        return [setting.simulator.detector.size for setting in self.settings]

    def own(self, theta: Array, setting: Setting) -> Array:
        """[n, d of the setting]: what its simulator is asked for."""
        step = np.array([setting.steps.get(name, 0.0) for name in self.names])
        columns = [list(self.names).index(name) for name in setting.simulator.names]
        return (theta + step)[:, columns]

    def profiles(self, theta: Array, key: int | tuple[int, ...] | None) -> tuple[Array, Array]:
        """Expected profiles [n, size] and transmissions [n, settings]; as `Simulator.profiles`."""
        parts = []
        for i, setting in enumerate(self.settings):
            stream = None if key is None else (*np.atleast_1d(key).tolist(), i)
            parts.append(setting.simulator.profiles(self.own(theta, setting), stream))
        return np.concatenate([p for p, _ in parts], axis=1), np.stack([t for _, t in parts], 1)

    def parts(self, x: ArrayLike) -> list[Array]:
        """Of x [..., size], each setting's own."""
        return np.split(np.asarray(x, np.float64), np.cumsum(self.sizes)[:-1], axis=-1)

    def observe(self, profile: ArrayLike, rng: np.random.Generator) -> Array:
        """Fractions [..., size] -> noisy readings [..., size], counts."""
        pairs = zip(self.parts(profile), self.settings, strict=True)
        return np.concatenate([s.simulator.detector.observe(p, rng) for p, s in pairs], axis=-1)

    def log_likelihood(self, x: ArrayLike) -> Callable[[Array], Array]:
        """The exact log p(x | theta) of all observations x [size], as a function [n, d] -> [n]."""
        terms = [
            (setting, setting.simulator.log_likelihood(part))
            for part, setting in zip(self.parts(x), self.settings, strict=True)
        ]
        return lambda theta: np.sum([term(self.own(theta, s)) for s, term in terms], axis=0)
