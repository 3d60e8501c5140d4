"""What a RAY-UI file may say: every object type, its parameters, their units and choices.

Source: RAY-UI's RML format, versions 1.1 to 1.16 (units: mm, deg, mrad, arcsec rms, eV, ...).
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


def _texts(*ids: str) -> Parameters:
    return {id_: Text() for id_ in ids}


def _choices(words: Mapping[int, str], *ids: str) -> Parameters:
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
FRAME: Parameters = {
    "geometricalShape": SHAPE,
    **_numbers("mm", "totalWidth", "totalWidthB", "totalHeight"),
}
DISPLAYED: Parameters = _numbers(
    "", "reflectivitySenkrecht", "reflectivityParallel", "reflectivityPhase"
)


def _coating() -> Parameters:
    layers: Parameters = {}
    for layer in ("Coating1", "Coating2", "TopLayer", "Coating"):
        layers |= {
            f"material{layer}": Text(),
            f"thickness{layer}": Number("nm"),
            f"roughness{layer}": Number("nm"),
            f"density{layer}": Number("g/cm3"),
        }
    return {
        "reflectivityType": Choice({0: "100%", 1: "Derived by Material"}),
        **_texts("materialSubstrate", "elementSubstrate", "coatingFile"),
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
        "numberLayer": Number(),
        **layers,
        "lateralThicknessGradientCoating": NO_YES,
        "lateralThicknessGradientCoating1": NO_YES,
        **_numbers("", *(f"gradientC1B{i}" for i in range(1, 9))),
    }


COATING = _coating()
SURFACE: Parameters = {**PLACE, **COATING, **ALIGNMENT, **WORLD, **SLOPE}
MIRROR: Parameters = {**BLANK, "grazingIncAngle": Number("deg"), **SURFACE}
ARMS: Parameters = _numbers("mm", "entranceArmLength", "exitArmLength")
ARMS_SAG_MER: Parameters = _numbers(
    "mm", *(f"{side}ArmLength{cut}" for cut in ("Sag", "Mer") for side in ("entrance", "exit"))
)

# --- sources -----------------------------------------------------------------------------------

HARD_OR_GAUSSIAN = {0: "hard edge", 1: "gaussian (sigma)"}
SOURCE: Parameters = {
    "numberRays": Number(),
    **_numbers("mm", "sourceDepth"),
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
SIZE: Parameters = _numbers("mm", "sourceWidth", "sourceHeight")
EXTENDED: Parameters = {**SIZE, **_numbers("mrad", "horDiv", "verDiv"), **SOURCE}
POINT: Parameters = {
    **EXTENDED,
    **_choices(
        HARD_OR_GAUSSIAN,
        "sourceWidthDistribution",
        "sourceHeightDistribution",
        "horDivDistribution",
        "verDivDistribution",
    ),
}
CIRCLE: Parameters = {
    **SIZE,
    "numberCircles": Number(),
    **_numbers("mrad", "maximumOpeningAngle", "minimumOpeningAngle", "deltaOpeningAngle"),
    **SOURCE,
}
DIPOLE: Parameters = {
    **EXTENDED,
    "verEbeamDiv": Number("urad"),
    "electronEnergy": Number("GeV"),
    "electronEnergyOrientation": Choice({0: "clockwise", 1: "counter-clockwise"}),
    "bendingRadius": Number("m"),
    **_numbers("", "ringCurrent", "critEnergy", "criticalEnergy", "magneticField"),
}
SIMPLE_UNDULATOR: Parameters = {
    "sigmaType": Choice({0: "standard", 1: "accurate"}),
    "undulatorLength": Number("m"),
    "electronDistributionType": Choice({0: "manual", 1: "BESSY II low Beta"}),
    **_numbers("um", "electronSigmaX", "electronSigmaY"),
    **_numbers("urad", "electronSigmaXs", "electronSigmaYs"),
    **SOURCE,
}
UNDULATOR_FILE: Parameters = {
    **SOURCE,
    **SIZE,
    "undulatorFileClassType": Choice({0: "SRW", 1: "WAVE"}),
    "undulatorFile": Text(),
    "additionalParameters": Choice({0: "from file", 1: "manual"}),
    "distributionDistance": Number("mm"),
    "undulatorPeriodLength": Number("cm"),
    "electronEnergy": Number("GeV"),
    "photonEnergyDistributionType": Choice({0: "File", 1: "Values", 2: "Total", 3: "Param"}),
    "electronDistributionType": Choice({0: "manual", 1: "BESSY II low Beta"}),
    "sourceSizeEstimation": Choice({0: "manual", 1: "automatic"}),
    "stokesVectorDistributionType": Choice({0: "from File", 1: "manual"}),
    **_numbers("mm", "horBeamSize", "verBeamSize"),
    **_numbers("urad", "horBeamDiv", "verBeamDiv"),
    **_numbers("", "undulatorPeriodNumber", "undulatorHarmonic", "deflectionParameterK"),
    **_numbers("", "deflectionParameterKx", "deflectionParameterKy"),
}

# --- elements ----------------------------------------------------------------------------------

SLIT: Parameters = {
    "openingShape": Choice({0: "rectangle", 1: "elliptical"}),
    **_numbers("mm", "openingWidth", "openingHeight"),
    "centralBeamstop": Choice({0: "none", 1: "rectangle", 2: "elliptical"}),
    **_numbers("mm", "stopWidth", "stopHeight", "totalWidthStop", "totalHeightStop"),
    **FRAME,
    **PLACE,
    **ALIGNMENT,
    **WORLD,
}
APERTURE: Parameters = {
    **FRAME,
    "geometricalShape": Choice({**SHAPE.words, 3: "polygon"}),
    "maskType": Choice({0: "positive", 1: "negative"}),
    "polygon2D": Text(),
    **PLACE,
    **ALIGNMENT,
    **WORLD,
}
FOIL: Parameters = {
    **FRAME,
    **SURFACE,
    "normalIncidenceAngle": Number("deg"),
    "transmissionType": Choice({0: "100%", 1: "Derived by Material"}),
    "thicknessSubstrate": Number("nm"),
}
FIGURE: Parameters = {
    "figureRotation": Choice({0: "Yes", 1: "plane", 2: "a11"}),
    "parameter_a11": Number(),
}
PLANE_MIRROR: Parameters = {
    **MIRROR,
    "systemMount": Choice({0: "standalone", SX700: "SX700 (as premirror of a grating)"}),
    "premirrorShiftZ": Number("mm"),
    **_numbers("", "pimpaleAlpha1", "pimpaleAlpha2", "pimpaleAlpha3"),
    "distancePremirrorGrating": Number("mm"),
    **DISPLAYED,
}
TOROID: Parameters = {**MIRROR, **ARMS_SAG_MER, **_numbers("mm", "longRadius", "shortRadius")}
ELLIPSOID: Parameters = {
    **MIRROR,
    **ARMS,
    "designGrazingIncAngle": Number("deg"),
    **_numbers("mm", "longHalfAxisA", "shortHalfAxisB"),
    **FIGURE,
    "misalignmentCoordinateSystem": Choice({0: "Ellipsoid", 1: "Mirror (standard)"}),
}
PARABOLOID: Parameters = {
    **MIRROR,
    "secondSurface": OFF_ON,
    "armLength": Number("mm"),
    "parameter_P_type": Choice({0: "collimating", 1: "focusing"}),
    "parameter_P": Number("mm"),
    **FIGURE,
    "misalignmentCoordinateSystem": Choice({0: "Paraboloid", 1: "Mirror (standard)"}),
}
EXPERTS_OPTICS: Parameters = {
    **BLANK,
    **_numbers("", *(f"A{i}{j}" for i in range(1, 5) for j in range(i, 5))),
    **_numbers("", "B12", "B13", "B21", "B23", "B31", "B32"),
    "surfaceBending": Choice({0: "convex", 1: "concave"}),
    **_numbers("deg", "tangentAngleAlpha", "tangentAngleBeta"),
    **SURFACE,
}
STRUCTURE_FACTORS = tuple(
    f"structureFactor{part}{which}" for which in ("F0", "FH", "FHC") for part in ("Re", "Im")
)
CRYSTAL: Parameters = {
    **MIRROR,
    "crystalType": Choice({0: "manual", **{i: f"crystal {i}" for i in range(1, 30)}}),
    "crystalMaterial": Text(),
    "latticeStructure": Choice({i: f"structure {i}" for i in range(10)}),
    **_numbers("nm", "latticeConstant", "latticeConstantSecond", "dSpacing2"),
    "offsetAngleType": Choice({0: "Entrance Angle", 1: "Exit Angle"}),
    "offsetAngle": Number("deg"),
    **_numbers("", "firstMillerIndex", "secondMillerIndex", "thirdMillerIndex"),
    **_numbers("", *STRUCTURE_FACTORS),
    "unitCellVolume": Number("nm3"),
    "dSpacingGradientSwitch": NO_YES,
    "dSpacingGradient": Number(),
}
EFFICIENCY: Parameters = {
    "lineProfile": Choice({0: "blaze", 1: "sinus", 2: "laminar", 3: "unknown"}),
    "gratingEfficiency": Number(),
    "additionalOrder": OFF_ON,
    **_numbers("deg", "blazeAngle", "aspectAngle"),
    "grooveDepth": Number("nm"),
    "grooveRatio": Number(),
    **_numbers("", "multilayerFourierCoefficients", "multilayerIntegrationSteps"),
    **DISPLAYED,
}
GRATING: Parameters = {
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
    "elementMovement": Choice({0: "constant deviation", 1: "constant incidence", 2: "", 3: ""}),
    **_numbers("deg", "deviationAngle", "halfConeAngle"),
    **_numbers("mm", "pimpaleX0", "pimpaleY0"),
    **_numbers("deg", "premirrorMountPsi0"),
    **_numbers("eV", "designEnergyMounting", "designEnergy"),
    "lineDensity": Number("1/mm"),
    **_numbers("", "orderDiffraction", "cFactor"),
    **_numbers("deg", "alpha", "beta"),
    "lineSpacing": Choice({0: "constant", 1: "variable (VLS)"}),
    "vlsDefinition": Choice({0: "RAY Standard"}),
    **_numbers("", *(f"vlsParameter{i}" for i in range(1, 7))),
    **_numbers("", *(f"vlsParameterB{i}" for i in range(2, 8))),
    **EFFICIENCY,
    **SURFACE,
}
ZONE_PLATE: Parameters = {
    **MIRROR,
    **ARMS_SAG_MER,
    **EFFICIENCY,
    "gratingMount": Choice({0: "constant deviation", 1: "constant incidence angle"}),
    "deviationAngle": Number("deg"),
    "elementOffsetZType": Choice({0: "manual", 1: "by beam divergence and distance"}),
    **_numbers("", "meridionalIncidenceBeamDivergence", "meridionalIncidenceFocusDistance"),
    **_numbers("", "elementOffsetZ", "elementOffsetZmanual"),
    "betaDiffraction": Number("deg"),
    "derivationMethod": Choice({0: "Formulas", 1: "File"}),
    "coefficientsFile": Text(),
    "designEnergy": Number("eV"),
    **_numbers("", "orderDiffraction", "designOrderDiffraction"),
    **_numbers("deg", "designAlphaAngle", "designBetaAngle"),
    "curvatureType": Choice({0: "planar", 1: "toroidal", 2: "spherical"}),
    **_numbers("mm", "longRadius", "shortRadius", "FresnelZOffset"),
    "designType": Choice({0: "use Fresnel Center Offset", 1: "use Design Angle"}),
    "imageType": Choice(
        {0: "point to point", **{i: f"imaging {i}" for i in range(1, 7)}},
    ),
    "rzpType": Choice({0: "elliptical (standard)", 1: "meridional"}),
    "refracMethod": Choice({0: "two gratings (old)", 1: "2D (new)"}),
    "fullEfficiency": OFF_ON,
    **_numbers("", "stretchXdirection", "zDcalc", "xDcalc", "Dz", "Dx"),
}
IMAGE_PLANE: Parameters = {"distanceImagePlane": Number("mm"), **FRAME, **WORLD}
IMAGE_PLANE_BUNDLE: Parameters = {
    **_numbers("mm", "startDistanceBundle", "endDistanceBundle", "currentPosition"),
    "numberOfImages": Number(),
    **FRAME,
    **WORLD,
}

SOURCE_TYPES: dict[str, Parameters] = {
    "Matrix Source": EXTENDED,
    "Point Source": POINT,
    "Pixel Source": EXTENDED,
    "Circle Source": CIRCLE,
    "Dipole": DIPOLE,
    "Dipole Source": DIPOLE,
    "Simple Undulator": SIMPLE_UNDULATOR,
    "Undulator File": UNDULATOR_FILE,
}
SOURCES = frozenset(SOURCE_TYPES)
OBJECTS: dict[str, Parameters] = {
    **SOURCE_TYPES,
    "Plane Mirror": PLANE_MIRROR,
    "Sphere": {**MIRROR, **ARMS, "radius": Number("mm")},
    "Cylinder": {
        **MIRROR,
        **ARMS,
        "bendingRadius": Choice({0: "Long Radius R", 1: "Short Radius rho"}),
        "radius": Number("mm"),
    },
    "Toroid": TOROID,
    "Ellipsoid": ELLIPSOID,
    "Paraboloid": PARABOLOID,
    "Cone": {**MIRROR, **ARMS, **_numbers("mm", "upstreamRadius", "downstreamRadius")},
    "Experts Optics": EXPERTS_OPTICS,
    "Crystal": CRYSTAL,
    "Plane Grating": {**GRATING, **ARMS},
    "Spherical Grating": {**GRATING, **ARMS, "radius": Number("mm")},
    "Toroidal Grating": {
        **GRATING,
        **ARMS_SAG_MER,
        **_numbers("mm", "longRadius", "shortRadius"),
    },
    "Reflection Zoneplate": ZONE_PLATE,
    "Slit": SLIT,
    "Aperture": APERTURE,
    "Foil": FOIL,
    "ImagePlane": IMAGE_PLANE,
    "ImagePlaneBundle": IMAGE_PLANE_BUNDLE,
}

# The choices that this version of the tracer follows; a file that asks for another one is
# refused by name. Ids that are absent here are followed in full or do not move a ray.
MODELLED: dict[str, frozenset[int]] = {
    "geometricalShape": frozenset({0, 1, 2}),
    "profileKind": frozenset({0, 2}),
    "lateralThicknessGradientCoating": frozenset({0}),
    "lateralThicknessGradientCoating1": frozenset({0}),
    "energyDistributionType": frozenset({0, 1}),
    "photonEnergyDistributionType": frozenset({0, 1}),
    "undulatorFileClassType": frozenset({1}),
    "derivationMethod": frozenset({0}),
    "designType": frozenset({1}),
    "imageType": frozenset({0}),
    "refracMethod": frozenset({1}),
    "dSpacingGradientSwitch": frozenset({0}),
}
# Quantities that this version follows only where they are zero.
ZERO_ONLY = (
    "offsetAngle",
    "thermalDistortionAmp",
    "cylindricalBowingAmp",
    "elementOffsetZ",
    "elementOffsetZmanual",
    "meridionalIncidenceBeamDivergence",
    "B12",
    "B13",
    "B21",
    "B23",
    "B31",
    "B32",
)
