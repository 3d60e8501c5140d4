"""The value of any parameter of a beamline at n thetas, and rotations of n frames."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array
from raybayes.beamline.kinds import ROTATIONS, TRANSLATIONS
from raybayes.beamline.model import Beamline, Element
from raybayes.beamline.unmodelled import ALLOW
from raybayes.errors import InputError

HC = 1239.841984332  # nm eV, CODATA 2018: RAY-UI's value
HC_OLD = 1239.852  # nm eV, of older RAY-UI
HALF_TURN = 1e3 * np.pi  # mrad
ARCSEC = np.pi / 180 / 3600


@dataclass
class Values:
    """The value of any parameter: [n] where theta varies it, a scalar where it does not.

    It keeps what was asked for, so that a parameter on which nothing depends is refused.
    """

    beamline: Beamline
    n: int
    varied: Mapping[tuple[str, str], Array]
    used: set[tuple[str, str]] = field(default_factory=set, init=False)

    @classmethod
    def of(cls, beamline: Beamline, names: Sequence[str], theta: ArrayLike | None) -> "Values":
        values = np.zeros((1, 0)) if theta is None else np.asarray(theta, np.float64)
        if values.ndim != 2 or values.shape[1] != len(names):
            raise InputError(
                f"theta has shape {values.shape}, must be [n, {len(names)}]: "
                f"one column for each of {', '.join(names) or 'no parameters'}"
            )
        if not np.isfinite(values).all():
            raise InputError("theta holds a NaN or an infinity")
        varied: dict[tuple[str, str], Array] = {}
        for name, column in zip(names, values.T, strict=True):
            element, id_ = beamline.find(name)
            if (element.name, id_) in varied:
                raise InputError(f"parameter {name} is given twice")
            varied[element.name, id_] = column
        return cls(beamline, len(values), varied)

    def varies(self, element: Element, *ids: str) -> bool:
        return any((element.name, id_) in self.varied for id_ in ids)

    def __call__(self, element: Element, id_: str, default: float = 0.0) -> Array:
        key = (element.name, id_)
        if key in self.varied:
            self.used.add(key)
            return self.varied[key]
        return np.asarray(element.number(id_, default))

    def derived(self, element: Element, id_: str, rule: ArrayLike) -> Array:
        """`rule` where the file says auto and theta does not vary it; else the value."""
        param = element.params.get(id_)
        if self.varies(element, id_) or (param is not None and param.text and not param.auto):
            return self(element, id_)
        return np.asarray(rule)

    def manual(self, element: Element, id_: str, rule: ArrayLike) -> Array:
        """`rule`, unless theta varies the value or the file says that a person set it."""
        param = element.params.get(id_)
        by_hand = param is not None and param.attributes.get("auto") == "F"
        return self(element, id_) if by_hand or self.varies(element, id_) else np.asarray(rule)

    def check_all_used(self) -> None:
        for name, id_ in self.varied:
            if (name, id_) not in self.used:
                raise InputError(
                    f"parameter {name}.{id_}: the beamline as set in {self.beamline.path} does "
                    "not depend on it (computed by RAY-UI, switched off, or not modelled)"
                )

    def error(self, element: Element, message: str, id_: str = "") -> InputError:
        """A sentence that names file, line, element and parameter."""
        param = element.params.get(id_)
        line = param.line if param is not None else element.line
        where = f", parameter {id_!r}" if id_ else ""
        if id_ and param is None and not self.varies(element, id_):
            where += " (which the file does not give)"
        return InputError(
            f"{self.beamline.path}:{line}: {element.type} {element.name!r}{where}: {message}"
        )

    def not_modelled(self, element: Element, message: str, id_: str = "") -> None:
        """Refuse, or warn where the person lets what is not modelled pass."""
        if not self.beamline.lenient:
            raise self.error(element, f"{message}, {ALLOW}", id_)
        warnings.warn(f"{self.error(element, message, id_)}; it is left out", stacklevel=3)

    def check(self, element: Element, id_: str, good: ArrayLike, message: str) -> None:
        if not np.all(good):
            raise self.error(element, message, id_)

    def positive(self, element: Element, id_: str, default: float = 0.0) -> Array:
        value = self(element, id_, default)
        self.check(element, id_, value > 0, "it must be positive")
        return value


def rotation(axis: int, angle: ArrayLike) -> Array:
    """Active rotation by `angle` (rad) about x, y or z (0, 1, 2): [..., 3, 3]."""
    angle = np.asarray(angle, np.float64)
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = matrix[..., j, j] = c
    matrix[..., j, i], matrix[..., i, j] = s, -s
    return matrix


def misaligned(
    values: Values, element: Element, axes: Array, origin: Array, turn: ArrayLike = 0.0
) -> tuple[Array, Array]:
    """RAY-UI misalignment: M = Rz Ry Rx on the element's own axes, then a shift along them.

    With T = Rx(turn) from the element's axes to those that the errors are given in:
    O' = O T M T^t, p' = p + O' T d.
    """
    ids = (*TRANSLATIONS, *ROTATIONS)
    on = element.number("alignmentError", 1) == 0
    if not on and not values.varies(element, *ids):
        return axes, origin
    # Where the file says "no alignment error", its own values are stale: only theta counts.
    get = {i: values(element, i) if on or values.varies(element, i) else 0.0 for i in ids}
    for id_ in ROTATIONS:
        good = np.abs(get[id_]) <= HALF_TURN
        values.check(element, id_, good, "an error of more than half a turn, 3141.6 mrad")
    x, y, z = (rotation(axis, np.multiply(get[id_], 1e-3)) for axis, id_ in enumerate(ROTATIONS))
    shift = np.stack(np.broadcast_arrays(*(get[id_] for id_ in TRANSLATIONS)), axis=-1)
    if not np.any(turn):
        axes = axes @ z @ y @ x
        return axes, origin + np.einsum("...ij,...j->...i", axes, shift)
    to = rotation(0, turn)
    tilted = axes @ to @ z @ y @ x
    return tilted @ np.swapaxes(to, -1, -2), origin + np.einsum("...ij,...j->...i", tilted, shift)
