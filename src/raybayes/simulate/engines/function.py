"""Any Python callable as an engine."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np

from raybayes.array_types import Array
from raybayes.errors import InputError
from raybayes.simulate.engines.protocol import Capabilities, Key, Scene


@dataclass(frozen=True)
class Function:
    """`module:function`, called with theta: [n, d], or [d] where it is not batched.

    It returns profiles [n, bins] (or [bins]), or these and the transmission [n] (or a number).

    Attributes:
        name: "module:function"; it travels to workers as this name, so they need the module.
        seeded: it takes `seed`, a whole number, too.
    """

    scene: Scene
    name: str
    batched: bool
    seeded: bool

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(self.seeded, self.batched)

    @cached_property
    def _function(self) -> Callable[..., Any]:
        module, _, attribute = self.name.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise InputError(
                f"engine.function {self.name}: cannot be imported ({error})"
            ) from error

    def check(self) -> "Function":
        """Import it now, not in hours."""
        if not callable(self._function):
            raise InputError(f"engine.function {self.name}: is not a function")
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("scene", "name", "batched", "seeded")}

    def profiles(self, theta: Array, key: Key) -> tuple[Array, Array]:
        """As `Engine.profiles`."""
        seed = {"seed": self.scene.integer(key)} if self.seeded else {}
        own = theta.copy()  # what the function does to it is not stored
        if self.batched:
            return self._checked(self._function(own, **seed), len(theta))
        (one,) = own
        return self._checked(self._function(one, **seed), 1)

    def _checked(self, result: Any, n: int) -> tuple[Array, Array]:
        both = isinstance(result, tuple)
        profiles = np.asarray(result[0] if both else result, np.float64)
        profiles = profiles if self.batched else profiles[None]
        if profiles.shape != (n, self.scene.detector.size):
            raise InputError(
                f"engine.function {self.name}: gave profiles of shape {profiles.shape}; the "
                f"detector reads {(n, self.scene.detector.size)}"
            )
        seen = [self.scene.seen(profile) for profile in profiles]
        transmission = np.asarray(result[1] if both else seen, np.float64)
        return profiles, transmission.reshape(n)
