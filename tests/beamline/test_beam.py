"""Are widths, tables and pictures of a traced beam those that are known?"""

import numpy as np
import pytest
from beamlines import POINT, small

from raybayes.beamline.beam import beam, fwhm, rms, summary
from raybayes.beamline.pictures import layout_picture, save, spot_diagram
from raybayes.beamline.table import COLUMNS, ray_table
from raybayes.beamline.trace import trace


def test_widths_of_known_distributions():
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


def test_pictures_are_written_whole(tmp_path, ue112):
    rays = trace(ue112, 3000)
    save(spot_diagram(rays), tmp_path / "spot.png")
    save(layout_picture(ue112), tmp_path / "layout.png")
    save(spot_diagram(trace(small("Slit", source=POINT, openingWidth=0.0), 9)), tmp_path / "no.png")
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 3
