"""Does every source emit the beam and the energies that it names?"""

from dataclasses import replace

import numpy as np
import pytest
from beamlines import (
    SOURCES,
    emitting,
)

from raybayes.beamline.geometry import HC
from raybayes.beamline.source import DISTRIBUTIONS
from raybayes.beamline.trace import trace
from raybayes.beamline.undulator_file import file_angles
from raybayes.errors import InputError


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


def test_every_source_has_a_case():
    assert set(SOURCES) == set(DISTRIBUTIONS) == set(EMITTED)


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
