"""Is the resolving power that of the monochromator, whatever band the source has?"""

import numpy as np
import pytest
from beamlines import ARMS, GRATING, PARALLEL, POINT, Q, element, small

from raybayes.beamline.beam import answer, summary
from raybayes.beamline.derive import with_values
from raybayes.beamline.model import Beamline
from raybayes.beamline.probe import Probe
from raybayes.beamline.resolution import resolution
from raybayes.beamline.rml import read_rml
from raybayes.beamline.trace import trace
from raybayes.beamline.values import HC

ENERGY, SLIT, LINES = 100.0, 0.05, 400.0  # eV, mm, 1/mm
RAYS = 1 << 14


def grating_monochromator(slit=SLIT, **source):
    """One ray, a grating, an exit slit: nothing but the slit limits the band."""
    thin = {**POINT, "horDiv": 0.0, "verDiv": 0.0}
    parts = (
        element("S", "Point Source", {**thin, "photonEnergy": ENERGY, **source}),
        element("G", "Spherical Grating", {**GRATING, **ARMS}),
        element("E", "Slit", {
            "openingShape": 0, "openingWidth": 50.0, "openingHeight": slit, "totalWidth": 100.0,
            "totalHeight": 100.0, "centralBeamstop": 0, "distancePreceding": Q,
        }),
        element("I", "ImagePlane", {"distanceImagePlane": Q}),
    )  # fmt: skip
    return Beamline("1.15", parts)


def slit_limit():
    """s cos b E^2 / (q m N hc), with b of sin a + sin b = m N lambda at 170 deg deviation."""
    half = np.deg2rad(170) / 2
    beta = np.arcsin(HC * 1e-6 * LINES / ENERGY / (2 * np.cos(half))) - half
    return SLIT * np.cos(beta) * ENERGY**2 / (Q * LINES * HC * 1e-6)


@pytest.mark.parametrize("band", [0.0, 0.01, 1.0, 20.0])
def test_slit_limited_grating(band):
    found = resolution(Probe.of(grating_monochromator(energySpread=band), RAYS))
    assert found.bandwidth == pytest.approx(slit_limit(), rel=0.02)
    assert found.resolving_power == pytest.approx(ENERGY / slit_limit(), rel=0.02)


@pytest.mark.parametrize("kind", [1, 2])
def test_whatever_the_energies_are_distributed_as(kind):
    normal_or_lines = grating_monochromator(energySpread=0.02, energySpreadType=kind)
    found = resolution(Probe.of(normal_or_lines, RAYS))
    assert found.bandwidth == pytest.approx(slit_limit(), rel=0.02)


def test_the_source_s_band_is_said():
    """Half a resolution wide, all of it passes: its width is not the monochromator's."""
    a = answer(Probe.of(grating_monochromator(energySpread=slit_limit() / 2), RAYS))
    assert a.beam.bandwidth == pytest.approx(slit_limit() / 2, rel=0.03)
    assert "the source's band limits what is traced" in summary(a)["resolution"]
    wide = answer(Probe.of(grating_monochromator(energySpread=5 * slit_limit()), RAYS))
    assert "limits" not in summary(wide)["resolution"]


def test_ue112_from_any_band(ue112):
    """Counted from a band 7 times the file's, and from the file's with a tenth of it."""
    energy = trace(with_values(ue112, {"UE112.energySpread": 1.0}), 1 << 20).energy
    counts, edges = np.histogram(energy, np.linspace(99.95, 100.05, 201))
    high = edges[:-1][counts > np.sort(counts)[-40:].mean() / 2]
    counted = 100 / (high[-1] - high[0] + 5e-4)
    for band in (0.0134, 0.134):
        found = resolution(Probe.of(with_values(ue112, {"UE112.energySpread": band}), RAYS))
        assert found.resolving_power == pytest.approx(counted, rel=0.05)


@pytest.mark.filterwarnings("ignore:.*is not there")
def test_ue48_is_not_its_band(shared):
    """7513 is the band of 0.08 eV in its file; from 0.5 eV, counted, it is 3098."""
    beamline = read_rml(shared / "rayui" / "UE48-PGM-CAT.rml", "warn")
    assert resolution(Probe.of(beamline, RAYS)).resolving_power == pytest.approx(3098, rel=0.02)


def test_darwin_width_of_a_crystal():
    """4 r_e d^2 |F| / (pi V): silicon 111, whatever the energy; its curve at half maximum is
    some 1.06 times as wide."""
    parallel = {**PARALLEL, "photonEnergy": 8048.0, "sourceWidth": 0.1, "sourceHeight": 0.1}
    found = resolution(Probe.of(small("Crystal", source=parallel), RAYS))
    darwin = 4 * 2.8179e-6 * 0.31356**2 * 60.8 / (np.pi * 0.160193)
    assert 1 / found.resolving_power == pytest.approx(1.06 * darwin, rel=0.05)


@pytest.mark.parametrize("kind", ["Plane Mirror", "Plane Grating"])
def test_nothing_selects(kind):
    """A mirror, and a grating without a slit behind it."""
    narrow = {**POINT, "verDiv": 0.01, "energySpread": 1.0}
    a = answer(Probe.of(small(kind, source=narrow), RAYS))
    assert np.isnan(a.monochromator.resolving_power)
    assert "nothing here selects" in summary(a)["resolution"]
