"""A beamline as plain data: elements in beam order, with their parameters as in the file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from raybayes.beamline.kinds import Number
from raybayes.beamline.schema import OBJECTS
from raybayes.errors import InputError


@dataclass(frozen=True)
class Param:
    """One `<param>`: its text (three texts for a vector) and its attributes, as in the file."""

    text: str | tuple[str, str, str]
    attributes: Mapping[str, str]
    line: int = field(default=0, compare=False)

    @property
    def auto(self) -> bool:
        """RAY-UI computes this one from others (`auto="T"`)."""
        return self.attributes.get("auto") == "T"

    @property
    def rules(self) -> tuple[str, str]:
        """The attributes that decide what its text means for the geometry."""
        return self.attributes.get("auto", ""), self.attributes.get("enabled", "")

    def number(self, default: float = 0.0) -> float:
        """The value of a number or choice; `default` for the stale rest of a greyed-out one."""
        assert isinstance(self.text, str)
        try:
            value = float(self.text)
        except ValueError:
            return default
        return value if math.isfinite(value) else default


@dataclass(frozen=True)
class Element:
    """One `<object>`: a source, an optical element, a slit or an image plane.

    `attributes` are those of the object besides name and type (RAY-UI's uuid).
    """

    name: str
    type: str
    params: Mapping[str, Param]
    line: int = field(default=0, compare=False)
    attributes: Mapping[str, str] = field(default_factory=dict)

    def number(self, id_: str, default: float = 0.0) -> float:
        """The value of a number or choice; `default` where the file leaves it out."""
        param = self.params.get(id_)
        return default if param is None else param.number(default)


@dataclass(frozen=True)
class Beamline:
    """A beamline in beam order, the source first.

    `tail` holds what follows the beamline in the file (RAY-UI's drawing options), verbatim.
    `hc` (nm eV) is None where it follows from the file; `lenient` traces on without what is not
    modelled.
    """

    version: str
    elements: tuple[Element, ...]
    tail: tuple[str, ...] = ()
    path: str = field(default="<memory>", compare=False)
    hc: float | None = field(default=None, compare=False)
    lenient: bool = field(default=False, compare=False)

    @property
    def source(self) -> Element:
        """The first element."""
        return self.elements[0]

    def __getitem__(self, name: str) -> Element:
        for element in self.elements:
            if element.name == name:
                return element
        names = ", ".join(e.name for e in self.elements)
        raise InputError(f"{self.path}: there is no element {name!r}; the beamline has {names}")

    def find(self, name: str) -> tuple[Element, str]:
        """Split "M1.rotationXerror" into its element and parameter id; both must be known.

        Raises:
            InputError: no such element, or its type has no such number.
        """
        element_name, dot, id_ = name.rpartition(".")
        if not dot:
            raise InputError(f"parameter {name!r}: write it as ELEMENT.PARAMETER, as M1.radius")
        element = self[element_name]
        kind = OBJECTS[element.type].get(id_)
        if not isinstance(kind, Number):
            numbers = [k for k, v in OBJECTS[element.type].items() if isinstance(v, Number)]
            raise InputError(
                f"{self.path}: {element.type} {element_name!r} has no numeric parameter {id_!r}; "
                f"it has {', '.join(numbers)}"
            )
        return element, id_

    def with_params(self, name: str, changes: Mapping[str, Param]) -> "Beamline":
        """A copy in which the element `name` has these parameters too."""
        return replace(
            self,
            elements=tuple(
                replace(e, params={**e.params, **changes}) if e.name == name else e
                for e in self.elements
            ),
        )


def number_text(value: float) -> str:
    """The shortest text that reads back as the same float64; whole numbers without a point."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
