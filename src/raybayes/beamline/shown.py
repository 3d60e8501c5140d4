"""What RAY-UI derives from others and shows: nothing is traced from it, so it can be compared.

Formulas as RAY-UI's numbers show them (six digits, in files of version 1.16).
"""

import math
from collections.abc import Callable, Mapping

from raybayes.beamline.dipole import CRITICAL
from raybayes.beamline.emission import DIPOLES, from_file
from raybayes.beamline.model import Beamline, Element

LIGHT = 0.299792458  # GeV / (T m)
RADIATED = 88462.68  # W m / (GeV^4 A) on a whole turn: 4 pi r_e / (3 (m c^2)^3)
ROTATED, PLANE_FIGURE = 0, 1  # figureRotation

Values = dict[str, float]
Known = Mapping[str, float]  # what we derive for an element


def shown(beamline: Beamline, element: Element, known: Known, hc: float) -> Values:
    """What RAY-UI would show of an element; hc in nm eV."""
    if element is beamline.source:
        return _source(element, hc)
    return RULES[element.type](element, known) if element.type in RULES else {}


def _source(source: Element, hc: float) -> Values:
    one_energy = not from_file(source) and source.number("photonEnergy") > 0
    found = {"photonWavelength": hc / source.number("photonEnergy")} if one_energy else {}
    return found | (_dipole(source) if source.type in DIPOLES else {})


def _dipole(source: Element) -> Values:
    get, angle = source.number, 1e-3 * source.number("horDiv")
    energy, radius, current = get("electronEnergy"), get("bendingRadius"), get("ringCurrent")
    power = RADIATED * energy**4 / radius * 1e-3 * current
    return {
        "horDivDeg": math.degrees(angle),
        "horDivSec": 3600 * math.degrees(angle),
        "magFieldStrength": energy / (LIGHT * radius),
        "critEnergy": 1e-3 * CRITICAL * energy**3 / radius,
        "totalPowerWatt": power * angle / (2 * math.pi),
    }


def _bilayer(element: Element) -> Values:
    layers = ("thicknessCoating1", "thicknessCoating2")
    return {"coatingBilayerThickness": sum(map(element.number, layers))}


def _mirror(element: Element, known: Known) -> Values:
    angle = math.radians(known.get("grazingIncAngle", element.number("grazingIncAngle")))
    return {"alpha1": angle, "beta1": angle, **_bilayer(element)}


def _ellipsoid(element: Element, known: Known) -> Values:
    """y0, z0: the mirror's centre from the ellipse's; its tangent is turned against the axis."""
    theta = math.radians(element.number("grazingIncAngle"))
    design = math.radians(known["designGrazingIncAngle"])
    a, b = known["longHalfAxisA"], known["shortHalfAxisB"]
    k, arms = (b / a) ** 2, [element.number(f"{side}ArmLength") for side in ("entrance", "exit")]
    y0 = -b * b / (math.tan(design) * math.sqrt(a * a - b * b))
    z0 = math.copysign(a / b * math.sqrt(b * b - y0 * y0), arms[0] - arms[1])
    tilt = math.atan(-k * z0 / y0)
    half = element.number("totalLength") / 2  # RAY-UI: along the axis
    a11 = {ROTATED: 1.0, PLANE_FIGURE: 0.0}.get(
        int(element.number("figureRotation")), element.number("parameter_a11")
    )
    edges = zip(("UpstreamEdge", "Center", "DownstreamEdge"), (-half, 0.0, half), strict=True)
    return {
        "centerEllipsoidY0": y0,
        "centerEllipsoidZ0": z0,
        "tangentAngleEllipsoid": math.degrees(tilt),
        **{f"Rxy{name}": b * math.sqrt(max(0.0, 1 - ((z0 + z) / a) ** 2)) for name, z in edges},
        "shortHalfAxisC": b / math.sqrt(a11) if a11 > 0 else math.inf,
        "parameter_a33": k,
        "parameter_a34": k * z0,
        "parameter_a44": y0 * y0 + k * z0 * z0 - b * b,
        **{"alpha": theta, "beta": theta, "alpha1": theta - tilt, "beta1": theta + tilt},
        **_bilayer(element),
    }


def _grating(element: Element, known: Known) -> Values:
    """Angles in all of RAY-UI's definitions; widths of grooves with upright walls."""
    alpha, beta, get = known["alpha"], known["beta"], element.number
    id_ = "designEnergyMounting" if element.type == "Plane Grating" else "designEnergy"
    stretch = math.cos(math.radians(beta)) / math.cos(math.radians(alpha))
    found = {
        "deviationAngle": alpha - beta,
        "grazingAlpha": 90 - alpha,
        "grazingBeta": 90 + beta,
        "grazingDeviationAngle": 180 - alpha + beta,
        "azimuthalAlpha": alpha,
        "azimuthalBeta": beta,
        "calculatedPhotonEnergy": known[id_],
        "antiBlazeAngleDisplay": 180 - get("aspectAngle") - get("blazeAngle"),
        **_bilayer(element),
    }
    if get("lineSpacing") == 0:  # else the lines focus, too
        found["virtualSourceDistance"] = get("entranceArmLength") * stretch**2
    if get("leftWallAngle") == get("rightWallAngle") == 0:
        pitch = 1e3 / get("lineDensity")
        found |= {
            "grooveBottom": pitch * get("grooveRatio"),
            "grooveTop": pitch * (1 - get("grooveRatio")),
        }
    return found


def lattice(element: Element) -> Values:
    """Of a crystal: twice the distance of its planes, nm. Taken from the file."""
    indices = [element.number(f"{n}MillerIndex") for n in ("first", "second", "third")]
    if element.number("latticeStructure") != CUBIC or not any(indices):
        return {}
    return {"dSpacing2": 2 * element.number("latticeConstant") / math.hypot(*indices)}


CUBIC = 1  # latticeStructure: zincblende
RULES: dict[str, Callable[[Element, Known], Values]] = {
    **dict.fromkeys(("Plane Mirror", "Sphere", "Cylinder", "Toroid"), _mirror),
    "Ellipsoid": _ellipsoid,
    **dict.fromkeys(("Plane Grating", "Spherical Grating", "Toroidal Grating"), _grating),
}
