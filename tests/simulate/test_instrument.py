"""Are a detector's unknowns what they say, beside other detectors and beside counted rays?"""

from dataclasses import replace

import numpy as np
import pytest

from raybayes.errors import InputError
from raybayes.simulate.counted_check import compare, count_at
from raybayes.simulate.detector import Detector
from raybayes.simulate.photons import counted_observations
from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.study.plan import Plan
from raybayes.study.study import read_study

STUDY, BEAMLINE = read_study("ue112")
OPTICS = ("M4.rotationXerror", "M4.rotationZerror")
THETA = np.array([[0.02, 0.1], [-0.03, -0.2]])


def simulator(own=(), detector=STUDY.detector):
    """With instrument parameters behind two of the optics'."""
    names = (*OPTICS, *(f"detector.{name}" for name in own))
    low, high = np.full(len(names), -0.5), np.full(len(names), 2.0)
    return Simulator(BEAMLINE, names, (low, high), detector, Tracing(rays=256))


def profiles(own, detector=STUDY.detector):
    """At THETA, with the same instrument in both rows."""
    theta = np.column_stack([THETA, *(np.full(2, value) for value in own.values())])
    return simulator(own, detector).profiles(theta, None)[0]


PLAIN = profiles({})


def test_flux_and_background_are_a_factor_and_a_constant():
    counts = STUDY.detector.expected_counts(profiles({"flux": 0.8, "background": 3.0}))
    np.testing.assert_allclose(counts, 0.8 * 2e4 * PLAIN + 3.0)
    counts = STUDY.detector.expected_counts(profiles({"photons": 5e4}))
    np.testing.assert_allclose(counts, 5e4 * PLAIN + STUDY.detector.background)


def test_point_spread_and_scale_are_those_of_another_detector():
    other = Detector(bin_width=(0.011, 0.00275), psf=(0.005, 0.002), photons=2e4)
    found = profiles({"psf_x": 0.005, "scale": 1.1, "psf_y": 0.002})
    np.testing.assert_allclose(found, profiles({}, other), rtol=1e-9, atol=1e-15)


def test_a_detector_that_is_moved_by_a_bin():
    """To the right and up: the beam stands a bin further left and down in it."""
    found = profiles({"x": 0.010, "y": 0.0025})
    np.testing.assert_allclose(found[:, :99], PLAIN[:, 1:100], atol=1e-9)
    np.testing.assert_allclose(found[:, 100:199], PLAIN[:, 101:], atol=1e-9)


INSTRUMENT = {"flux": 0.7, "background": 20.0, "psf_x": 0.02, "psf_y": 0.001, "scale": 1.2,
              "x": 0.05, "y": -0.01}  # fmt: skip


@pytest.mark.parametrize("reads", ["profiles", "image"])
def test_beside_counted_rays(reads):
    """Photons that are counted one by one know nothing of splats, factors and constants."""
    detector = Detector(reads=reads, bins=(40, 40), bin_width=(0.025, 0.006), photons=2e4)
    one = simulator(INSTRUMENT, detector)
    theta = np.array([*THETA[0], *INSTRUMENT.values()])
    joint = JointSimulator.alone(replace(one, tracing=Tracing(rays=2048)))
    (row,) = compare(joint, count_at(joint, theta[None], ["here"], 0, 400_000))
    assert row.noise < 0.05 + 3 * row.uncertainty
    x, _ = counted_observations(joint, np.tile(theta, (30, 1)), (1,))
    expected = detector.expected_counts(joint.profiles(theta[None], None)[0][0])
    chi2 = (x - expected) ** 2 / detector.variance(expected)
    assert abs(chi2.mean() - 1) < 4 * np.sqrt(2 / chi2.size) + 0.02
    sums = x.sum(axis=1) - expected.sum()
    assert abs(sums.mean()) < 4 * sums.std() / np.sqrt(len(sums))


def study(tmp_path, lines, more=""):
    path = tmp_path / "study.toml"
    path.write_text(f'name = "s"\nbeamline = "ue112_pgm1.rml"\n[parameters]\n{lines}\n{more}')
    return path


M4 = '"M4.rotationXerror" = [-0.06, 0.06]\n'


@pytest.mark.parametrize("lines, more, said", [
    (M4 + '"detector.psf_x" = [-1, 1]', "", "goes down to -1, and horizontal point spread is at"),
    (M4 + '"detector.flux" = [1, 2]\n"detector.photons" = [1, 2]', "", "both say how many photons"),
    (M4 + '"detector.foo" = [1, 2]', "", "detector"),
    ('"detector.flux" = [1, 2]', "", "add one of the beamline"),
    (M4 + '"detector.x" = [1, 2]', '[engine]\nkind = "function"\nfunction = "a:b"',
     "detector.x: only our own tracer"),
])  # fmt: skip
def test_what_no_detector_is(lines, more, said, tmp_path):
    with pytest.raises(InputError, match=said):
        Plan.read(study(tmp_path, lines, more))


def test_simulations_know_nothing_of_flux(tmp_path):
    """The engine is asked for the optics alone, and every epoch draws flux and background anew."""
    lines = M4 + '"detector.flux" = [0.5, 2]\n"M3.rotationXerror" = [-0.04, 0.04]\n'
    plan, beamline = Plan.read(study(tmp_path, lines + '"detector.background" = [0, 20]'))
    theta = plan.prior.sample(3, np.random.default_rng(0))
    stored, _ = plan.build_engine(beamline).profiles(theta, (0,))
    unlit = Plan.read(study(tmp_path, M4 + '"M3.rotationXerror" = [-0.04, 0.04]'))[0]
    plain, _ = unlit.build_engine(beamline).profiles(theta[:, [0, 2]], (0,))
    np.testing.assert_array_equal(stored, plain)
    again, shown = plan.afresh(theta, stored, np.random.default_rng(1))
    assert (again[:, [0, 2]] == theta[:, [0, 2]]).all()
    assert (again[:, [1, 3]] != theta[:, [1, 3]]).all()
    counts = plan.detector.expected_counts(shown)
    flux, background = again[:, [1]], again[:, [3]]
    np.testing.assert_allclose(counts, flux * plan.detector.photons * plain + background)
