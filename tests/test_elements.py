"""Every element and every source against what optics says of it; one case for each type."""

from dataclasses import replace

import numpy as np
import pytest
from beamlines import (
    ARMS,
    ELEMENTS,
    NARROW,
    PARALLEL,
    POINT,
    RADIUS,
    SOURCES,
    P,
    Q,
    emitting,
    small,
)
from periodictable.xsf import index_of_refraction

from raybayes.beamline.derive import with_values
from raybayes.beamline.geometry import HC, PLACERS, compile_beamline
from raybayes.beamline.rml import read_rml, write_rml
from raybayes.beamline.source import DISTRIBUTIONS, STANDARD, emit
from raybayes.beamline.trace import trace
from raybayes.beamline.undulator_file import file_angles
from raybayes.errors import InputError
from raybayes.optics import through
from raybayes.optics.coating import bragg
from raybayes.optics.rows import KIND, PLANE, QUADRIC, RAY, SURFACE, TOROID


def test_every_type_has_a_case():
    assert set(ELEMENTS) == set(PLACERS) == set(IMAGES)
    assert set(SOURCES) == set(DISTRIBUTIONS) == set(EMITTED)


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


SURFACES = [t for t, p in ELEMENTS.items() if "totalLength" in p]


@pytest.mark.parametrize("type_", SURFACES)
def test_hits_lie_on_the_surface_and_directions_are_unit_vectors(type_):
    beamline = small(type_, source=POINT)
    rays = trace(beamline, 500, plane="O")
    assert rays.arrived.any()
    x, y, z, *d = rays.values[:6, rays.arrived]
    np.testing.assert_allclose(np.sum(np.square(d), axis=0), 1, rtol=0, atol=1e-12)
    row = compile_beamline(beamline).rows[0, 0]
    if row[KIND] == QUADRIC:
        a11, a22, a33, a12, a13, a23, a14, a24, a34, a44 = row[SURFACE : SURFACE + 10]
        f = a11 * x * x + a22 * y * y + a33 * z * z + 2 * (a12 * x * y + a13 * x * z + a23 * y * z)
        f += 2 * (a14 * x + a24 * y + a34 * z) + a44
        slope = 2 * np.hypot(a24, a34)
        assert np.abs(f / slope).max() < 1e-9
    elif row[KIND] == TOROID:
        assert np.abs(y - torus_height(*row[SURFACE : SURFACE + 2], x, z)).max() < 1e-9
    else:
        assert row[KIND] == PLANE and not y.any()


def torus_height(long, short, x, z):
    """RAY-UI's torus: an arc of radius `short` across, swept along an arc of radius `long`."""
    sagitta = short - np.sign(short) * np.sqrt(short**2 - x**2)
    return long - np.sign(long) * np.sqrt((long - sagitta) ** 2 - z**2)


@pytest.mark.parametrize("long, short", [(9e3, 60.0), (-9e3, 60.0), (9e3, -60.0), (-9e3, -60.0)])
def test_a_torus_may_be_hollow_or_bulge_either_way(long, short):
    """Hits lie on the surface; the normal is its gradient: reflected rays and those that come."""
    radii = {"O.longRadius": long, "O.shortRadius": short}
    beamline = with_values(small("Toroid", source=POINT), radii)
    rays, before = (trace(beamline, 500, plane=p) for p in ("O", "S"))
    assert rays.arrived.any()
    x, y, z, *after = rays.values[:6, rays.arrived]
    assert np.abs(y - torus_height(long, short, x, z)).max() < 1e-9
    step = 1e-2
    slopes = [
        (torus_height(long, short, x + a, z + b) - torus_height(long, short, x - a, z - b)) / 2e-2
        for a, b in ((step, 0), (0, step))
    ]
    normal = np.stack((-slopes[0], np.ones_like(x), -slopes[1]))
    normal /= np.sqrt((normal**2).sum(axis=0))
    frame = compile_beamline(beamline)
    came = frame.axes[0, 1].T @ frame.axes[0, 0] @ before.values[3:6, rays.arrived]
    turned = came - 2 * (came * normal).sum(axis=0) * normal
    np.testing.assert_allclose(np.stack(after), turned, rtol=0, atol=2e-9)


