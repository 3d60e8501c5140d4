"""Every source's parameters, as RAY-UI writes them."""

from raybayes.beamline.kinds import (
    ALIGNMENT,
    WORLD,
    Choice,
    Number,
    Parameters,
    Text,
    choices,
    numbers,
    shown,
)

HARD_OR_GAUSSIAN = {0: "hard edge", 1: "gaussian (sigma)"}
SOURCE: Parameters = {
    "numberRays": Number(),
    **numbers("mm", "sourceDepth"),
    **ALIGNMENT,
    **WORLD,
    "energyDistributionType": Choice({0: "File", 1: "Values", 2: "Total", 3: "Param"}),
    "photonEnergyDistributionFile": Text(),
    "photonEnergy": Number("eV"),
    **shown("nm", "photonWavelength"),
    "energySpreadType": Choice({0: "white band", 1: "soft edge", 2: "separate energies"}),
    "energySpreadUnit": Choice({0: "eV", 1: "%"}),
    "energySpread": Number("energySpreadUnit"),
    "SeparateEnergies": Number(),
    **numbers("", "linearPol_0", "linearPol_45", "circularPol"),
    "sourcePulseType": Choice({0: "all rays start simultaneously", 1: "gaussian"}),
    "sourcePulseLength": Number("psec"),
    **shown("um", "sourcePathLength"),
    **shown("", "phaseJitter"),
    "photonFlux": Number(),
}
SIZE: Parameters = numbers("mm", "sourceWidth", "sourceHeight")
EXTENDED: Parameters = {**SIZE, **numbers("mrad", "horDiv", "verDiv"), **SOURCE}
POINT: Parameters = {
    **EXTENDED,
    **choices(
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
    **numbers("mrad", "maximumOpeningAngle", "minimumOpeningAngle", "deltaOpeningAngle"),
    **SOURCE,
}
DIPOLE: Parameters = {
    **EXTENDED,
    "verEbeamDiv": Number("urad"),
    "electronEnergy": Number("GeV"),
    "electronEnergyOrientation": Choice({0: "clockwise", 1: "counter-clockwise"}),
    "bendingRadius": Number("m"),
    **numbers("mA", "ringCurrent"),
    **shown("deg", "horDivDeg"),
    **shown("arcsec", "horDivSec"),
    **shown("T", "magFieldStrength"),
    **shown("keV", "critEnergy"),
    **shown("W", "totalPowerWatt"),
}
SIMPLE_UNDULATOR: Parameters = {
    "sigmaType": Choice({0: "standard", 1: "accurate"}),
    "undulatorLength": Number("m"),
    "electronDistributionType": Choice({0: "manual", 1: "BESSY II low Beta"}),
    **numbers("um", "electronSigmaX", "electronSigmaY"),
    **numbers("urad", "electronSigmaXs", "electronSigmaYs"),
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
    **numbers("mm", "horBeamSize", "verBeamSize"),
    **numbers("urad", "horBeamDiv", "verBeamDiv"),
    **numbers("", "undulatorPeriodNumber", "undulatorHarmonic", "deflectionParameterK"),
    **numbers("", "deflectionParameterKx", "deflectionParameterKy"),
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
