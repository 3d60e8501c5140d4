"""What a RAY-UI file may say: every object type, its parameters, their units and choices.

Source: RAY-UI's RML format, versions 1.14 to 1.16 (units: mm, deg, mrad, arcsec rms, eV, ...).
"""

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


Kind = Number | Choice | Text | Vector
Parameters = dict[str, Kind]


def _numbers(unit: str, *ids: str) -> Parameters:
    return {id_: Number(unit) for id_ in ids}


# RAY-UI stores these two the wrong way round: 0 switches the error on.
YES_NO_INVERTED = Choice({0: "Yes", 1: "No"})
SHAPE = Choice({0: "rectangle", 1: "elliptical", 2: "trapezoid"})
SX700 = 1

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
    **_numbers("mm", *TRANSLATIONS),
    **_numbers("mrad", *ROTATIONS),
}
SLOPE: Parameters = {
    "slopeError": YES_NO_INVERTED,
    "profileKind": Choice({0: "Profile-File", 1: "Profile-Matrix", 2: "no Profile"}),
    "profileFile": Text(),
    **_numbers("arcsec", "slopeErrorSag", "slopeErrorMer"),
    **_numbers("", "thermalDistortionAmp", "thermalDistortionSigmaX", "thermalDistortionSigmaZ"),
    **_numbers("", "cylindricalBowingAmp", "cylindricalBowingRadius"),
}
PLACE: Parameters = {**_numbers("mm", "distancePreceding"), **_numbers("deg", "azimuthalAngle")}
BLANK: Parameters = {
    "geometricalShape": SHAPE,
    **_numbers("mm", "totalWidth", "totalWidthB", "totalLength"),
}
EFFICIENCY: Parameters = _numbers(
    "", "reflectivitySenkrecht", "reflectivityParallel", "reflectivityPhase"
)


def _coating(substrate: str) -> Parameters:
    layers: Parameters = {}
    for layer in ("Coating1", "Coating2", "TopLayer"):
        layers |= {
            f"material{layer}": Text(),
            f"thickness{layer}": Number("nm"),
            f"roughness{layer}": Number("nm"),
            f"density{layer}": Number("g/cm3"),
        }
    return {
        "reflectivityType": Choice({0: "100%", 1: "Derived by Material"}),
        substrate: Text(),
        "roughnessSubstrate": Number("nm"),
        "densitySubstrate": Number("g/cm3"),
        "surfaceCoating": Choice(
            {
                0: "Substrate only",
                1: "One coating",
                2: "Two Coatings/Multilayers",
                3: "Two Coatings/Multilayers with top layer",
            }
        ),
        "coatingFile": Text(),
        "numberLayer": Number(),
        **layers,
        "lateralThicknessGradientCoating": Choice({0: "No", 1: "Yes"}),
        **_numbers("", *(f"gradientC1B{i}" for i in range(1, 9))),
    }


SIMPLE_UNDULATOR: Parameters = {
    "numberRays": Number(),
    "sigmaType": Choice({0: "standard", 1: "accurate"}),
    "undulatorLength": Number("m"),
    "electronDistributionType": Choice({0: "manual", 1: "BESSY II low Beta"}),
    **_numbers("um", "electronSigmaX", "electronSigmaY"),
    **_numbers("urad", "electronSigmaXs", "electronSigmaYs"),
    "sourceDepth": Number("mm"),
    **ALIGNMENT,
    **WORLD,
    "energyDistributionType": Choice({0: "File", 1: "Values", 2: "Total", 3: "Param"}),
    "photonEnergyDistributionFile": Text(),
    "photonEnergy": Number("eV"),
    "energySpreadType": Choice({0: "white band", 1: "soft edge", 2: "separate energies"}),
    "energySpreadUnit": Choice({0: "eV", 1: "%"}),
    "energySpread": Number("energySpreadUnit"),
    "SeparateEnergies": Number(),
    **_numbers("", "linearPol_0", "linearPol_45", "circularPol"),
    "sourcePulseType": Choice({0: "all rays start simultaneously", 1: "gaussian"}),
    "sourcePulseLength": Number(),
    "photonFlux": Number(),
}

SLIT: Parameters = {
    "openingShape": Choice({0: "rectangle", 1: "elliptical"}),
    **_numbers("mm", "openingWidth", "openingHeight"),
    "centralBeamstop": Choice({0: "none", 1: "rectangle", 2: "elliptical"}),
    **_numbers("mm", "stopWidth", "stopHeight"),
    "geometricalShape": SHAPE,
    **_numbers("mm", "totalWidth", "totalWidthB", "totalHeight"),
    **PLACE,
    **ALIGNMENT,
    **WORLD,
}

