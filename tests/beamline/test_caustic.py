"""Are widths along the beam, and its waists, those of closed forms and of RAY-UI?"""

import csv

import numpy as np
import pytest
from beamlines import NARROW, PARALLEL, SOURCES, P, Q, small

from raybayes.beamline.caustic import caustic, caustic_csv, caustic_lines
from raybayes.beamline.derive import with_values
from raybayes.beamline.plots import caustic_picture
from raybayes.beamline.probe import Probe
from raybayes.beamline.rml import read_rml
from raybayes.errors import InputError

RAYS = 1 << 14


def around(beamline, reach, plane=None, **more):
    probe = Probe.of(beamline, RAYS, plane, **more)
    return caustic(probe, probe.rays(), reach)


def test_a_normal_beam_in_a_drift():
    """rms^2 = s^2 + s'^2 L^2, and as wide at half maximum as a normal distribution is."""
    source = {**SOURCES["Point Source"], "horDiv": 0.02, "verDiv": 0.01}
    wide = {"openingWidth": 100.0, "openingHeight": 100.0, "totalWidth": 1000, "totalHeight": 1000}
    found = around(small("Slit", image=Q, source=source, **wide), 500.0, "I")
    for k, (size, angle) in enumerate(((0.1, 0.02e-3), (0.05, 0.01e-3))):
        closed = np.hypot(size, angle * (P + Q + found.z))
        np.testing.assert_allclose(found.rms[k], closed, rtol=0.01)
        np.testing.assert_allclose(found.fwhm[k], 2.3548 * closed, rtol=0.04)
        assert found.waists[k].place == -500 and not found.waists[k].inside
    assert "beyond" in caustic_lines(found)["waist hor."]


@pytest.mark.parametrize("behind", [50.0, -30.0])
def test_the_waist_of_a_point_image(behind):
    """An ellipsoid images a point to a point; the plane stands beside it."""
    found = around(small("Ellipsoid", image=Q + behind, source=NARROW), 100.0)
    for waist in found.waists:
        assert waist.inside and waist.place == pytest.approx(-behind, abs=1e-3)
        assert waist.rms < 1e-6 and waist.fwhm_place == pytest.approx(-behind, abs=0.1)


def test_the_waist_of_a_gaussian_beam():
    """A thin lens, f: a source of Rayleigh length L = s / s' at P has its waist, by ABCD,
    behind the lens at f + f^2 (P - f) / ((P - f)^2 + L^2)."""
    source = {**SOURCES["Point Source"], "horDiv": 0.01, "verDiv": 0.01}
    source |= {"sourceWidth": 0.02, "sourceHeight": 0.02}
    focal, rayleigh = P * Q / (P + Q), 0.02 / 0.01e-3
    closed = focal + focal**2 * (P - focal) / ((P - focal) ** 2 + rayleigh**2)
    found = around(small("Toroid", image=Q, source=source), 200.0)
    for waist in found.waists:
        assert waist.place == pytest.approx(closed - Q, abs=0.05 * abs(closed - Q))


def test_it_ends_at_the_neighbours(ue112):
    """UE112's exit slit: M3 is 10 m before it, M4 6 m behind."""
    found = around(ue112, 20_000.0, "ES")
    assert (found.z[0], found.z[-1]) == pytest.approx((-10_000, 6_000))
    assert "M3" in found.limits[0] and "M4" in found.limits[1]
    diffracted = around(ue112, 100.0, "ES", slit_diffraction=True)
    assert diffracted.z[0] == 0 and "diffracts" in diffracted.limits[0]
    free = around(ue112, 1000.0)
    assert not free.limits and 0.0 in free.z


def test_weights_count():
    """Half of the light in a narrow beam: as rms of the weighted variances says."""
    probe = Probe.of(small("Slit", image=Q, source=PARALLEL, openingWidth=50.0), RAYS)
    rays = probe.rays()
    rays.stokes[0] = np.where(np.abs(rays.values[0]) < 1, 1.0, 0.0)
    found = caustic(probe, rays, 100.0)
    np.testing.assert_allclose(found.rms[0], 2 / np.sqrt(12), rtol=0.01)


MISTAKES = [
    ("G", 10.0, "is an optical surface"),
    (None, -1.0, "above 0"),
    (None, float("nan"), "above 0"),
]


@pytest.mark.parametrize(("plane", "reach", "message"), MISTAKES)
def test_mistakes(plane, reach, message, ue112):
    with pytest.raises(InputError, match=message):
        around(ue112, reach, plane)


def test_no_rays_have_no_caustic():
    with pytest.raises(InputError, match="0 rays arrive"):
        around(small("Slit", source=PARALLEL, openingWidth=0.0), 10.0)


@pytest.mark.filterwarnings("ignore:.*its stored world coordinates are not")
def test_rayui_s_foci(shared):
    """raypyng's table of a dipole beamline with a KB pair: RAY-UI's rms waists, from 3000 rays."""
    folder = shared / "rayui" / "raypyng_resolving_power"
    with (folder / "DetectorAtFocus_ScalarBeamProperties.csv").open() as file:
        theirs = next(csv.DictReader(file))
    names = ("Dipole.photonEnergy", "ExitSlit.totalHeight", "PG.cFactor")
    beamline = read_rml(shared / "rayui" / "dipole_beamline.rml")
    beamline = with_values(beamline, {name: float(theirs[name]) for name in names})
    probe = Probe.of(beamline, 1 << 18)
    found = caustic(probe, probe.rays(), 100.0)
    for waist, axis in zip(found.waists, ("horizontal", "vertical"), strict=True):
        place, width, depth = (
            float(theirs[f"DetectorAtFocus_focus_{axis}_{id_}"]) for id_ in ("z0", "width", "depth")
        )
        assert waist.place == pytest.approx(place, abs=0.05 * depth)
        assert waist.rms == pytest.approx(width, rel=0.05)


def test_table_and_picture():
    found = around(small("Ellipsoid", image=Q, source=NARROW), 10.0)
    lines = caustic_csv(found).splitlines()
    assert lines[0] == "z_mm,rms_x_mm,rms_y_mm,fwhm_x_mm,fwhm_y_mm"
    assert len(lines) == 1 + len(found.z) and float(lines[1].split(",")[0]) == -10
    first = caustic_picture(found).axes[0]
    np.testing.assert_allclose(first.lines[0].get_ydata(), 1e3 * found.fwhm[0])
