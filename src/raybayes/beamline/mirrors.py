"""Mirrors: RAY-UI's parameters -> place and figure.

A figure is the quadric a11 x^2 + a22 y^2 + a33 z^2 + 2 (a12 xy + a13 xz + a23 yz)
+ 2 (a14 x + a24 y + a34 z) + a44 = 0, or a torus; RAY-UI derives both from its parameters.
"""

import numpy as np
from numpy.typing import ArrayLike

from raybayes.array_types import Array
from raybayes.beamline.gratings import grating_angles, grating_of
from raybayes.beamline.kinds import SX700
from raybayes.beamline.model import Element
from raybayes.beamline.placement import Walk
from raybayes.beamline.shapes import (
    A11,
    A22,
    A23,
    A24,
    A33,
    A34,
    A44,
    COEFFICIENTS,
    curved,
    plane,
    radius_of,
    torus,
)
from raybayes.optics.rows import KIND, PROFILE, QUADRIC, SURFACE

ERRORS_ALONG_FIGURE = 0  # misalignmentCoordinateSystem: of the ellipsoid, paraboloid


def plane_mirror(walk: Walk, element: Element, row: Array) -> None:
    """A plane mirror."""
    plane(row)
    if element.number("systemMount") != SX700:
        walk.mirror(element)
        walk.blank(element, row)
        return
    get, grating = walk.values, grating_of(walk, element)
    alpha, beta = grating_angles(walk, grating)
    psi = (np.pi - alpha - np.abs(beta)) / 2
    height = get(grating, "pimpaleY0")
    to_grating = height / np.sin(2 * psi)
    distance = get(grating, "pimpaleX0") - to_grating * np.cos(2 * psi)
    centre = height / (2 * np.sin(psi)) + height / 2 * np.tan(psi)
    walk.deflect(element, distance, 0.0, psi, psi)
    walk.blank(element, row, centre + get(element, "premirrorShiftZ"))
    walk.derived[element.name] = {
        "grazingIncAngle": np.rad2deg(psi),
        "distancePreceding": distance,
        "distancePremirrorGrating": to_grating,
    }


def crystal(walk: Walk, element: Element, row: Array) -> None:
    """A crystal: a plane, with its reflectivity by dynamical theory."""
    plane(row)
    walk.mirror(element)
    walk.blank(element, row)


def sphere(walk: Walk, element: Element, row: Array) -> None:
    """A spherical mirror."""
    angle = walk.mirror(element)
    walk.blank(element, row)
    with np.errstate(divide="ignore"):
        rule = 2 / (np.sin(angle) * sum(walk.inverse_arms(element)))
    curved(row, radius_of(walk, element, "radius", rule), A11, A33)


def cylinder(walk: Walk, element: Element, row: Array) -> None:
    """A cylindrical mirror, bent along or across the beam."""
    angle = walk.mirror(element)
    walk.blank(element, row)
    along_z = element.number("bendingRadius") == 0
    sine, arms = np.sin(angle), sum(walk.inverse_arms(element))
    with np.errstate(divide="ignore"):
        rule = 2 / (sine * arms) if along_z else 2 * sine / arms
    curved(row, radius_of(walk, element, "radius", rule), A33 if along_z else A11)


def toroid(walk: Walk, element: Element, row: Array) -> None:
    """A toroidal mirror."""
    angle = walk.mirror(element)
    walk.blank(element, row)
    sine = np.sin(angle)
    with np.errstate(divide="ignore"):
        long_ = 2 / (sine * sum(walk.inverse_arms(element, "Mer")))
        short = 2 * sine / sum(walk.inverse_arms(element, "Sag"))
    torus(
        row,
        radius_of(walk, element, "longRadius", long_),
        radius_of(walk, element, "shortRadius", short),
    )


def _figure_rotation(walk: Walk, element: Element) -> ArrayLike:
    """a11: 1 rotationally symmetric, 0 a plane figure (a cylinder), or as given."""
    kind = element.number("figureRotation")
    return walk.values(element, "parameter_a11") if kind == 2 else float(kind == 0)


def ellipsoid(walk: Walk, element: Element, row: Array) -> None:
    """An ellipsoidal mirror."""
    get = walk.values
    angle = walk.angle(element, "grazingIncAngle")
    ra, rb = get.positive(element, "entranceArmLength"), get.positive(element, "exitArmLength")
    along_figure = element.number("misalignmentCoordinateSystem", 1) == ERRORS_ALONG_FIGURE
    turn = np.arctan(np.tan(angle) * (ra - rb) / (ra + rb)) if along_figure else 0.0
    walk.mirror(element, turn)
    walk.blank(element, row)
    design = get.derived(element, "designGrazingIncAngle", np.rad2deg(angle))
    good = (design > 0) & (design < 90)
    get.check(element, "designGrazingIncAngle", good, "it is above 0 and below 90 deg")
    theta = np.deg2rad(design)
    rule_a, rule_b = (ra + rb) / 2, np.sqrt(ra * rb) * np.sin(theta)
    walk.derived[element.name] |= {
        "designGrazingIncAngle": np.rad2deg(angle),
        "longHalfAxisA": rule_a,
        "shortHalfAxisB": rule_b,
    }
    a = get.derived(element, "longHalfAxisA", rule_a)
    b = get.derived(element, "shortHalfAxisB", rule_b)
    get.check(element, "shortHalfAxisB", (a > b) & (b > 0), "0 < shortHalfAxisB < longHalfAxisA")
    y0 = -b * b / (np.tan(theta) * np.sqrt(a * a - b * b))
    get.check(element, "shortHalfAxisB", -y0 <= b, "no such ellipse has this design angle")
    z0 = np.sign(ra - rb) * a * np.sqrt(b * b - y0 * y0) / b
    row[:, A11] = _figure_rotation(walk, element)
    _ellipse(row, a, b, y0, z0)