TOROID: Parameters = {
    **BLANK,
    "grazingIncAngle": Number("deg"),
    **_numbers("mm", "entranceArmLengthSag", "exitArmLengthSag"),
    **_numbers("mm", "entranceArmLengthMer", "exitArmLengthMer"),
    **_numbers("mm", "longRadius", "shortRadius"),
    **PLACE,
    **_coating("materialSubstrate"),
    **ALIGNMENT,
    **WORLD,
    **SLOPE,
}

CYLINDER: Parameters = {
    **BLANK,
    "grazingIncAngle": Number("deg"),
    **_numbers("mm", "entranceArmLength", "exitArmLength"),
    "bendingRadius": Choice({0: "Long Radius R", 1: "Short Radius rho"}),
    "radius": Number("mm"),
    **PLACE,
    **_coating("materialSubstrate"),
    **ALIGNMENT,
    **WORLD,
    **SLOPE,
}

PLANE_MIRROR: Parameters = {
    **BLANK,
    "grazingIncAngle": Number("deg"),
    **PLACE,
    "systemMount": Choice({0: "standalone", SX700: "SX700 (as premirror of a grating)"}),
    "premirrorShiftZ": Number("mm"),
    **_numbers("", "pimpaleAlpha1", "pimpaleAlpha2", "pimpaleAlpha3"),
    "distancePremirrorGrating": Number("mm"),
    **EFFICIENCY,
    **_coating("elementSubstrate"),
    **ALIGNMENT,
    **WORLD,
    **SLOPE,
}

PLANE_GRATING: Parameters = {
    **BLANK,
    "gratingMount": Choice(
        {
            0: "constant deviation",
            1: "constant incidence angle alpha",
            2: "constant c-Factor mount internal premirror",
            3: "constant c-Factor mount",
        }
    ),
    "systemMount": Choice({0: "standalone, none", SX700: "SX700 (external premirror)"}),
    **_numbers("deg", "deviationAngle", "halfConeAngle"),
    **_numbers("mm", "pimpaleX0", "pimpaleY0"),
    "premirrorMountPsi0": Number("deg"),
    "designEnergyMounting": Number("eV"),
    "lineDensity": Number("1/mm"),
    **_numbers("", "orderDiffraction", "cFactor"),
    **_numbers("deg", "alpha", "beta"),
    **PLACE,
    "entranceArmLength": Number("mm"),
    "lineSpacing": Choice({0: "constant", 1: "variable (VLS)"}),
    "vlsDefinition": Choice({0: "RAY Standard"}),
    **_numbers("", *(f"vlsParameter{i}" for i in range(1, 7))),
    "lineProfile": Choice({0: "blaze", 1: "sinus", 2: "laminar", 3: "unknown"}),
    "gratingEfficiency": Number(),
    "additionalOrder": Choice({0: "off", 1: "on"}),
    **_numbers("deg", "blazeAngle", "aspectAngle"),
    "grooveDepth": Number("nm"),
    "grooveRatio": Number(),
    **_numbers("", "multilayerFourierCoefficients", "multilayerIntegrationSteps"),
    **EFFICIENCY,
    **_coating("materialSubstrate"),
    **ALIGNMENT,
    **WORLD,
    **SLOPE,
}

IMAGE_PLANE: Parameters = {"distanceImagePlane": Number("mm"), **WORLD}

OBJECTS: dict[str, Parameters] = {
    "Simple Undulator": SIMPLE_UNDULATOR,
    "Slit": SLIT,
    "Toroid": TOROID,
    "Cylinder": CYLINDER,
    "Plane Mirror": PLANE_MIRROR,
    "Plane Grating": PLANE_GRATING,
    "ImagePlane": IMAGE_PLANE,
}
SOURCES = frozenset({"Simple Undulator"})

# The choices that this version of the tracer follows; a file that asks for another one is
# refused by name. Ids that are absent here are followed in full or do not move a ray.
MODELLED: dict[str, frozenset[int]] = {
    "geometricalShape": frozenset({0, 1}),
    "profileKind": frozenset({2}),
    "reflectivityType": frozenset({0}),
    "energyDistributionType": frozenset({1}),
    "energySpreadType": frozenset({0, 1}),
    "openingShape": frozenset({0}),
    "centralBeamstop": frozenset({0}),
    "gratingMount": frozenset({0, 1, 3}),
    "lineSpacing": frozenset({0}),
    "additionalOrder": frozenset({0}),
}
