"""Does every element do what its closed form says?"""

import numpy as np
import pytest
from beamlines import (
    ARMS,
    ELEMENTS,
    NARROW,
    PARALLEL,
    POINT,
    RADIUS,
    P,
    Q,
    small,
)
from periodictable.xsf import index_of_refraction

from raybayes.beamline.geometry import HC, PLACERS, compile_beamline
from raybayes.beamline.rml import read_rml, write_rml
from raybayes.beamline.trace import trace
from raybayes.errors import InputError
from raybayes.optics.coating import bragg


def test_every_type_has_a_case():
    assert set(ELEMENTS) == set(PLACERS) == set(IMAGES)


def spot(beamline, rays=1000, **options):
    result = trace(beamline, rays, **options)
    assert result.transmission == pytest.approx(1.0) or options
    return np.abs(np.stack((result.x, result.y))).max(axis=1)


def plane_mirror():
    straight = 0.5e-3 * (P + Q)
    assert spot(small("Plane Mirror", source=POINT)) == pytest.approx([straight] * 2, rel=2e-2)


def sphere():
    beamline = small("Sphere", source=NARROW)
    x, y = spot(beamline)
    assert x == pytest.approx(0.05e-3 * (P + Q), rel=2e-2) and y < 0.01  # meridional focus
    assert compile_beamline(beamline).derived["O"]["radius"] == pytest.approx(RADIUS, rel=1e-12)


def cylinder():
    x, y = spot(small("Cylinder", source=NARROW))
    assert x < 0.01 and y == pytest.approx(0.05e-3 * (P + Q), rel=0.02)  # sagittal focus
    x, y = spot(small("Cylinder", source=NARROW, bendingRadius=0))
    assert y < 0.01 and x == pytest.approx(0.05e-3 * (P + Q), rel=0.02)


def toroid():
    assert (spot(small("Toroid", source=NARROW)) < 0.01).all()


def ellipsoid():
    assert (spot(small("Ellipsoid", source=POINT)) < 1e-9).all()
    x, y = spot(small("Ellipsoid", source=POINT, figureRotation=1))  # a plane figure
    assert x > 5 and y < 0.01


def paraboloid():
    assert (spot(small("Paraboloid", source=PARALLEL)) < 1e-9).all()
    collimating = small(
        "Paraboloid", source=POINT, parameter_P_type=0, armLength=P, misalignmentCoordinateSystem=1
    )
    rays = trace(collimating, 1000)
    assert rays.arrived.all() and np.abs(rays.values[3:5]).max() < 1e-12


def cone():
    """A cone focuses across only; the mean of its radii is that of the cylinder."""
    x, _ = spot(small("Cone", source=POINT, totalLength=400.0, distancePreceding=P))
    assert x < 0.5


def experts_optics():
    """The sphere's coefficients give the sphere's rays."""
    ours = trace(small("Experts Optics", source=POINT), 1000).values
    theirs = trace(small("Sphere", source=POINT), 1000).values
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def crystal():
    """Silicon 111 at Cu K alpha: nearly all is reflected over 7.4 arcsec, and none far off."""
    row = compile_beamline(small("Crystal")).rows[0, 0]
    wavelength = HC / 8048
    centre = np.arcsin(wavelength / 0.62712)
    angles = centre + np.linspace(-50e-6, 100e-6, 3001)
    curve = np.array([abs(bragg(row, wavelength, np.sin(a))[0]) ** 2 for a in angles])
    wide = np.ptp(angles[curve > curve.max() / 2])
    assert np.rad2deg(wide) * 3600 == pytest.approx(7.4, rel=0.1)
    assert 0.9 < curve.max() <= 1 and curve[0] < 0.05
    middle = angles[curve > curve.max() / 2].mean() - centre
    assert 15e-6 < middle < 40e-6  # refraction moves the curve to larger angles
    keep = {**POINT, "horDiv": 0, "verDiv": 0, "photonEnergy": 8048}
    onto = small("Crystal", source=keep, grazingIncAngle=float(np.rad2deg(centre + middle)))
    assert trace(onto, 10).transmission > 0.9


