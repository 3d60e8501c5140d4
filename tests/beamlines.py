"""Small beamlines in memory: a source, one element, an image plane."""

from raybayes.beamline.model import Beamline, Element, Param

P, Q, THETA = 10000.0, 1000.0, 2.0  # mm, mm, deg
POINT = {
    "numberRays": 1000, "horDiv": 1.0, "verDiv": 1.0, "photonEnergy": 100.0,
    "energyDistributionType": 1, "linearPol_0": 1,
}  # fmt: skip
NARROW = {**POINT, "horDiv": 0.1, "verDiv": 0.1}  # where aberrations are small
PARALLEL = {**POINT, "horDiv": 0.0, "verDiv": 0.0, "sourceWidth": 10.0, "sourceHeight": 5.0}
BLANK = {"totalWidth": 400.0, "totalLength": 4000.0, "distancePreceding": P}
MIRROR = {**BLANK, "grazingIncAngle": THETA}
ARMS = {"entranceArmLength": P, "exitArmLength": Q}
ARMS_SAG_MER = {
    f"{side}ArmLength{cut}": length
    for cut in ("Sag", "Mer")
    for side, length in (("entrance", P), ("exit", Q))
}
GRATING = {
    **BLANK, "gratingMount": 0, "deviationAngle": 170.0, "lineDensity": 400.0,
    "orderDiffraction": 1, "lineProfile": 3,
}  # fmt: skip
RADIUS = 2 * P * Q / (P + Q) / 0.03489949670250097  # of a mirror at 2 deg
ELEMENTS = {
    "Plane Mirror": MIRROR,
    "Sphere": {**MIRROR, **ARMS},
    "Cylinder": {**MIRROR, **ARMS, "bendingRadius": 1},
    "Toroid": {**MIRROR, **ARMS_SAG_MER},
    "Ellipsoid": {**MIRROR, **ARMS, "figureRotation": 0},
    "Paraboloid": {**MIRROR, "armLength": Q, "parameter_P_type": 1, "figureRotation": 0},
    "Cone": {**MIRROR, **ARMS},
    "Experts Optics": {
        **BLANK, "tangentAngleAlpha": THETA, "tangentAngleBeta": THETA,
        "A11": 1, "A22": 1, "A33": 1, "A24": -RADIUS, "surfaceBending": 1,
    },
    "Crystal": {  # silicon 111; at 8048 eV its Bragg angle is 14.22 deg
        **BLANK, "grazingIncAngle": 14.2234, "dSpacing2": 0.62712, "unitCellVolume": 0.160193,
        "offsetAngle": 0, "offsetAngleType": 0, "crystalType": 1, "dSpacingGradientSwitch": 0,
        "structureFactorReF0": 113.9, "structureFactorImF0": 2.6, "structureFactorReFH": 60.8,
        "structureFactorImFH": 1.8, "structureFactorReFHC": 60.8, "structureFactorImFHC": 1.8,
    },
    "Plane Grating": GRATING,
    "Spherical Grating": {**GRATING, **ARMS},
    "Toroidal Grating": {**GRATING, **ARMS_SAG_MER},
    "Reflection Zoneplate": {
        **MIRROR, **ARMS_SAG_MER, "gratingMount": 1, "designAlphaAngle": THETA,
        "designBetaAngle": 4.0, "designEnergy": 100.0, "orderDiffraction": -1,
        "designOrderDiffraction": -1, "curvatureType": 0, "designType": 1, "imageType": 0,
        "rzpType": 0, "refracMethod": 1, "derivationMethod": 0, "lineProfile": 3,
    },
    "Slit": {
        "openingShape": 0, "openingWidth": 5.0, "openingHeight": 2.0, "totalWidth": 100.0,
        "totalHeight": 100.0, "centralBeamstop": 0, "distancePreceding": P,
    },
    "Aperture": {"maskType": 0, "totalWidth": 5.0, "totalHeight": 2.0, "distancePreceding": P},
    "Foil": {
        "transmissionType": 1, "materialSubstrate": "Al", "thicknessSubstrate": 200.0,
        "densitySubstrate": 2.7, "totalWidth": 50.0, "totalHeight": 50.0, "distancePreceding": P,
    },
    "ImagePlane": {"distanceImagePlane": P},
    "ImagePlaneBundle": {
        "startDistanceBundle": P, "endDistanceBundle": P + Q, "numberOfImages": 3,
        "currentPosition": P,
    },
}  # fmt: skip
GAUSSIAN = {f"{id_}Distribution": 1 for id_ in ("sourceWidth", "sourceHeight", "horDiv", "verDiv")}
SOURCES = {
    "Matrix Source": {**POINT, "sourceWidth": 1.0, "sourceHeight": 0.5},
    "Point Source": {**POINT, **GAUSSIAN, "sourceWidth": 0.1, "sourceHeight": 0.05},
    "Pixel Source": {**POINT, "sourceWidth": 3.0, "sourceHeight": 1.5},
    "Circle Source": {
        "numberRays": 1000, "photonEnergy": 100.0, "energyDistributionType": 1,
        "numberCircles": 3, "maximumOpeningAngle": 1.0, "minimumOpeningAngle": 0.2,
        "deltaOpeningAngle": 0.0,
    },
    "Dipole": {
        "numberRays": 1000, "sourceWidth": 0.05, "sourceHeight": 0.04, "verEbeamDiv": 2.0,
        "horDiv": 2.0, "electronEnergy": 1.7, "electronEnergyOrientation": 0,
        "bendingRadius": 4.35, "photonEnergy": 1000.0, "energyDistributionType": 1,
    },
    "Simple Undulator": {
        "numberRays": 1000, "sigmaType": 0, "undulatorLength": 3.584,
        "electronDistributionType": 0, "electronSigmaX": 264.8, "electronSigmaXs": 28.76,
        "electronSigmaY": 16.8, "electronSigmaYs": 4.47, "photonEnergy": 100.0,
        "energyDistributionType": 1,
    },
    "Undulator File": {
        "numberRays": 1000, "undulatorFileClassType": 1, "undulatorFile": "wave.dat",
        "distributionDistance": P, "photonEnergy": 600.0, "photonEnergyDistributionType": 1,
        "sourceWidth": 0.1, "sourceHeight": 0.02, "horBeamDiv": 0.0, "verBeamDiv": 0.0,
    },
}  # fmt: skip
NORMAL = {**SOURCES["Point Source"], "sourceWidth": 0.005, "sourceHeight": 0.005}
SOURCES["Dipole Source"] = SOURCES["Dipole"]


def element(name, type_, params):
    return Element(name, type_, {k: Param(str(v), {"enabled": "T"}) for k, v in params.items()})


def small(type_, image=Q, source=None, source_type="Point Source", **changes):
    """A source, one element of this type, and an image plane behind it."""
    elements = [
        element("S", source_type, SOURCES[source_type] if source is None else source),
        element("O", type_, {**ELEMENTS[type_], **changes}),
        element("I", "ImagePlane", {"distanceImagePlane": image}),
    ]
    return Beamline("1.15", tuple(elements))


def emitting(type_, **changes):
    """A source of this type and an image plane at its very place."""
    source = element("S", type_, {**SOURCES[type_], **changes})
    return Beamline("1.15", (source, element("I", "ImagePlane", {"distanceImagePlane": 0.0})))
