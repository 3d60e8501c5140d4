"""What a RAY-UI file may say: every object type, its parameters, their units and choices.

Source: RAY-UI's RML format, versions 1.1 to 1.16 (units: mm, deg, mrad, arcsec rms, eV, ...).
"""

from raybayes.beamline.kinds import (
    ALIGNMENT,
    BLANK,
    DISPLAYED,
    FRAME,
    NO_YES,
    OFF_ON,
    PLACE,
    SHAPE,
    SLOPE,
    SX700,
    WORLD,
    Choice,
    Number,
    Parameters,
    Text,
    numbers,
    shown,
    texts,
)
from raybayes.beamline.source_schema import SOURCE_TYPES


def _coating() -> Parameters:
    layers: Parameters = {}
    for layer in ("Coating1", "Coating2", "TopLayer", "Coating"):
        layers |= {
            f"material{layer}": Text(),
            f"thickness{layer}": Number("nm"),
            f"roughness{layer}": Number("nm"),
            f"density{layer}": Number("g/cm3"),
            **shown("u", f"atomicWeight{layer}"),
        }
    return {
        "reflectivityType": Choice({0: "100%", 1: "Derived by Material"}),
        **texts("materialSubstrate", "elementSubstrate", "coatingFile"),
        "roughnessSubstrate": Number("nm"),
        "densitySubstrate": Number("g/cm3"),
        **shown("u", "atomicWeightSubstrate"),
        **shown("nm", "coatingBilayerThickness"),
        **shown("", "coatingThicknessRatio"),
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
        **numbers("", *(f"gradientC1B{i}" for i in range(1, 9))),
    }


COATING = _coating()
SURFACE: Parameters = {**PLACE, **COATING, **ALIGNMENT, **WORLD, **SLOPE}
MIRROR: Parameters = {
    **BLANK,
    "grazingIncAngle": Number("deg"),
    **shown("rad", "alpha1", "beta1"),
    **SURFACE,
}
ARMS: Parameters = numbers("mm", "entranceArmLength", "exitArmLength")
ARMS_SAG_MER: Parameters = numbers(
    "mm", *(f"{side}ArmLength{cut}" for cut in ("Sag", "Mer") for side in ("entrance", "exit"))
)

# --- elements ----------------------------------------------------------------------------------

