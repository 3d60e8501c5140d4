"""How a study's parameters are shown: RAY-UI's name, what people call it, unit and prior range."""

from dataclasses import dataclass

from raybayes.beamline.kinds import Number
from raybayes.beamline.model import Beamline
from raybayes.beamline.schema import OBJECTS
from raybayes.prior import Independent
from raybayes.simulate.instrument import is_instrument, kind_of

# What people call the parameters that have a name in the field: of rotations, those about the
# axes of RAY-UI's element frame (x across, y along the normal, z along the beam).
PLAIN = {
    "rotationXerror": "pitch",
    "rotationYerror": "yaw",
    "rotationZerror": "roll",
    "distanceImagePlane": "distance",
}


@dataclass(frozen=True)
class Parameter:
    """How a parameter is shown.

    Attributes:
        name: RAY-UI's, "ELEMENT.PARAMETER".
        unit: RAY-UI's, such as "mrad"; "" where it has none.
        low, high: the ends of its prior's range, in that unit.
    """

    name: str
    unit: str
    low: float
    high: float

    @property
    def label(self) -> str:
        """For an axis: "M1.rotationXerror [mrad]"."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    @property
    def spoken(self) -> str:
        """For a sentence: see `spoken`."""
        return spoken(self.name)


def spoken(name: str) -> str:
    """A parameter with what people call it: "M1.rotationXerror (M1 pitch)"."""
    element, _, id_ = name.rpartition(".")
    if is_instrument(name):
        return f"{name} ({kind_of(name).spoken})"
    return f"{name} ({element} {PLAIN[id_]})" if id_ in PLAIN else name


def shown_parameters(beamline: Beamline, prior: Independent) -> list[Parameter]:
    """Of a prior over a beamline's parameters, in its order."""
    columns = zip(prior.names, prior.low, prior.high, strict=True)
    return [Parameter(name, unit_of(beamline, name), low, high) for name, low, high in columns]


def unit_of(beamline: Beamline, name: str) -> str:
    """RAY-UI's unit of a parameter; "" where it has none.

    Raises:
        InputError: the beamline has no such parameter.
    """
    if is_instrument(name):
        return kind_of(name).unit
    element, id_ = beamline.find(name)
    kind = OBJECTS[element.type][id_]
    return kind.unit if isinstance(kind, Number) else ""
