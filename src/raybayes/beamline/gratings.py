"""Gratings and zone plates: mounts, line patterns, the SX700 coupling.

Angles are to the normal, alpha > 0 and beta < 0 (rad): sin alpha + sin beta = m N lambda.
"""

from collections.abc import Callable

import numpy as np

from raybayes.array_types import Array
from raybayes.beamline.kinds import SX700
from raybayes.beamline.model import Element
from raybayes.beamline.placement import Walk
from raybayes.beamline.shapes import A11, A33, curved, plane, radius_of, torus
from raybayes.beamline.values import Values
from raybayes.optics.lines import (
    IMAGE_ABOVE,
    IMAGE_ALONG,
    MERIDIONAL,
    SOURCE_ABOVE,
    SOURCE_ALONG,
)
from raybayes.optics.rows import (
    LINES,
    ORDERS,
    PATTERN,
    VARIED,
    WAVELENGTH_SHIFT,
    ZONES,
)

DEVIATION, INCIDENCE, C_FACTOR_INTERNAL, C_FACTOR = range(4)  # gratingMount
C_FACTOR_MOVEMENT = 3  # elementMovement of version 1.16, whose other values are not known
DESIGN_ANGLE = 1  # designType of a zone plate; else the offset of the zones' centre, here 0
PLANE_LINES, TOROID_LINES, SPHERE_LINES = range(3)  # curvatureType of a zone plate


def grating_of(walk: Walk, mirror: Element) -> Element:
    """The SX700 grating that follows its premirror."""
    elements = walk.beamline.elements
    for element in elements[elements.index(mirror) + 1 :][:1]:
        if element.type == "Plane Grating" and element.number("systemMount") == SX700:
            return element
    raise walk.values.error(
        mirror,
        "it is SX700, so a Plane Grating with systemMount SX700 must follow it",
        "systemMount",
    )


def _shift(walk: Walk, grating: Element) -> Array:
    """m N lambda times the energy, eV."""
    get = walk.values
    density = get.positive(grating, "lineDensity")
    return walk.hc * 1e-6 * get(grating, "orderDiffraction") * density


def design_energy(walk: Walk, grating: Element) -> Array:
    """The energy that the mount is set for: that of the source, or as given."""
    get = walk.values
    id_ = "designEnergyMounting" if grating.type == "Plane Grating" else "designEnergy"
    energy = get.derived(grating, id_, walk.energy)
    get.check(grating, id_, energy > 0, "a photon energy must be positive")
    walk.derived.setdefault(grating.name, {})[id_] = walk.energy
    return energy


def grating_angles(walk: Walk, grating: Element) -> tuple[Array, Array]:
    """alpha > 0 and beta < 0 (rad, to the normal) at the design energy.

    Raises:
        InputError: no diffracted beam exists.
    """
    shift = _shift(walk, grating) / design_energy(walk, grating)
    with np.errstate(invalid="ignore", divide="ignore"):
        alpha, beta = MOUNTS[mount_of(grating)](walk.values, grating, shift)
    beta = np.deg2rad(walk.values.manual(grating, "beta", np.rad2deg(beta)))
    angles = np.stack(np.broadcast_arrays(alpha, beta))
    if not (np.isfinite(angles).all() and (np.abs(angles) < np.pi / 2).all()):
        raise walk.values.error(
            grating,
            "no diffracted beam exists at this energy, order, line density and mount; change one "
            "of them",
        )
    return alpha, beta


def mount_of(grating: Element) -> int:
    """How the grating is mounted: RAY-UI's number."""
    if grating.number("elementMovement", -1) == C_FACTOR_MOVEMENT:
        return C_FACTOR
    return int(grating.number("gratingMount"))


def _constant_deviation(get: Values, grating: Element, shift: Array) -> tuple[Array, Array]:
    half = np.deg2rad(get(grating, "deviationAngle")) / 2
    beta = np.arcsin(shift / (2 * np.cos(half))) - half
    return 2 * half + beta, beta


