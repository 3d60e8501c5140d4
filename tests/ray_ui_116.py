"""A beamline as RAY-UI writes it in version 1.16: its marks, its units, its numbers.

From examples/rml/dipole_beamline2.rml of raypyng (hz-b/raypyng, MIT), without a slit, the second
mirror of the KB pair and the repeated parameters of coatings. "auto" and "hand" say auto="T" or
"F", "-" enabled="F", "+" enabled="T", and "." stands where RAY-UI gives no mark at all.
"""

from xml.sax.saxutils import quoteattr

TEXT = """
[Dipole] Dipole
numberRays 100000 +; sourceWidth 0.062 + mm; sourceHeight 0.04 + mm; verEbeamDiv 2 + µrad
horDiv 2 + mrad; horDivDeg 0.114592 . °; horDivSec 412.53 . sec; electronEnergy 1.7 + GeV
electronEnergyOrientation 0 +; ringCurrent 300 + mA; bendingRadius 4.35 + m
magFieldStrength 1.30358 . T; critEnergy 2.50539 . keV; totalPowerWatt 16.2195 . W
energyDistributionType 1 +; photonEnergy 1700 + eV; photonWavelength 0.729319 . nm
energySpreadType 0 +; energySpreadUnit 1 +; energySpread 0.1 +; photonFlux 1.99858e+13 +
sourcePulseType 0 +; sourcePulseLength 0 - psec; sourcePathLength 0 . µm; phaseJitter 0 .
alignmentError 1 +
[M1] Toroid
geometricalShape 0 +; totalWidth 50 + mm; totalLength 1000 + mm; grazingIncAngle 1 + °
entranceArmLengthSag 12500 + mm; exitArmLengthSag 100000000000000 + mm
entranceArmLengthMer 12500 + mm; exitArmLengthMer 19400 + mm
longRadius 871155.6088337566 auto mm; shortRadius 436.310160877549 auto mm
showNumericalParameters 0 +; iterationDeltaZ 0.0001 auto; iterationNumberOfSteps 1000 auto
distancePreceding 12500 + mm; azimuthalAngle 90 + °; alpha1 0.0174533 . rad
beta1 0.0174533 . rad; reflectivityType 1 +; materialSubstrate Si +; roughnessSubstrate 0 + nm
densitySubstrate 2.32 auto g/cm³; atomicWeightSubstrate 28.0855 . u; surfaceCoating 1 +
materialCoating1 Pt +; thicknessCoating1 30 + nm; roughnessCoating1 0.2 + nm
densityCoating1 21.41 auto g/cm³; atomicWeightCoating1 195.08 . u
coatingBilayerThickness 30 . nm; coatingThicknessRatio 1 .; alignmentError 0 +; slopeError 0 +
slopeErrorSag 1.5 + sec; slopeErrorMer 0.5 + sec; thermalDistortionAmp 0 + um
thermalDistortionSigmaX 0 + um; thermalDistortionSigmaZ 0 + um; cylindricalBowingAmp 0 - um
cylindricalBowingRadius 0 - km
[PremirrorM2] Plane Mirror
geometricalShape 0 +; totalWidth 25 + mm; totalLength 650 + mm
grazingIncAngle 1.830748827409963 - °; distancePreceding 3187.462513183051 - mm
azimuthalAngle 0 - °; alpha1 0.0319526 . rad; beta1 0.0319526 . rad; systemMount 1 +
nextElementPositioning 0 +; premirrorShiftZ -300 + mm; pimpaleAlpha1 1 + °; pimpaleAlpha2 2 + °
pimpaleAlpha3 3 + °; distancePremirrorGrating 313.177 +; reflectivityType 0 +
reflectivitySenkrecht 0.531788 +; reflectivityParallel 0.531237 +; reflectivityPhase 179.909 +
alignmentError 1 +
[PG] Plane Grating
geometricalShape 0 +; totalWidth 20 + mm; totalLength 150 + mm; gratingMount 0 +
elementMovement 3 +; systemMount 1 +; distancePreceding 313.1767562668953 - mm
azimuthalAngle 180 + °; halfConeAngle 10 + °; pimpaleX0 3500 + mm; pimpaleY0 20 + mm
premirrorMountPsi0 0 + °; angleDefinition 0 +; alpha 88.95407585252504 auto °
beta -87.38442649265504 auto °; deviationAngle 176.3385023451801 auto °
grazingAlpha 1.045924147474963 auto °; grazingBeta 2.615573507344962 auto °
grazingDeviationAngle 3.661497654819925 auto °; azimuthalAlpha 88.95407585252504 auto °
azimuthalBeta -87.38442649265504 auto °; designEnergyMounting 1700 auto eV; followingMode 0 +
sourcePhotonEnergy 0 . eV; cFactor 2.5 +; orderDiffraction 1 +
calculatedPhotonEnergy 1700 . eV; lineSpacing 0 +; vlsDefinition 0 -
vlsUseDesignParameters 0 -; vlsDesignParameterSelection 0 -; designEntranceArmLength 0 + mm
designExitArmLength 0 + mm; vlsDesignAlphaAngle 0 + °; vlsDesignGrazingAlphaAngle 0 + °
vlsDesignEnergy 0 + eV; vlsDesignDiffractionOrder 0 +; lineDensity 1200 + l/mm
vlsParameter1 0 hand; vlsParameter2 0 hand; vlsParameter3 0 hand; vlsParameter4 0 hand
vlsParameter5 0 hand; vlsParameter6 0 hand; lineProfile 0 +; gratingEfficiency 1 +
blazeAngle 0.9 + °; aspectAngle 176.4 + °; antiBlazeAngleDisplay 2.7 . °; grooveDepth 15 + nm
grooveRatio 0.65 +; leftWallAngle 0 + °; rightWallAngle 0 + °; grooveBottom 0.541667 . µm
grooveTop 0.291667 . µm; additionalOrder 0 +; fullEfficiency 0 +
multilayerFourierCoefficients 11 auto; multilayerIntegrationSteps 50 auto
reflectivitySenkrecht 0.0947814 +; reflectivityParallel 0.0944835 +
reflectivityPhase -0.153883 +; reflectivityType 0 +; alignmentError 1 +
entranceArmLength 100 + mm; virtualSourceDistance 625 . mm
[M3] Cylinder
geometricalShape 0 +; totalWidth 30 + mm; totalLength 550 + mm; grazingIncAngle 1 + °
entranceArmLength 1000000000000 + mm; exitArmLength 14500 + mm; bendingRadius 1 +
radius 506.1197793424851 auto mm; distancePreceding 3500 + mm; azimuthalAngle 270 + °
alpha1 0.0174533 . rad; beta1 0.0174533 . rad; reflectivityType 0 +; alignmentError 1 +
[KB1] Ellipsoid
geometricalShape 0 +; totalWidth 50 + mm; totalLength 400 + mm; grazingIncAngle 1 + °
entranceArmLength 4600 + mm; exitArmLength 1870 + mm; designGrazingIncAngle 1 auto °
longHalfAxisA 3235 auto mm; shortHalfAxisB 51.18645319681043 auto mm
centerEllipsoidY0 -46.4054 . mm; centerEllipsoidZ0 1365.17 . mm
tangentAngleEllipsoid 0.421983 . °; RxyUpstreamEdge 47.751 . mm; RxyCenter 46.4054 . mm
RxyDownstreamEdge 44.7966 . mm; figureRotation 1 +; parameter_a11 1 -; shortHalfAxisC inf . mm
distancePreceding 3000 + mm; azimuthalAngle 270 + °; alpha 0.0174533 . rad
beta 0.0174533 . rad; parameter_a33 0.000250358 .; parameter_a34 0.341781 .
parameter_a44 2.27374e-13 .; alpha1 0.0100883 . rad; beta1 0.0248183 . rad
reflectivityType 0 +; alignmentError 1 +; misalignmentCoordinateSystem 0 +
[DetectorAtFocus] ImagePlane
distanceImagePlane 1500 + mm; coherentGridMode 0 +; coherentAutoMethod 0 -; fieldGridNx 256 +
fieldGridNy 256 +; fieldPixelSizeX 0.01 + mm; fieldPixelSizeY 0.01 + mm
"""
MARKS = {
    "+": 'enabled="T"', "-": 'enabled="F"', ".": "", "auto": 'auto="T" enabled="T"',
    "hand": 'auto="F" enabled="T"',
}  # fmt: skip


def parameter(row):
    id_, value, mark, *unit = row.split(" ")
    own = f" unit={quoteattr(unit[0])}" if unit else ""
    return f'<param id="{id_}"{own} {MARKS[mark]}>{value}</param>'


def rml(text=TEXT, version="1.16"):
    """The file's text; each object has an uuid, as RAY-UI gives it."""
    found = []
    for block in text.strip().split("\n["):
        head, _, rows = block.lstrip("[").partition("\n")
        name, _, type_ = head.partition("] ")
        found.append(f'<object name="{name}" type="{type_}" uuid="28b8291e-{name}">')
        found += map(parameter, rows.replace("\n", "; ").split("; "))
        found.append("</object>")
    body = "\n".join(found)
    return f"<lab>\n<version>{version}</version>\n<beamline>\n{body}\n</beamline>\n</lab>\n"
