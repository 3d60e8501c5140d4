"""Do rays hit the surface where it is, and leave it as a mirror or a slit lets them?"""

import numpy as np
import pytest
from beamlines import (
    ELEMENTS,
    POINT,
    small,
)

from raybayes.beamline.derive import with_values
from raybayes.beamline.geometry import HC, compile_beamline
from raybayes.beamline.source import STANDARD, emit
from raybayes.beamline.trace import trace
from raybayes.optics import through
from raybayes.optics.rows import KIND, PLANE, QUADRIC, RAY, SURFACE, TOROID

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


def test_s_and_p_of_a_mirror_change_places_with_its_azimuth():
    coated = {"reflectivityType": 1, "elementSubstrate": "Au", "grazingIncAngle": 20.0}
    upwards, sideways, vertical = (
        trace(small("Plane Mirror", source={**POINT, "horDiv": 0, "verDiv": 0, **light},
                    azimuthalAngle=chi, **coated), 10).transmission
        for chi, light in ((0, {}), (90, {}), (0, {"linearPol_0": -1}))
    )  # fmt: skip
    assert sideways == pytest.approx(vertical, rel=1e-12) and upwards > sideways > 0


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
