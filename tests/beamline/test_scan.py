"""Is a scan a row of traces, with one compilation, and are its mistakes said?"""

import csv

import numpy as np
import pytest
from beamlines import PARALLEL, emitting, small

from raybayes.beamline import scan as scanning
from raybayes.beamline.beam import answer
from raybayes.beamline.derive import with_values
from raybayes.beamline.model import Beamline
from raybayes.beamline.plots import scan_picture
from raybayes.beamline.probe import Probe
from raybayes.beamline.rml import read_rml
from raybayes.beamline.scan import Range, scan
from raybayes.errors import InputError

RAYS = 1 << 13


def scanned(beamline, text, plane=None, rays=RAYS):
    return scan(Probe.of(beamline, rays, plane), Range.of(text))


def test_m4_pitch_moves_the_beam(ue112):
    """2 q4 d: 2.4 um for each urad; what stands before it does not change."""
    found = scanned(ue112, "M4.rotationXerror=-0.1..0.1:5").columns
    pitch = found["M4.rotationXerror_mrad"]
    np.testing.assert_allclose(pitch, np.linspace(-0.1, 0.1, 5))
    slope = np.polyfit(pitch, found["centroid_x_mm"], 1)[0]
    assert abs(slope) == pytest.approx(2.4, rel=1e-3)
    assert np.ptp(found["resolving_power"]) == 0 and np.ptp(found["transmission"]) < 1e-3


def test_one_compilation_serves_all(ue112, monkeypatch):
    shapes = []

    def counted(*arguments, **more):
        shapes.append(np.shape(arguments[2]))
        return compiled(*arguments, **more)

    compiled = scanning.compiled_for_rays
    monkeypatch.setattr(scanning, "compiled_for_rays", counted)
    scanned(ue112, "M4.rotationXerror=-0.1..0.1:7", rays=200)
    assert shapes == [(7, 1)]


ROWS = ["UE112.photonEnergy=80..120:2", "G.cFactor=2..3:2", "ES.openingHeight=0.05..0.1:2"]


@pytest.mark.parametrize("text", ROWS)
def test_a_row_is_a_trace_of_that_beamline(text, ue112):
    """Gratings and mirrors follow the energy, as they do where the file has the value."""
    span, found = Range.of(text), scanned(ue112, text).columns
    for i, value in enumerate(span.values):
        a = answer(Probe.of(with_values(ue112, {span.name: value}), RAYS))
        assert found["transmission"][i] == pytest.approx(a.beam.transmission, rel=1e-9)
        assert found["fwhm_x_mm"][i] == pytest.approx(a.beam.fwhm[0], rel=1e-6)
        assert found["resolving_power"][i] == pytest.approx(a.monochromator.resolving_power)
    if "photonEnergy" in text:
        np.testing.assert_allclose(found["energy_eV"], span.values, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*its stored world coordinates are not")
def test_energy_of_a_dipole_as_in_rayui(shared):
    """A dipole's angles depend on the energy. RAY-UI counts of 1e5 rays, without reflectivity."""
    folder = shared / "rayui" / "raypyng_resolving_power"
    with (folder / "DetectorAtFocus_ScalarBeamProperties.csv").open() as file:
        theirs = [r for r in csv.DictReader(file) if float(r["ExitSlit.totalHeight"]) == 0.1]
    beamline = read_rml(shared / "rayui" / "dipole_beamline.rml")
    beamline = with_values(beamline, {"ExitSlit.totalHeight": 0.1, "PG.cFactor": 2.5})
    found = scanned(beamline, "Dipole.photonEnergy=1000..2000:3", rays=1 << 17).columns
    counted = np.array([float(r["DetectorAtFocus_outgoing_NO"]) for r in theirs])
    expected = found["rays"] / (1 << 17) * 1e5
    assert (np.abs(counted - expected) < 3 * np.sqrt(expected)).all()


def test_flux_and_footprint():
    """Half of a parallel beam falls beside a mirror that is half as long as its footprint."""
    source = {**PARALLEL, "photonFlux": 1e13}
    beamline = small("Plane Mirror", source=source, totalWidth=100.0)
    full = 5.0 / np.sin(np.deg2rad(2.0))
    found = scanned(beamline, f"O.totalLength={full / 2}..{full}:2", "O").columns
    np.testing.assert_allclose(found["missed"], [0.5, 0], atol=1e-3)
    np.testing.assert_allclose(found["flux_photons_per_s"], [5e12, 1e13], rtol=2e-3)
    assert found["rms_z_mm"][1] == pytest.approx(full / np.sqrt(12), rel=1e-3)


def test_csv_and_picture(ue112):
    found = scanned(ue112, "M4.rotationXerror=-0.1..0.1:3", rays=1000)
    head, *rows = found.csv().splitlines()
    assert head.split(",")[0] == "M4.rotationXerror_mrad" and len(rows) == 3
    columns = dict(
        zip(head.split(","), zip(*(r.split(",") for r in rows), strict=True), strict=True)
    )
    assert columns["flux_photons_per_s"] == ("", "", "")  # the file has none
    assert float(columns["rms_x_mm"][0]) == pytest.approx(found.columns["rms_x_mm"][0])
    labels = [axes.get_ylabel() for axes in scan_picture(found).axes]
    assert "centroid, µm" in labels and "flux, photons/s" not in labels


def test_a_source_alone():
    found = scanned(emitting("Point Source"), "S.sourceWidth=0.1..0.2:2")
    np.testing.assert_allclose(found.columns["rms_x_mm"], [0.1, 0.2], rtol=0.01)
    alone = Beamline("1.15", emitting("Point Source").elements[:1])
    assert scanned(alone, "S.sourceWidth=0.1..0.2:2").plane == "S"


def test_zero_is_zero():
    assert 0.0 in Range.of("M1.a=-0.3..0.3:7").values


@pytest.mark.parametrize(
    "text", ["", "M1.a", "M1.a=1", "M1.a=1..2", "M1.a=1..2:1", "M1.a=1..nan:3", "=1..2:3",
             "M1.a=1..2:1e9", "M1.a=1..2:99999999"],
)  # fmt: skip
def test_ranges_that_are_none(text):
    with pytest.raises(InputError, match=r"give NAME=LOW\.\.HIGH:POINTS"):
        Range.of(text)


def test_values_out_of_reach_are_named(ue112):
    with pytest.raises(InputError, match=r"no diffracted beam.*at 1 of 8 values, 1\)"):
        scanned(ue112, "G.cFactor=0.2..3:8")
    with pytest.raises(InputError, match="does not depend"):
        scanned(ue112, "UE112.numberRays=1..3:2")