def _constant_incidence(get: Values, grating: Element, shift: Array) -> tuple[Array, Array]:
    alpha = np.deg2rad(get(grating, "alpha"))
    return alpha, np.arcsin(shift - np.sin(alpha))


def _constant_c_factor(get: Values, grating: Element, shift: Array) -> tuple[Array, Array]:
    """cos beta / cos alpha = c."""
    c2 = get(grating, "cFactor") ** 2
    rule = np.arcsin((-shift + np.sqrt(c2 * shift**2 + (c2 - 1) ** 2)) / (c2 - 1))
    alpha = np.deg2rad(get.derived(grating, "alpha", np.rad2deg(rule)))
    return alpha, np.arcsin(shift - np.sin(alpha))


Mount = Callable[[Values, Element, Array], tuple[Array, Array]]
MOUNTS: dict[int, Mount] = {
    DEVIATION: _constant_deviation,
    INCIDENCE: _constant_incidence,
    C_FACTOR_INTERNAL: _constant_c_factor,
    C_FACTOR: _constant_c_factor,
}


def _place(walk: Walk, element: Element) -> tuple[Array, Array]:
    """Stand the grating in the beam and rule its lines; returns alpha and beta (rad)."""
    alpha, beta = grating_angles(walk, element)
    distance, chi = walk.place(element)
    if element.number("systemMount") == SX700:
        psi = (np.pi - alpha - np.abs(beta)) / 2
        distance, chi = walk.values(element, "pimpaleY0") / np.sin(2 * psi), np.asarray(np.pi)
        walk.derived[element.name]["distancePreceding"] = distance
    walk.derived[element.name] |= {"alpha": np.rad2deg(alpha), "beta": np.rad2deg(beta)}
    walk.deflect(element, distance, chi, np.pi / 2 - np.abs(alpha), np.pi / 2 - np.abs(beta))
    return alpha, beta


def _rule_lines(walk: Walk, element: Element, row: Array) -> None:
    row[:, ORDERS] = element.number("additionalOrder")
    row[:, WAVELENGTH_SHIFT] = _shift(walk, element)
    if element.number("lineSpacing") != 1:
        return
    row[:, LINES] = VARIED
    old = "vlsParameterB2" in element.params
    for i in range(6):
        id_ = f"vlsParameterB{i + 2}" if old else f"vlsParameter{i + 1}"
        row[:, PATTERN + i] = walk.values(element, id_)


def plane_grating(walk: Walk, element: Element, row: Array) -> None:
    """A plane grating."""
    _place(walk, element)
    walk.blank(element, row)
    _rule_lines(walk, element, row)
    plane(row)


def _focus(alpha: Array, beta: Array, ra: Array, rb: Array) -> Array:
    """The radius R that focuses an order along the beam; ra, rb are inverse arm lengths.

    cos^2 alpha / ra + cos^2 beta / rb = (cos alpha + cos beta) / R, angles from the normal.
    """
    ca, cb = np.cos(alpha), np.cos(beta)
    return (ca + cb) / (ca * ca * ra + cb * cb * rb)


def spherical_grating(walk: Walk, element: Element, row: Array) -> None:
    """A spherical grating."""
    alpha, beta = _place(walk, element)
    walk.blank(element, row)
    _rule_lines(walk, element, row)
    with np.errstate(divide="ignore"):
        ra, rb = walk.inverse_arms(element)
        rule = _focus(alpha, beta, ra, rb)
        if mount_of(element) == DEVIATION:  # RAY-UI: of a mirror in the deviation's bisector
            rule = 2 / (np.cos((alpha - beta) / 2) * (ra + rb))
    curved(row, radius_of(walk, element, "radius", rule), A11, A33)