def test_a_ray_that_misses_a_torus_takes_no_other_with_it():
    """A block of rays meets what each of them meets alone."""
    radii = {"O.longRadius": 9e3, "O.shortRadius": 60}
    compiled = compile_beamline(with_values(small("Toroid", source=POINT), radii))
    rng = np.random.default_rng(0)
    rays = np.empty((RAY, 200))
    emit(compiled.emission[0] * 20, rng.uniform(-0.5, 0.5, (200, STANDARD)), rays)

    def met(some):
        some, lost = some.copy(), np.zeros(some.shape[1], np.int64)
        perfect, normals = np.empty((2, 0)), np.empty((3, some.shape[1]))
        through(compiled.rows[0, 0], some, lost, 1, perfect, normals, compiled.tables)
        return np.where(lost, np.nan, some)

    together, alone = met(rays), np.hstack([met(rays[:, i : i + 1]) for i in range(200)])
    missed = np.isnan(together[0])
    assert 10 < missed.sum() < 190
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("type_", SURFACES)
def test_a_shift_along_the_surface_normal_moves_the_hit(type_):
    """Every surface can be misaligned, in six degrees of freedom, and set back."""
    beamline = small(type_, source=POINT)
    at_rest = trace(beamline, 50, plane="I").values
    for id_ in ("translationXerror", "translationYerror", "rotationXerror", "rotationZerror"):
        moved = with_values(beamline, {f"O.{id_}": 0.01})
        assert moved["O"].number("alignmentError") == 0
        back = with_values(moved, {f"O.{id_}": 0.0})
        np.testing.assert_allclose(trace(back, 50).values, at_rest, rtol=0, atol=1e-9)
    assert not np.array_equal(trace(moved, 50).values, at_rest, equal_nan=True)


@pytest.mark.parametrize("type_", ELEMENTS)
def test_files_of_every_type_round_trip(type_, tmp_path):
    beamline = small(type_)
    write_rml(beamline, tmp_path / "x.rml")
    assert read_rml(tmp_path / "x.rml").elements == beamline.elements


# --- sources ---------------------------------------------------------------------------------


def at_source(type_, rays=1 << 14, **changes):
    """x, y, angles phi (right) and psi (down) and energies of a source, at its own plane."""
    result = trace(emitting(type_, **changes), rays)
    x, y, _, dx, dy, dz, energy = result.values
    return x, y, np.arctan2(dx, dz), -np.arcsin(dy), energy


def matrix_source():
    x, y, phi, psi, _ = at_source("Matrix Source", 16)
    assert np.unique(np.round(x, 12)).tolist() == pytest.approx([-0.5, -1 / 6, 1 / 6, 0.5])
    np.testing.assert_allclose(phi, x * 1e-3, atol=1e-15)
    np.testing.assert_allclose(psi, y * 2e-3, atol=1e-15)
    # 20 rays are 4 x 4 and the first four again, as RAY-UI has them.
    assert np.array_equal(at_source("Matrix Source", 20)[0][16:], x[:4])


def point_source():
    x, y, phi, psi, _ = at_source("Point Source")
    for values, sigma in ((x, 0.1), (y, 0.05), (phi, 1e-3), (psi, 1e-3)):
        assert values.std() == pytest.approx(sigma, rel=0.02)
    x = at_source("Point Source", sourceWidthDistribution=0)[0]
    assert np.abs(x).max() <= 0.05 and x.std() == pytest.approx(0.1 / np.sqrt(12), rel=0.02)


def pixel_source():
    x, y, phi, _, _ = at_source("Pixel Source")
    assert np.abs(x).min() >= 0.5 and np.abs(x).max() <= 1.5 and np.abs(y).min() >= 0.25
    assert phi.std() == pytest.approx(1e-3 / np.sqrt(12), rel=0.02)


def circle_source():
    result = trace(emitting("Circle Source"), 3000)
    opening = np.arccos(np.clip(result.values[5], -1, 1))
    assert np.unique(np.round(opening * 1e3, 4)).tolist() == pytest.approx([0.2, 0.6, 1.0])


def dipole():
    """FWHM of the vertical angles at 200, 1500 and 7200 eV as RAY-UI's manual gives them, deg."""
    x, _, phi, _, _ = at_source("Dipole")
    assert x.std() == pytest.approx(0.05, rel=0.1)
    assert phi.std() == pytest.approx(2e-3 / np.sqrt(12), rel=0.02)
    for energy, width in ((200, 0.0822), (7200, 0.0145)):
        psi = at_source("Dipole", 1 << 17, photonEnergy=energy, verEbeamDiv=0)[3]
        counts, edges = np.histogram(np.rad2deg(psi), 100)
        above = np.flatnonzero(counts >= counts.max() / 2)
        assert edges[above[-1] + 1] - edges[above[0]] == pytest.approx(width, rel=0.06)
    light = trace(emitting("Dipole"), 4096).stokes
    assert np.allclose(light[1] ** 2 + light[3] ** 2, 1) and 0.5 < light[1].mean() < 0.8


