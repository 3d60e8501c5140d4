"""The tracer against the optics of a textbook, on UE112 PGM-1 at 100 eV."""

import numpy as np
import pytest

from raybayes.beamline.derive import with_values
from raybayes.beamline.geometry import HC, compile_beamline
from raybayes.beamline.source import STANDARD
from raybayes.beamline.trace import Drawn, slope_slots, trace, trace_rays
from raybayes.optics import RAY, WAVELENGTH_SHIFT
from raybayes.optics.rows import Tables

P1, Q1, D12, D23, D3, Q3, P4, Q4 = 17000, 20000, 7000, 200.185, 3000, 10000, 6000, 1200
CFF, N, E = 2.25, 400, 100.0
ALPHA, BETA = np.deg2rad(87.172998), np.deg2rad(83.628703)
THETA, THETA2 = np.deg2rad(2.0), np.deg2rad(4.599149)
# No path lengths, no polarisation, no optical constants, no measured profiles.
TABLES = Tables(np.ones(2), np.empty((0, 2, 2)), HC, np.empty(0))
NOTHING = np.empty(0), np.empty((4, 0))  # no path, no light
ARCSEC = np.pi / 180 / 3600
# Photon source at 100 eV: electron beam and diffraction in quadrature, mm.
SIGMA_R = np.sqrt(2 * HC / E * 1e-9 * 3.584) / (2 * np.pi) * 1e3
SX, SY = np.hypot(0.2648, SIGMA_R), np.hypot(0.0168, SIGMA_R)


def landing(beamline, plane, sample=(), slope=None):
    """[7] of one ray at a plane: standard numbers of the source, one unit slope error."""
    compiled = compile_beamline(beamline)
    rows = compiled.rows[0, : compiled.index(plane) + 1]
    slots = slope_slots(rows)
    slopes = np.zeros((max(slots.max() + 1, 1), 2, 1))
    if slope is not None:
        slopes[slots[compiled.index(slope[0])], slope[1], 0] = 1.0
    samples = np.zeros((1, STANDARD))
    for column, value in dict(sample).items():
        samples[0, column] = value
    rays, drawn = np.empty((RAY, 1)), Drawn(samples, slopes, slots)
    lost = trace_rays(compiled.emission[0], rows, drawn, rays, *NOTHING, TABLES)
    assert lost[0] in (0, len(rows))  # the slit itself may stop it: it has landed
    return rays[:, 0]


def shift(beamline, plane, **change):
    """um in x and y by which a change moves the chief ray."""
    return 1e3 * (landing(beamline, plane, **change) - landing(beamline, plane))[:2]


def test_angles(ue112):
    derived = compile_beamline(ue112).derived
    assert derived["G"]["alpha"] == pytest.approx(87.172998, abs=1e-6)
    assert derived["G"]["beta"] == pytest.approx(-83.628703, abs=1e-6)
    assert derived["M2"]["grazingIncAngle"] == pytest.approx(4.599149, abs=1e-6)
    assert derived["M1"]["longRadius"] == pytest.approx(
        2 * P1 * Q1 / ((P1 + Q1) * np.sin(THETA)), rel=1e-12
    )
    assert derived["M1"]["shortRadius"] == pytest.approx(2 * P1 * np.sin(THETA), rel=1e-9)
    assert derived["M3"]["radius"] == pytest.approx(2 * Q3 * np.sin(THETA), rel=1e-9)


def test_design_ray_stays_on_axis(ue112):
    for plane in compile_beamline(ue112).names:
        ray = landing(ue112, plane)
        np.testing.assert_allclose(ray[:3], 0, atol=2e-7)  # alpha is stored to 1e-14 rad


def test_dispersion_at_the_slit(ue112):
    closed = Q3 * N * HC * 1e-6 / (E**2 * np.cos(BETA))
    assert closed == pytest.approx(4.469064, abs=2e-6)
    off = [landing(with_values(ue112, {"UE112.energySpread": 0.02}), "ES", {4: s})[1]
           for s in (-0.5, 0.5)]  # fmt: skip
    assert abs(off[1] - off[0]) / 0.02 == pytest.approx(closed, rel=2e-5)


def test_source_images(ue112):
    x = shift(ue112, "ES", sample={0: 1.0})[0]
    assert abs(x) == pytest.approx(1e3 * SX * Q1 / P1, rel=1e-3)
    y = shift(ue112, "ES", sample={1: 1.0})[1]
    assert abs(y) == pytest.approx(1e3 * SY * Q3 / (P1 * CFF), rel=2e-3)