def toroidal_grating(walk: Walk, element: Element, row: Array) -> None:
    """A toroidal grating; RAY-UI's long radius focuses its order in every mount."""
    alpha, beta = _place(walk, element)
    walk.blank(element, row)
    _rule_lines(walk, element, row)
    with np.errstate(divide="ignore"):
        long_ = _focus(alpha, beta, *walk.inverse_arms(element, "Mer"))
        short = (np.cos(alpha) + np.cos(beta)) / sum(walk.inverse_arms(element, "Sag"))
    torus(
        row,
        radius_of(walk, element, "longRadius", long_),
        radius_of(walk, element, "shortRadius", short),
    )


def zone_plate(walk: Walk, element: Element, row: Array) -> None:
    """A reflection zone plate that images point to point at its design energy and angles."""
    get = walk.values
    alpha_d = walk.angle(element, "designAlphaAngle")
    beta_d = _design_beta(walk, element, alpha_d)
    order = get(element, "orderDiffraction")
    design_order = get.derived(element, "designOrderDiffraction", order)
    get.check(element, "designOrderDiffraction", design_order != 0, "it is not zero")
    shift = design_energy(walk, element) * order / design_order
    alpha, beta = _zone_angles(walk, element, shift, np.cos(alpha_d) - np.cos(beta_d))
    walk.deflect(element, *walk.place(element), alpha, beta)
    walk.blank(element, row)
    row[:, WAVELENGTH_SHIFT] = shift
    row[:, LINES] = ZONES
    row[:, ORDERS] = element.number("additionalOrder")
    source, image = get.positive(element, "entranceArmLengthSag"), get(element, "exitArmLengthSag")
    row[:, SOURCE_ALONG], row[:, SOURCE_ABOVE] = source * np.cos(alpha_d), source * np.sin(alpha_d)
    row[:, IMAGE_ALONG], row[:, IMAGE_ABOVE] = image * np.cos(beta_d), image * np.sin(beta_d)
    row[:, MERIDIONAL] = element.number("rzpType") == 1
    _zone_figure(walk, element, row)


def _design_beta(walk: Walk, element: Element, alpha_d: Array) -> Array:
    """Where the centre of the Fresnel zones is the element's, the axis is reflected there."""
    if element.number("designType", DESIGN_ANGLE) == DESIGN_ANGLE:
        return walk.angle(element, "designBetaAngle")
    walk.derived.setdefault(element.name, {})["designBetaAngle"] = np.rad2deg(alpha_d)
    return alpha_d


def _zone_angles(walk: Walk, element: Element, shift: Array, design: Array) -> tuple[Array, Array]:
    """Grazing angles of the axis: cos beta = cos alpha - (lambda m / lambda_d m_d) design."""
    get = walk.values
    with np.errstate(invalid="ignore"):
        if mount_of(element) == INCIDENCE:
            alpha = walk.angle(element, "grazingIncAngle")
            rule = np.arccos(np.cos(alpha) - shift / walk.energy * design)
        else:  # alpha + beta = 180 deg - deviation
            half = np.pi / 2 - np.deg2rad(get(element, "deviationAngle")) / 2
            tilt = np.arcsin(shift / walk.energy * design / (2 * np.sin(half)))
            alpha, rule = half - tilt, half + tilt
        beta = np.deg2rad(get.derived(element, "betaDiffraction", np.rad2deg(rule)))
    if not (np.isfinite(alpha).all() and np.isfinite(beta).all()):
        raise get.error(element, "no diffracted beam exists at this energy, order and angle")
    walk.derived[element.name] |= {"betaDiffraction": np.rad2deg(rule)}
    return alpha, beta


def _zone_figure(walk: Walk, element: Element, row: Array) -> None:
    kind = element.number("curvatureType")
    if kind == SPHERE_LINES:
        curved(row, radius_of(walk, element, "longRadius", np.nan), A11, A33)
    elif kind == TOROID_LINES:
        long_ = radius_of(walk, element, "longRadius", np.nan)
        torus(row, long_, radius_of(walk, element, "shortRadius", np.nan))
    else:
        plane(row)