SLIT: Parameters = {
    "openingShape": Choice({0: "rectangle", 1: "elliptical"}),
    **numbers("mm", "openingWidth", "openingHeight"),
    "centralBeamstop": Choice({0: "none", 1: "rectangle", 2: "elliptical"}),
    **numbers("mm", "stopWidth", "stopHeight", "totalWidthStop", "totalHeightStop"),
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
    "nextElementPositioning": Choice({0: "Beam", **dict.fromkeys((1, 2), "not known here")}),
    **numbers("deg", "pimpaleAlpha1", "pimpaleAlpha2", "pimpaleAlpha3"),
    "distancePremirrorGrating": Number("mm"),
    **DISPLAYED,
}
TOROID: Parameters = {
    **MIRROR,
    **ARMS_SAG_MER,
    **numbers("mm", "longRadius", "shortRadius"),
    "showNumericalParameters": NO_YES,
    **numbers("", "iterationDeltaZ", "iterationNumberOfSteps"),
}
ELLIPSOID: Parameters = {
    **MIRROR,
    **ARMS,
    "designGrazingIncAngle": Number("deg"),
    **numbers("mm", "longHalfAxisA", "shortHalfAxisB"),
    **FIGURE,
    **shown("mm", "centerEllipsoidY0", "centerEllipsoidZ0", "shortHalfAxisC"),
    **shown("mm", "RxyUpstreamEdge", "RxyCenter", "RxyDownstreamEdge"),
    **shown("deg", "tangentAngleEllipsoid"),
    **shown("rad", "alpha", "beta"),
    **shown("", "parameter_a33", "parameter_a34", "parameter_a44"),
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
    **numbers("", *(f"A{i}{j}" for i in range(1, 5) for j in range(i, 5))),
    **numbers("", "B12", "B13", "B21", "B23", "B31", "B32"),
    "surfaceBending": Choice({0: "convex", 1: "concave"}),
    **numbers("deg", "tangentAngleAlpha", "tangentAngleBeta"),
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
    **numbers("nm", "latticeConstant", "latticeConstantSecond", "dSpacing2"),
    "offsetAngleType": Choice({0: "Entrance Angle", 1: "Exit Angle"}),
    "offsetAngle": Number("deg"),
    **numbers("", "firstMillerIndex", "secondMillerIndex", "thirdMillerIndex"),
    **numbers("", *STRUCTURE_FACTORS),
    "unitCellVolume": Number("nm3"),
    "dSpacingGradientSwitch": NO_YES,
    "dSpacingGradient": Number(),
}
EFFICIENCY: Parameters = {
    "lineProfile": Choice({0: "blaze", 1: "sinus", 2: "laminar", 3: "unknown"}),
    "gratingEfficiency": Number(),
    "additionalOrder": OFF_ON,
    "fullEfficiency": OFF_ON,
    **numbers("deg", "blazeAngle", "aspectAngle", "leftWallAngle", "rightWallAngle"),
    **shown("deg", "antiBlazeAngleDisplay"),
    **shown("um", "grooveBottom", "grooveTop"),
    "grooveDepth": Number("nm"),
    "grooveRatio": Number(),
    **numbers("", "multilayerFourierCoefficients", "multilayerIntegrationSteps"),
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
    "elementMovement": Choice({**dict.fromkeys((0, 1, 2, 4, 5), "not known here"), 3: "c-Factor"}),
    "angleDefinition": Choice({0: "to normal", 1: "grazing"}),
    "followingMode": OFF_ON,
    **numbers("deg", "deviationAngle", "halfConeAngle"),
    **shown("deg", "grazingAlpha", "grazingBeta", "grazingDeviationAngle"),
    **shown("deg", "azimuthalAlpha", "azimuthalBeta"),
    **shown("eV", "sourcePhotonEnergy", "calculatedPhotonEnergy"),
    **shown("mm", "virtualSourceDistance"),
    **numbers("mm", "pimpaleX0", "pimpaleY0"),
    **numbers("deg", "premirrorMountPsi0"),
    **numbers("eV", "designEnergyMounting", "designEnergy"),
    "lineDensity": Number("1/mm"),
    **numbers("", "orderDiffraction", "cFactor"),
    **numbers("deg", "alpha", "beta"),
    "lineSpacing": Choice({0: "constant", 1: "variable (VLS)"}),
    "vlsDefinition": Choice({0: "RAY Standard"}),
    "vlsUseDesignParameters": Choice({0: "No (direct Input of Coefficients)", 1: "Yes"}),
    **texts("vlsDesignParameterSelection"),
    **numbers("mm", "designEntranceArmLength", "designExitArmLength"),
    **numbers("deg", "vlsDesignAlphaAngle", "vlsDesignGrazingAlphaAngle"),
    **numbers("eV", "vlsDesignEnergy"),
    **numbers("", "vlsDesignDiffractionOrder"),
    **numbers("", *(f"vlsParameter{i}" for i in range(1, 7))),
    **numbers("", *(f"vlsParameterB{i}" for i in range(2, 8))),
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
    **numbers("", "meridionalIncidenceBeamDivergence", "meridionalIncidenceFocusDistance"),
    **numbers("", "elementOffsetZ", "elementOffsetZmanual"),
    "betaDiffraction": Number("deg"),
    "derivationMethod": Choice({0: "Formulas", 1: "File"}),
    "coefficientsFile": Text(),
    "designEnergy": Number("eV"),
    **numbers("", "orderDiffraction", "designOrderDiffraction"),
    **numbers("deg", "designAlphaAngle", "designBetaAngle"),
    "curvatureType": Choice({0: "planar", 1: "toroidal", 2: "spherical"}),
    **numbers("mm", "longRadius", "shortRadius", "FresnelZOffset"),
    "designType": Choice({0: "use Fresnel Center Offset", 1: "use Design Angle"}),
    "imageType": Choice(
        {0: "point to point", **{i: f"imaging {i}" for i in range(1, 7)}},
    ),
    "rzpType": Choice({0: "elliptical (standard)", 1: "meridional"}),
    "refracMethod": Choice({0: "two gratings (old)", 1: "2D (new)"}),
    **numbers("", "stretchXdirection", "zDcalc", "xDcalc", "Dz", "Dx"),
}
GRID: Parameters = {  # on which coherent fields are added up; rays do not see it
    **texts("coherentGridMode", "coherentAutoMethod"),
    **numbers("", "fieldGridNx", "fieldGridNy"),
    **numbers("mm", "fieldPixelSizeX", "fieldPixelSizeY"),
}
IMAGE_PLANE: Parameters = {"distanceImagePlane": Number("mm"), **FRAME, **GRID, **WORLD}
IMAGE_PLANE_BUNDLE: Parameters = {
    **numbers("mm", "startDistanceBundle", "endDistanceBundle", "currentPosition"),
    "numberOfImages": Number(),
    "numberOfRays": Number(),
    **FRAME,
    **GRID,
    **WORLD,
}

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
    "Cone": {**MIRROR, **ARMS, **numbers("mm", "upstreamRadius", "downstreamRadius")},
    "Experts Optics": EXPERTS_OPTICS,
    "Crystal": CRYSTAL,
    "Plane Grating": {**GRATING, **ARMS},
    "Spherical Grating": {**GRATING, **ARMS, "radius": Number("mm")},
    "Toroidal Grating": {
        **GRATING,
        **ARMS_SAG_MER,
        **numbers("mm", "longRadius", "shortRadius"),
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
    "designType": frozenset({0, 1}),
    "elementMovement": frozenset({3}),
    "angleDefinition": frozenset({0}),
    "followingMode": frozenset({0}),
    "vlsUseDesignParameters": frozenset({0}),
    "nextElementPositioning": frozenset({0}),
    "fullEfficiency": frozenset({0}),
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
    "FresnelZOffset",
)