def _ellipse(row: Array, a: Array, b: Array, y0: Array, z0: Array) -> None:
    """In the frame of the mirror, whose tangent is turned by tau against the long axis."""
    k = (b / a) ** 2
    tau = np.arctan(k * z0 / y0)
    c, s = np.cos(tau), np.sin(tau)
    row[:, KIND] = QUADRIC
    row[:, A22] = c * c + k * s * s
    row[:, A23] = (b * b - a * a) * c * s / (a * a)
    row[:, A24] = k * z0 * s + y0 * c
    row[:, A33] = s * s + k * c * c
    row[:, A34] = k * z0 * c - y0 * s
    row[:, A44] = -b * b + y0 * y0 + k * z0 * z0


def paraboloid(walk: Walk, element: Element, row: Array) -> None:
    """RAY-UI's frame: z is the axis of the parabola, which the collimated beam follows."""
    get = walk.values
    theta = walk.angle(element, "grazingIncAngle")
    arm = get.positive(element, "armLength")
    focusing = element.number("parameter_P_type") == 1
    alpha, beta = (0.0 * theta, 2 * theta) if focusing else (2 * theta, 0.0 * theta)
    along_figure = element.number("misalignmentCoordinateSystem", 1) == ERRORS_ALONG_FIGURE
    turn = 0.0 * theta if along_figure else (-theta if focusing else theta)
    walk.deflect(element, *walk.place(element), alpha, beta, turn)
    walk.blank(element, row)
    walk.across(row)
    if (row[:, PROFILE] != 0).any():
        # RAY-UI's z is the axis here, not the surface: nobody knows what its heights stand on.
        none = "measured profiles are not modelled on a paraboloid; set it to 2 (no Profile)"
        get.not_modelled(element, none, "profileKind")
        row[:, PROFILE] = 0
    sign = -1.0 if focusing else 1.0
    rule = sign * 2 * arm * np.sin(theta) ** 2
    walk.derived[element.name] = {"parameter_P": rule}
    p = get.derived(element, "parameter_P", rule)
    y0, z0 = arm * np.sin(2 * theta), sign * arm * np.cos(2 * theta)
    row[:, KIND] = QUADRIC
    row[:, A11] = _figure_rotation(walk, element)
    row[:, A22] = 1
    row[:, A24] = -y0
    row[:, A34] = -p
    # Exactly 0 for the auto parameter_P: the paraboloid goes through the origin.
    row[:, A44] = np.where(p == rule, 0.0, y0 * y0 - 2 * p * z0 - p * p)


def cone(walk: Walk, element: Element, row: Array) -> None:
    """A conical mirror."""
    get = walk.values
    theta = walk.mirror(element)
    walk.blank(element, row)
    ra, rb = get.positive(element, "entranceArmLength"), get.positive(element, "exitArmLength")
    length = get.positive(element, "totalLength")
    upstream, downstream = _cone_radii(theta, ra, rb, length)
    walk.derived[element.name] = {"upstreamRadius": upstream, "downstreamRadius": downstream}
    ru = get.derived(element, "upstreamRadius", upstream)
    rd = get.derived(element, "downstreamRadius", downstream)
    slope = (ru - rd) / length
    cm = slope * slope
    good = (np.abs(slope) < 1) & (slope != 0) & (ru > 0) & (rd > 0)
    get.check(element, "upstreamRadius", good, "two different radii, by less than totalLength")
    row[:, KIND] = QUADRIC
    row[:, A11], row[:, A22] = 1 - cm, 1 - 2 * cm
    a23 = np.sign(slope) * np.sqrt(cm - cm * cm)
    row[:, A23] = a23
    row[:, A24] = -a23 * (ru / slope - length / 2)


def _cone_radii(theta: Array, ra: Array, rb: Array, length: Array) -> tuple[Array, Array]:
    """At the upstream and downstream end: between the beam's foci and both ends of the mirror."""

    def reach(arm: Array, sign: float) -> Array:
        return np.sqrt(length**2 / 4 + arm**2 + sign * length * arm * np.cos(theta))

    far = ra * np.sin(theta) / reach(ra, -1), 1 / reach(ra, -1) + 1 / reach(rb, 1)
    near = ra * np.sin(theta) / reach(ra, 1), 1 / reach(ra, 1) + 1 / reach(rb, -1)
    return 2 * far[0] / far[1], 2 * near[0] / near[1]


def experts_optics(walk: Walk, element: Element, row: Array) -> None:
    """Any quadric, given by its coefficients."""
    get = walk.values
    alpha = np.deg2rad(get(element, "tangentAngleAlpha"))
    beta = np.deg2rad(get(element, "tangentAngleBeta"))
    walk.deflect(element, *walk.place(element), alpha, beta)
    walk.blank(element, row)
    row[:, KIND] = QUADRIC
    for column, id_ in enumerate(COEFFICIENTS):
        row[:, SURFACE + column] = get(element, id_)
    nothing = (row[:, A11 : A44 + 1] == 0).all()
    get.check(element, "A24", not nothing, "all coefficients are zero: this is no surface")
