"""What a parameter of an RML file may be, and those that many objects share."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """A quantity; `unit` is the only unit that the file may give it ("" is a pure number)."""

    unit: str = ""


@dataclass(frozen=True)
class Choice:
    """An enumeration, stored as a number with its word as a comment."""

    words: Mapping[int, str]


@dataclass(frozen=True)
class Text:
    """A name or a path."""


@dataclass(frozen=True)
class Vector:
    """Three components x, y, z; RAY-UI derives these, raybayes never reads them as geometry."""


@dataclass(frozen=True)
class Shown:
    """A number that RAY-UI derives from others and shows: it is compared, and never counts."""

    unit: str = ""


Kind = Number | Choice | Text | Vector | Shown
Parameters = dict[str, Kind]


def numbers(unit: str, *ids: str) -> Parameters:
    return {id_: Number(unit) for id_ in ids}


def shown(unit: str, *ids: str) -> Parameters:
    return {id_: Shown(unit) for id_ in ids}


def texts(*ids: str) -> Parameters:
    return {id_: Text() for id_ in ids}


def choices(words: Mapping[int, str], *ids: str) -> Parameters:
    return {id_: Choice(words) for id_ in ids}


# RAY-UI stores these two the wrong way round: 0 switches the error on.
YES_NO_INVERTED = Choice({0: "Yes", 1: "No"})
NO_YES = Choice({0: "No", 1: "Yes"})
OFF_ON = Choice({0: "off", 1: "on"})
SHAPE = Choice({0: "rectangle", 1: "elliptical", 2: "trapezoid"})
SX700 = 1
# Of a slit, and where they are not given the sizes of its frame.
OPENINGS = {"openingWidth": "totalWidth", "openingHeight": "totalHeight"}
WORLD: Parameters = {
    "worldPosition": Vector(),
    "worldXdirection": Vector(),
    "worldYdirection": Vector(),
    "worldZdirection": Vector(),
}
TRANSLATIONS = ("translationXerror", "translationYerror", "translationZerror")
ROTATIONS = ("rotationXerror", "rotationYerror", "rotationZerror")
ALIGNMENT: Parameters = {
    "alignmentError": YES_NO_INVERTED,
    **numbers("mm", *TRANSLATIONS),
    **numbers("mrad", *ROTATIONS),
}
SLOPE: Parameters = {
    "slopeError": YES_NO_INVERTED,
    "profileKind": Choice({0: "Profile-File", 1: "Profile-Matrix", 2: "no Profile"}),
    "profileFile": Text(),
    **numbers("arcsec", "slopeErrorSag", "slopeErrorMer"),
    **numbers("um", "thermalDistortionAmp", "thermalDistortionSigmaX", "thermalDistortionSigmaZ"),
    **numbers("um", "cylindricalBowingAmp"),
    **numbers("km", "cylindricalBowingRadius"),
}
PLACE: Parameters = {**numbers("mm", "distancePreceding"), **numbers("deg", "azimuthalAngle")}
BLANK: Parameters = {
    "geometricalShape": SHAPE,
    **numbers("mm", "totalWidth", "totalWidthB", "totalLength"),
}
FRAME: Parameters = {
    "geometricalShape": SHAPE,
    **numbers("mm", "totalWidth", "totalWidthB", "totalHeight"),
}
DISPLAYED: Parameters = numbers(
    "", "reflectivitySenkrecht", "reflectivityParallel", "reflectivityPhase"
)