def plane_grating():
    """The grating equation, for the order that the mount is set for and for its energy."""
    beamline = small("Plane Grating", source=POINT)
    angles = {k: np.deg2rad(v) for k, v in compile_beamline(beamline).derived["O"].items()}
    shift = 400e-6 * HC / 100
    assert np.sin(angles["alpha"]) + np.sin(angles["beta"]) == pytest.approx(shift, rel=1e-12)
    assert spot(beamline, seed=1)[0] == pytest.approx(0.5e-3 * (P + Q), rel=2e-2)
    varied = small("Plane Grating", source=POINT, lineSpacing=1)  # with parameters that are zero
    same = trace(varied, 100).values, trace(beamline, 100).values
    np.testing.assert_allclose(*same, rtol=0, atol=1e-10)
    matrix = {"source": POINT, "source_type": "Matrix Source"}  # the same rays each time
    incidence = {"gratingMount": 1, "alpha": np.rad2deg(angles["alpha"])}
    both, one, zero = (
        trace(small("Plane Grating", **matrix, **changes), 1024, plane="O").values
        for changes in (
            {"additionalOrder": 1},
            {},
            {"orderDiffraction": 0, **incidence},
        )
    )
    turned = np.abs(both[4] - one[4]) > 1e-6
    assert 0.45 < turned.mean() < 0.55
    np.testing.assert_allclose(both[:, turned], zero[:, turned], rtol=0, atol=1e-9)
    old = small("Plane Grating", source=POINT, lineSpacing=1, vlsParameterB2=1e-4)
    new = small("Plane Grating", source=POINT, lineSpacing=1, vlsParameter1=1e-4)
    assert np.array_equal(trace(old, 100).values, trace(new, 100).values)


def spherical_grating():
    """At constant incidence the radius is the one that focuses the order."""
    y = spot(small("Spherical Grating", source=NARROW, gratingMount=1, alpha=86.63))[1]
    assert y < 0.02


def toroidal_grating():
    """With two equal radii it is the spherical grating."""
    radii = {"longRadius": RADIUS, "shortRadius": RADIUS}
    ours = trace(small("Toroidal Grating", source=POINT, **radii), 500).values
    theirs = trace(small("Spherical Grating", source=POINT, radius=RADIUS), 500).values
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-7)


def zone_plate():
    assert (spot(small("Reflection Zoneplate", source=NARROW)) < 1e-6).all()


def slit():
    wide = {**POINT, "horDiv": 2.0, "verDiv": 2.0}  # 20 x 20 mm at the slit
    for changes, share in (
        ({}, 5 * 2 / 400),
        ({"openingShape": 1}, np.pi / 4 * 5 * 2 / 400),
        ({"centralBeamstop": 1, "stopWidth": 2.0, "stopHeight": 1.0}, 8 / 400),
        ({"centralBeamstop": 2, "stopWidth": 2.0, "stopHeight": 1.0}, (10 - np.pi / 2) / 400),
        ({"totalWidth": 4.0, "geometricalShape": 1}, None),
    ):
        rays = trace(small("Slit", source=wide, **changes), 1 << 16)
        if share is not None:
            assert rays.transmission == pytest.approx(share, rel=0.02), changes
    assert 0 < rays.transmission < 10 / 400


def aperture():
    wide = {**POINT, "horDiv": 2.0, "verDiv": 2.0}
    positive, negative = (
        trace(small("Aperture", source=wide, maskType=mask), 1 << 14).transmission
        for mask in (0, 1)
    )
    assert positive == pytest.approx(10 / 400, rel=0.05)
    assert positive + negative == pytest.approx(1.0)
    tapered = {"geometricalShape": 2, "totalWidthB": 15.0}
    share = trace(small("Aperture", source=wide, **tapered), 1 << 14).transmission
    assert share == pytest.approx(20 / 400, rel=0.05)


