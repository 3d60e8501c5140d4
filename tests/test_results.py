"""What is read off a traced beam, its derivatives and its pictures."""

import numpy as np
import pytest
from beamlines import POINT, P, small

from raybayes.beamline.beam import beam, fwhm, rms, summary
from raybayes.beamline.pictures import layout_picture, save, spot_diagram
from raybayes.beamline.table import COLUMNS, ray_table
from raybayes.beamline.trace import trace
from raybayes.simulate.derivatives import (
    MOMENTS,
    information,
    jacobian,
    moments_jacobian,
    profile_jacobian,
)
from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.study.study import read_study

STUDY, BEAMLINE = read_study("ue112")
PRIOR = STUDY.prior
WIDTH = np.array(PRIOR.high) - PRIOR.low
TILTED = (np.array(PRIOR.low) + PRIOR.high) / 2 + 0.1 * WIDTH


def simulator(rays=1024):
    support = (PRIOR.low, PRIOR.high)
    return Simulator(BEAMLINE, PRIOR.names, support, STUDY.detector, Tracing(rays=rays), 1)


def test_widths_of_known_laws():
    rng = np.random.default_rng(0)
    normal, flat = rng.standard_normal(1 << 17), rng.uniform(-1, 1, 1 << 17)
    ones = np.ones(1 << 17)
    assert fwhm(normal, ones) == pytest.approx(2 * np.sqrt(2 * np.log(2)), rel=0.02)
    assert fwhm(flat, ones) == pytest.approx(2, rel=0.03)
    assert rms(flat, ones) == pytest.approx(2 / np.sqrt(12), rel=0.01)
    # Weights are rays: a weight of two at one place is two rays there.
    assert rms(np.array([0.0, 3.0]), np.array([2.0, 1.0])) == pytest.approx(np.std([0, 0, 3]))
    assert fwhm(np.full(9, 5.0), np.ones(9)) == 0


def test_beam_of_ue112(ue112):
    """Spot, bandwidth and resolving power of the reference: 154 x 20.0 um FWHM, R 4484."""
    result = beam(trace(ue112, 1 << 17), flux=1e12)
    assert result.fwhm[1] * 1e3 == pytest.approx(20.0, rel=0.05)
    assert result.rms[0] * 1e3 == pytest.approx(68.4, rel=0.01)
    assert result.resolving_power == pytest.approx(4484, rel=0.06)
    assert result.flux == pytest.approx(1e12 * result.transmission)
    assert "M1" not in summary(trace(ue112, 1000, plane="M1")).get("lost at", "")


def test_no_beam_has_no_width():
    blocked = small("Slit", source=POINT, openingWidth=0.0)
    result = beam(trace(blocked, 100))
    assert result.transmission == 0 and np.isnan(result.rms[0])
    assert summary(trace(blocked, 100))["lost at"] == "O 100"


def test_footprint_and_table_have_ray_uis_columns(ue112):
    footprint = ray_table(trace(ue112, 2000, plane="M2"))
    assert tuple(footprint) == COLUMNS
    assert 20 < np.abs(footprint["OZ"]).max() < 60  # the reference has 33 mm at 131072 rays


def test_jacobian_of_a_known_function():
    """sin has a curvature that a large step feels, and a noise that a small step feels."""

    def function(t):
        return np.stack((np.sin(t[:, 0]), t[:, 0] * t[:, 1]), axis=1)

    found = jacobian(function, [0.3, 2.0], [10.0, 10.0])
    np.testing.assert_allclose(found, [[np.cos(0.3), 0], [2.0, 0.3]], rtol=0, atol=1e-4)


def test_moments_follow_a_mirrors_pitch():
    """A pitch moves the spot by twice the angle times the way to the image."""
    beamline = small("Plane Mirror", source_type="Simple Undulator", image=P)
    names = ("O.rotationXerror", "O.translationYerror")
    tool = Simulator(beamline, names, ((-0.1, -1), (0.1, 1)), STUDY.detector)
    found = dict(zip(MOMENTS, moments_jacobian(tool, [0.0, 0.0], 1024), strict=True))
    assert abs(found["y"][0]) == pytest.approx(2 * P * 1e-3, rel=1e-4)
    assert abs(found["y"][1]) == pytest.approx(2 * np.cos(np.deg2rad(2)), rel=1e-4)
    assert np.abs(found["x"]).max() < 1e-6


@pytest.mark.slow
def test_information_of_ue112():
    """One profile: yaw, roll and focus of M4 are known well; M1 and M3 only as a sum."""
    found = information(JointSimulator.alone(simulator()), TILTED)
    sd = dict(zip(found.names, found.sd, strict=True))
    assert sd["M4.rotationZerror"] < 0.1 and sd["M4.rotationYerror"] < 0.1
    assert sd["M3.rotationXerror"] > 0.5 and sd["M1.rotationXerror"] > 0.3
    assert 4 <= found.identifiable <= 5 and (np.diff(found.gains) <= 0).all()
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(6), atol=1e-9)
    slopes = profile_jacobian(simulator(), TILTED)
    assert slopes.shape == (200, 6) and np.isfinite(slopes).all()


def test_pictures_are_written_whole(tmp_path, ue112):
    rays = trace(ue112, 3000)
    save(spot_diagram(rays), tmp_path / "spot.png")
    save(layout_picture(ue112), tmp_path / "layout.png")
    save(spot_diagram(trace(small("Slit", source=POINT, openingWidth=0.0), 9)), tmp_path / "no.png")
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 3