def simple_undulator():
    x, y, phi, psi, _ = at_source("Simple Undulator")
    for values, sigma in ((x, 0.2690), (y, 0.0503), (phi, 50.6e-6), (psi, 41.8e-6)):
        assert values.std() == pytest.approx(sigma, rel=0.02)


def undulator_file(tmp_path):
    """A uniform 2 mm x 1 mm patch, 10 m away."""
    grid = [f"{x} {y} {int(abs(x) <= 1 and abs(y) <= 0.5)} 1 0 0" for x in (-2, -1, 0, 1, 2)
            for y in (-1, -0.5, 0, 0.5, 1)]  # fmt: skip
    (tmp_path / "wave.dat").write_text("\n".join(["5 5 1 600 WAVE", *grid]))
    path = str(tmp_path / "wave.dat")
    x, _, phi, psi, _ = at_source("Undulator File", undulatorFile=path)
    assert x.std() == pytest.approx(0.1, rel=0.02)
    assert np.abs(phi).max() == pytest.approx(1.5e-4, rel=0.01)
    assert np.abs(psi).max() == pytest.approx(0.75e-4, rel=0.01)
    with pytest.raises(InputError, match=r"bad\.dat: not a WAVE file"):
        (tmp_path / "bad.dat").write_text("1\nx y z")
        at_source("Undulator File", undulatorFile=str(tmp_path / "bad.dat"))
    # Without its file: an error that names it, or the central cone for who allows warnings.
    lost = {"undulatorFile": "lost.dat", "undulatorPeriodLength": 5, "undulatorPeriodNumber": 40}
    with pytest.raises(InputError, match=r"undulatorFile': the file 'lost\.dat' is not there"):
        at_source("Undulator File", **lost)
    lenient = replace(emitting("Undulator File", **lost), lenient=True)
    with pytest.warns(UserWarning, match="'lost.dat' is not there; its radiation is replaced"):
        angles = file_angles(lenient, np.random.default_rng(0).random((10_000, 2)))
    cone = np.sqrt(HC / 600.0 * 1e-9 / (2 * 2.0))  # sqrt(lambda / 2 L), L = 5 cm x 40
    assert angles.std() == pytest.approx(cone, rel=0.02)


EMITTED = {
    "Matrix Source": matrix_source,
    "Point Source": point_source,
    "Pixel Source": pixel_source,
    "Circle Source": circle_source,
    "Dipole": dipole,
    "Dipole Source": dipole,
    "Simple Undulator": simple_undulator,
    "Undulator File": undulator_file,
}


@pytest.mark.parametrize("type_", EMITTED)
def test_source(type_, tmp_path):
    EMITTED[type_](*([tmp_path] if type_ == "Undulator File" else []))


BANDS = {  # parameters of the energy, mean and rms that they give
    "white band": ({"energySpread": 1.2, "energySpreadType": 0}, 100, 1.2 / np.sqrt(12)),
    "percent": ({"energySpread": 2, "energySpreadUnit": 1}, 100, 2 / np.sqrt(12)),
    "soft edge": ({"energySpread": 0.5, "energySpreadType": 1}, 100, 0.5),
    "separate": ({"energySpread": 2, "energySpreadType": 2, "SeparateEnergies": 2}, 100, 1.0),
    "none": ({}, 100, 0.0),
}


@pytest.mark.parametrize("case", BANDS)
def test_energies(case):
    changes, mean, rms = BANDS[case]
    energy = at_source("Point Source", **changes)[4]
    assert energy.mean() == pytest.approx(mean, abs=2e-3)
    assert energy.std() == pytest.approx(rms, rel=0.01, abs=1e-12)


