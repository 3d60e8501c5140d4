"""Measured surface profiles: the same rays as from the figure that the heights make."""

from dataclasses import replace

import numpy as np
import pytest
from beamlines import NARROW, SOURCES, small
from scipy.interpolate import RectBivariateSpline

from raybayes.beamline.geometry import compile_beamline
from raybayes.beamline.heights import height_table
from raybayes.beamline.trace import trace
from raybayes.errors import InputError
from raybayes.optics.profile import height_at
from raybayes.simulate.detector import Detector
from raybayes.simulate.simulator import Simulator, Tracing

ALONG, ACROSS = np.linspace(-400, 400, 401), np.linspace(-20, 20, 41)  # mm
LONG, SHORT = 50_000.0, 3000.0  # radii, mm
NEARLY = 1.001 * LONG


def sag(place, radius):
    return place**2 / (radius + np.sqrt(radius**2 - place**2))


def profiled(folder, type_, rows, source=NARROW, **changes):
    """A small beamline whose element has this measured profile."""
    np.savetxt(folder / "measured.dat", rows, fmt="%.17g")
    changes |= {"slopeError": 0, "profileKind": 0, "profileFile": "measured.dat"}
    beamline = small(type_, source=source, **changes)
    return replace(beamline, path=str(folder / "line.rml"))


def grid(function):
    x, z = np.meshgrid(ACROSS, ALONG)
    return np.stack([a.ravel() for a in (x, z, function(x, z))], axis=1)


def torus(x, z):
    s = sag(x, SHORT)
    return s + z**2 / (LONG - s + np.sqrt((LONG - s) ** 2 - z**2))