def foil():
    """Aluminium, 200 nm, against another program's index; none is lost at 100 %."""
    index = index_of_refraction("Al", density=2.7, energy=0.1)
    rays = trace(small("Foil", source=POINT), 100)
    absorbed = np.exp(-4 * np.pi * abs(index.imag) * 200 * 100 / HC)
    assert rays.transmission == pytest.approx(absorbed, rel=5e-3)
    assert trace(small("Foil", source=POINT, transmissionType=0), 100).transmission == 1.0


def image_plane():
    rays = trace(small("ImagePlane", image=P + Q, source=POINT), 100)
    assert rays.arrived.all() and np.abs(rays.values[2]).max() == 0
    # An image plane does not move the beam: the second stands P + Q from the source.
    np.testing.assert_allclose(rays.x, (P + Q) * rays.values[3] / rays.values[5], atol=1e-9)


def image_plane_bundle():
    bundle = trace(small("ImagePlaneBundle", source=POINT), 100, plane="O").values
    plane = trace(small("ImagePlane", source=POINT), 100, plane="O").values
    assert np.array_equal(bundle, plane)


IMAGES = {
    "Plane Mirror": plane_mirror,
    "Sphere": sphere,
    "Cylinder": cylinder,
    "Toroid": toroid,
    "Ellipsoid": ellipsoid,
    "Paraboloid": paraboloid,
    "Cone": cone,
    "Experts Optics": experts_optics,
    "Crystal": crystal,
    "Plane Grating": plane_grating,
    "Spherical Grating": spherical_grating,
    "Toroidal Grating": toroidal_grating,
    "Reflection Zoneplate": zone_plate,
    "Slit": slit,
    "Aperture": aperture,
    "Foil": foil,
    "ImagePlane": image_plane,
    "ImagePlaneBundle": image_plane_bundle,
}


@pytest.mark.parametrize("type_", IMAGES)
def test_element(type_):
    IMAGES[type_]()


@pytest.mark.parametrize("type_", ELEMENTS)
def test_files_of_every_type_round_trip(type_, tmp_path):
    beamline = small(type_)
    write_rml(beamline, tmp_path / "x.rml")
    assert read_rml(tmp_path / "x.rml").elements == beamline.elements


BAD = {
    "radius": ("Sphere", {"exitArmLength": -P}, "'radius'.*: a radius is finite"),
    "arm": ("Sphere", {"exitArmLength": 0}, "'exitArmLength': an arm length is not zero"),
    "angle": ("Toroid", {"grazingIncAngle": -1}, "'grazingIncAngle': a grazing angle"),
    "ellipse": ("Ellipsoid", {"shortHalfAxisB": 1e5}, "'shortHalfAxisB': 0 < shortHalfAxisB"),
    "material": ("Foil", {"materialSubstrate": "Unobtainium"}, "'Unobtainium' has no optical"),
    "no material": ("Plane Mirror", {"reflectivityType": 1}, "no material is given"),
    "evanescent": ("Plane Grating", {"lineDensity": 1e6}, "no diffracted beam"),
    "lines": ("Plane Grating", {"lineDensity": 0}, "'lineDensity': it must be positive"),
    "opening": ("Slit", {"openingHeight": -0.1}, "'openingHeight': an opening must not be neg"),
    "nothing": ("Experts Optics", {k: 0 for k in ("A11", "A22", "A33", "A24")}, "no surface"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_are_named(case):
    type_, changes, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        compile_beamline(small(type_, **changes))
    assert type_ in str(error.value) or "<memory>" in str(error.value)


def test_a_parameter_that_is_missing_is_said_to_be():
    beamline = small("Toroid")
    del beamline.elements[1].params["grazingIncAngle"]
    with pytest.raises(InputError, match=r"'grazingIncAngle' \(which the file does not give\)"):
        compile_beamline(beamline)


def test_arms_are_what_a_radius_is_derived_from():
    assert ARMS["entranceArmLength"] == P
    compiled = compile_beamline(small("Sphere"), ["O.exitArmLength"], [[Q], [2 * Q]])
    first, second = compiled.derived["O"]["radius"]
    assert first == pytest.approx(RADIUS, rel=1e-12) and second > first