SLOPES = [  # element, sagittal 0 or meridional 1, axis that moves at ES, closed form (mm/rad)
    ("M1", 1, 0, 2 * Q1),
    ("M1", 0, 1, 2 * np.sin(THETA) * Q3 / CFF),
    ("M2", 1, 1, 2 * Q3 / CFF),
    ("M2", 0, 0, 2 * np.sin(THETA2) * (D23 + D3 + Q3)),
    ("G", 1, 1, (1 + 1 / CFF) * Q3),
    ("G", 0, 0, (np.cos(ALPHA) + np.cos(BETA)) * (D3 + Q3)),
    ("M3", 1, 0, 2 * Q3),
    ("M3", 0, 1, 2 * np.sin(THETA) * Q3),
]


@pytest.mark.parametrize(("element", "which", "axis", "closed"), SLOPES)
def test_slope_errors(element, which, axis, closed, ue112):
    id_ = ("slopeErrorSag", "slopeErrorMer")[which]
    one = with_values(ue112, {f"{element}.{id_}": 1.0})
    moved = shift(one, "ES", slope=(element, which))
    assert abs(moved[axis]) == pytest.approx(1e3 * closed * ARCSEC, rel=1e-3)


MOVES = [  # parameter, value, axis at IP, closed form in um, relative tolerance
    ("M4.rotationXerror", 0.010, 0, 2 * Q4 * 0.010, 1e-3),
    ("M4.rotationZerror", 0.100, 1, 2 * np.sin(THETA) * Q4 * 0.1, 1e-3),
    ("M4.translationXerror", 0.050, 1, 50 * (1 + Q4 / P4), 1e-3),
    ("M4.translationYerror", 0.050, 0, 50 * (2 * np.cos(THETA) - (1 + Q4 / P4)), 2e-3),
    ("M1.rotationXerror", 0.010, 0, 74.4, 1.5e-2),  # traced: 7.44 and 3.80 um/urad
    ("M3.rotationXerror", 0.010, 0, 38.0, 1.5e-2),
]


@pytest.mark.parametrize(("name", "value", "axis", "closed", "tolerance"), MOVES)
def test_misalignments(name, value, axis, closed, tolerance, ue112):
    moved = with_values(ue112, {name: value})
    difference = 1e3 * (landing(moved, "IP") - landing(ue112, "IP"))
    assert abs(difference[axis]) == pytest.approx(closed, rel=tolerance)


def test_nominal_spot_and_resolving_power(ue112):
    """Reference values of a traced 131072-ray Sobol run: 68.4 x 7.5 um rms, R 4484."""
    rays = trace(ue112, 1 << 17)
    assert rays.x.std() * 1e3 == pytest.approx(68.4, rel=0.01)
    assert rays.y.std() * 1e3 == pytest.approx(7.5, rel=0.01)
    slit, source, g, m2, m3, m1 = 22.38, 6.75, 1.85, 1.14, 1.78, 0.79  # FWHM, meV
    closed = 1e5 / np.sqrt(sum(w**2 for w in (slit, source, g, m2, m3, m1)))
    half = np.histogram(rays.energy, np.linspace(99.95, 100.05, 101))[0]
    fwhm = (half > half.max() / 2).sum() * 1e-3
    assert 100 / fwhm == pytest.approx(closed, rel=0.08)
    assert 100 / fwhm == pytest.approx(4484, rel=0.05)


def test_order_zero_is_a_mirror(ue112):
    """The same plane with order 0 and with no grooves gives the same rays."""
    compiled = compile_beamline(ue112)
    index = compiled.index("G")
    rows = compiled.rows[0, : index + 1].copy()
    samples = np.random.default_rng(0).standard_normal((100, STANDARD))
    out = []
    for order_zero in (0.0, 1e-300):  # the second takes the grating's path
        rows[index, WAVELENGTH_SHIFT] = order_zero
        drawn = Drawn(samples, np.zeros((1, 2, 100)), np.full(len(rows), -1))
        rays = np.empty((RAY, 100))
        trace_rays(compiled.emission[0], rows, drawn, rays, *NOTHING, TABLES)
        out.append(rays)
    np.testing.assert_allclose(out[0], out[1], rtol=0, atol=1e-12)