CASES = {  # element with a profile: heights, and the element whose figure they make
    "a curve on a plane": (
        "Plane Mirror", {}, np.stack([ALONG, sag(ALONG, LONG)], axis=1),
        "Cylinder", {"bendingRadius": 0, "radius": LONG},
    ),
    "a grid on a plane": (
        "Plane Mirror", {}, grid(torus),
        "Toroid", {"longRadius": LONG, "shortRadius": SHORT},
    ),
    "a curve on a cylinder": (
        "Cylinder", {"bendingRadius": 0, "radius": NEARLY},
        np.stack([ALONG, sag(ALONG, LONG) - sag(ALONG, NEARLY)], axis=1),
        "Cylinder", {"bendingRadius": 0, "radius": LONG},
    ),
    "a tilt of a grating": (
        "Plane Grating", {}, np.stack([ALONG, np.tan(2e-5) * ALONG], axis=1),
        "Plane Grating", {"alignmentError": 0, "rotationXerror": -0.02},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_heights_make_the_figure(case, tmp_path):
    type_, changes, rows, other, figure = CASES[case]
    measured = trace(profiled(tmp_path, type_, rows, **changes), 1000)
    ideal = trace(small(other, source=NARROW, **figure), 1000)
    assert measured.arrived.all() and ideal.arrived.all()
    np.testing.assert_allclose(measured.values[:3], ideal.values[:3], rtol=0, atol=2e-7)
    np.testing.assert_allclose(measured.values[3:6], ideal.values[3:6], rtol=0, atol=1e-9)
    np.testing.assert_allclose(measured.path, ideal.path, rtol=0, atol=1e-9)


def test_interpolation_is_the_spline_and_flat_beyond(tmp_path):
    heights = np.random.default_rng(2).normal(size=(len(ACROSS), len(ALONG))) * 1e-5
    x, z = np.meshgrid(ACROSS, ALONG, indexing="ij")
    order = np.random.default_rng(3).permutation(x.size)  # rows may stand in any order
    rows = np.stack([a.ravel()[order] for a in (x, z, heights)], axis=1)
    np.savetxt(tmp_path / "measured.dat", rows, delimiter=", ", header="x z height")
    table = height_table(tmp_path / "measured.dat", 0)
    spline = RectBivariateSpline(ACROSS, ALONG, heights)
    for px, pz in np.random.default_rng(4).uniform((-20, -400), (20, 400), (50, 2)):
        known = [spline.ev(px, pz), spline.ev(px, pz, dx=1), spline.ev(px, pz, dy=1)]
        np.testing.assert_allclose(height_at(0, table, px, pz), known, rtol=0, atol=1e-14)
    beyond = height_at(0, table, 25.0, 500.0)
    assert beyond == pytest.approx((heights[-1, -1], 0, 0), abs=1e-18)


def test_uneven_places_are_brought_onto_even_ones(tmp_path):
    places = np.sort(np.random.default_rng(5).choice(4001, 300, replace=False) * 0.2 - 400)
    np.savetxt(tmp_path / "measured.dat", np.stack([places, 1e-6 * np.sin(places / 40)], axis=1))
    table = height_table(tmp_path / "measured.dat", 0)
    for z in np.linspace(places[5], places[-5], 40):
        known = (1e-6 * np.sin(z / 40), 0, 1e-6 / 40 * np.cos(z / 40))
        np.testing.assert_allclose(height_at(0, table, 0.0, z), known, rtol=0, atol=2e-10)


def test_expected_profile_is_that_of_counted_rays(tmp_path):
    """A ripple of 60 mm that splits the beam."""
    ripple = np.stack([ALONG, 6e-5 * np.cos(ALONG / 10)], axis=1)
    detector = Detector(bins=(50, 50), bin_width=(0.004, 0.01), psf=(0.004, 0.004))
    support = (np.array([-0.01]), np.array([0.01]))
    expectation, counting = Tracing(rays=1 << 14), Tracing(mode="counting", rays=2_000_000)

    def profile(beamline, tracing):
        names = ("O.rotationXerror",)
        return Simulator(beamline, names, support, detector, tracing, 1).profiles([[0.002]])[0][0]

    source = SOURCES["Point Source"] | {"horDiv": 0.1, "verDiv": 0.1}
    rippled = profiled(tmp_path, "Toroid", ripple, source)
    expected, counted = profile(rippled, expectation), profile(rippled, counting)
    perfect = profile(small("Toroid", source=source), expectation)
    assert np.abs(perfect - counted).max() > 0.2 * counted.max()
    np.testing.assert_allclose(expected, counted, atol=0.02 * counted.max())


WRONG = {
    "nothing": ("", "this one is empty"),
    "no numbers": ("z height\n1 a\n", "rows of z and height"),
    "one column": ("1\n2\n3\n4\n", "rows of z and height"),
    "a hole": ("0 0 1\n0 1 1\n0 2 1\n0 3 1\n1 0 1\n", "5 rows for 2 places in x and 4 in z"),
    "twice": ("0 1\n1 1\n2 1\n2 1\n3 1\n", "5 rows for 1 places in x and 4 in z"),
    "a NaN": ("0 1\n1 nan\n2 1\n3 1\n", "a NaN"),
    "metres": ("0 0\n1e-3 1e-4\n2e-3 -1e-4\n3e-3 0\n", "give places and heights in mm"),
    "too close": ("0 0\n1e-9 0\n1 0\n2 0\n", "too many"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_refused_in_a_sentence(case, tmp_path):
    text, words = WRONG[case]
    (tmp_path / "measured.dat").write_text(text)
    with pytest.raises(InputError, match=words) as error:
        height_table(tmp_path / "measured.dat", 0)
    assert str(tmp_path / "measured.dat") in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    beamline = profiled(tmp_path, "Sphere", np.zeros((4, 2)) + np.arange(4)[:, None])
    (tmp_path / "measured.dat").unlink()
    with pytest.raises(InputError, match="'profileFile': the measured profile is not there"):
        compile_beamline(beamline)
    with pytest.warns(UserWarning, match="it is left out"):
        without = trace(replace(beamline, lenient=True), 100)
    assert (without.values == trace(small("Sphere", source=NARROW), 100).values).all()


def test_a_paraboloid_has_none(tmp_path):
    flat = np.stack([ALONG, 0 * ALONG], axis=1)
    with pytest.raises(InputError, match="not modelled on a paraboloid"):
        compile_beamline(profiled(tmp_path, "Paraboloid", flat))