def test_energies_from_a_file(tmp_path):
    path = tmp_path / "lines.DAT"
    path.write_text("title\n3 100 120 10\n100 1\n110 0\n120 3\n")
    changes = {"energyDistributionType": 0, "photonEnergyDistributionFile": str(path)}
    energy = at_source("Point Source", energySpreadType=2, **changes)[4]
    values, counts = np.unique(energy, return_counts=True)
    assert values.tolist() == [100, 120] and counts[1] / counts.sum() == pytest.approx(
        0.75, abs=0.01
    )
    energy = at_source("Point Source", energySpreadType=0, **changes)[4]
    assert energy.min() >= 95 and energy.max() <= 125 and len(np.unique(energy)) > 1000
    for text, message in (("t\n1\n100", "not an energy"), ("t\n1\n5 1\n4 1", "must rise")):
        bad = tmp_path / f"{len(text)}.DAT"
        bad.write_text(text)
        with pytest.raises(InputError, match=message):
            at_source("Point Source", **{**changes, "photonEnergyDistributionFile": str(bad)})
    with pytest.raises(InputError, match="the file is not there"):
        at_source("Point Source", energyDistributionType=0)
    path.write_text("title\n1 50 50 10\n50 1\n")  # another one of the same name
    assert set(at_source("Point Source", energySpreadType=2, **changes)[4]) == {50.0}


BAD = {
    "radius": ("Sphere", {"exitArmLength": -P}, "'radius': a radius is finite"),
    "arm": ("Sphere", {"exitArmLength": 0}, "'exitArmLength': an arm length is not zero"),
    "angle": ("Toroid", {"grazingIncAngle": -1}, "'grazingIncAngle': a grazing angle"),
    "ellipse": ("Ellipsoid", {"shortHalfAxisB": 1e5}, "'shortHalfAxisB': 0 < shortHalfAxisB"),
    "material": ("Foil", {"materialSubstrate": "Unobtainium"}, "'Unobtainium' has no optical"),
    "no material": ("Plane Mirror", {"reflectivityType": 1}, "no material is given"),
    "evanescent": ("Plane Grating", {"lineDensity": 1e6}, "no diffracted beam"),
    "lines": ("Plane Grating", {"lineDensity": 0}, "'lineDensity': it must be positive"),
    "nothing": ("Experts Optics", {k: 0 for k in ("A11", "A22", "A33", "A24")}, "no surface"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_are_named(case):
    type_, changes, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        compile_beamline(small(type_, **changes))
    assert type_ in str(error.value) or "<memory>" in str(error.value)


def test_s_and_p_of_a_mirror_change_places_with_its_azimuth():
    coated = {"reflectivityType": 1, "elementSubstrate": "Au", "grazingIncAngle": 20.0}
    upwards, sideways, vertical = (
        trace(small("Plane Mirror", source={**POINT, "horDiv": 0, "verDiv": 0, **light},
                    azimuthalAngle=chi, **coated), 10).transmission
        for chi, light in ((0, {}), (90, {}), (0, {"linearPol_0": -1}))
    )  # fmt: skip
    assert sideways == pytest.approx(vertical, rel=1e-12) and upwards > sideways > 0


def test_arms_are_what_a_radius_is_derived_from():
    assert ARMS["entranceArmLength"] == P
    compiled = compile_beamline(small("Sphere"), ["O.exitArmLength"], [[Q], [2 * Q]])
    first, second = compiled.derived["O"]["radius"]
    assert first == pytest.approx(RADIUS, rel=1e-12) and second > first


@pytest.mark.parametrize(("shape", "share"), [(0, 0.9028), (1, 0.8378)])
def test_slit_diffraction(shape, share):
    """Of a slit's light 90.3 %, of a pinhole's 83.8 %, lies inside the first dark fringe."""
    width, wavelength = 0.01, HC * 1e-6 / 100  # mm
    still = {**POINT, "horDiv": 0.0, "verDiv": 0.0}
    slit = small(
        "Slit", source=still, openingShape=shape, openingWidth=width, openingHeight=2 * width
    )
    rays = trace(slit, 1 << 15, slit_diffraction=True)
    x = np.sin(np.arctan2(rays.values[3], rays.values[5])) * width / wavelength
    y = rays.values[4] * 2 * width / wavelength
    inside = np.abs(x) < 1 if shape == 0 else np.hypot(x, y) < 1.2197
    cut_off = {0: 0.9798, 1: 0.9607}[shape]  # what lies within five times lambda / width
    assert inside.mean() == pytest.approx(share / cut_off, abs=0.004)
    assert max(np.abs(x).max(), np.abs(y).max()) <= 5 + 1e-9
    assert np.abs(trace(slit, 100).values[3:5]).max() == 0  # off unless asked for
