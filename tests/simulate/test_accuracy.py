"""Rays are chosen by error control, and what is chosen is right beside counted rays."""

from dataclasses import replace

import numpy as np
import pytest
from beamlines import ELEMENTS, NORMAL, SOURCES, element, small
from studies import command
from truths import Bright, simulator

from raybayes.prior import Independent, Uniform
from raybayes.simulate.accuracy import RUNGS, choose, largest_shift, next_rung, rung_error
from raybayes.simulate.counted_check import check_points, compare, count_at
from raybayes.simulate.dark import dark
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import TOLERANCE, Simulator, Tracing
from raybayes.study.accuracy import described, too_dim


def test_ue112_keeps_its_rays():
    accuracy = choose(simulator(), Tracing(), 0, most=500_000)
    assert accuracy.good and accuracy.tracing == Tracing()
    assert 0 < accuracy.error.variance < TOLERANCE and accuracy.tracing.noise == 0


def drift(photons):
    """A Gaussian beam out of focus on a screen: no smoothness but what a divergence carries."""
    line = small("Slit", 1000.0, NORMAL, openingWidth=200.0, openingHeight=200.0)
    detector = Detector(photons=photons, bins=(80, 80), bin_width=(0.8, 0.8))
    return JointSimulator.alone(
        Simulator(line, ("O.translationXerror",), ((-0.5,), (0.5,)), detector)
    )


def test_a_drift_gets_divergence_and_is_a_gaussian():
    """Its profile is a Gaussian's, of the closed form; plain splats of 512 rays are far off."""
    plain = drift(3e5)
    chosen = choose(plain, Tracing(), 0, most=500_000)
    assert chosen.good and chosen.tracing.divergence_splat > 0
    theta, _ = check_points(plain)
    assert rung_error(plain, Tracing(), theta).variance > 10 * chosen.error.variance


def test_a_shift_is_that_of_the_posterior():
    """The move of a grid posterior's mean, from few rays to four times as many, in its sd."""
    plain, rung = simulator(), Tracing(rays=128)
    low, high = (np.asarray(end) for end in plain.support)
    at = (low + high)[None] / 2
    coarse, fine = (plain.traced(each) for each in (rung, next_rung(rung)))
    x = plain.detectors.expected_counts(fine.profiles(at, None)[0])[0]
    found = []
    for one in (coarse, fine):
        mean, reach = at[0, 0], (high - low)[0] / 2
        for _ in range(4):  # each about what the one before has found
            grid = np.tile(at, (201, 1))
            grid[:, 0] = np.linspace(mean - reach, mean + reach, 201)
            log_p = one.log_likelihood(x)(grid)
            p = np.exp(log_p - log_p.max())
            p /= p.sum()
            mean = p @ grid[:, 0]
            sd = np.sqrt(p @ (grid[:, 0] - mean) ** 2)
            reach = 6 * max(sd, reach / 200)
        found.append(mean)
    moved = abs(found[0] - found[1]) / sd
    assert largest_shift(plain, rung, at) == pytest.approx(moved, rel=0.1) and moved > 0.2


def test_a_wrong_simulator_is_not_good():
    """Half as much light again on all rungs alike: only counting can see it."""
    accuracy = choose(simulator(Bright), Tracing(), 0, most=500_000)
    plain, theta = simulator(Bright), check_points(simulator())[0]
    assert rung_error(plain, Tracing(), theta).variance < TOLERANCE
    assert accuracy.error.variance > TOLERANCE and not accuracy.good  # as counting finds it


def test_the_error_of_a_rung_is_that_beside_the_truth():
    """The difference from the next rung is at least a third of the error beside many rays."""
    plain = drift(3e5)
    theta, _ = check_points(plain)
    told = rung_error(plain, RUNGS[2], theta).variance
    fine = plain.changed(
        lambda one: one.traced(Tracing(rays=1 << 17, splat=0.3, divergence_splat=0.3))
    )
    coarse = plain.changed(lambda one: one.traced(RUNGS[2]))
    off = coarse.profiles(theta, None)[0] - fine.profiles(theta, None)[0]
    detector = plain.settings[0].simulator.detector
    counts = detector.expected_counts(fine.profiles(theta, None)[0])
    true = ((detector.photons * off) ** 2 / detector.variance(counts)).mean(axis=1).max()
    assert true / 3 < told < 5 * true
    assert next_rung(RUNGS[2]).rays == 4 * RUNGS[2].rays


def test_two_crystals_are_right_beside_counted_rays():
    """Silicon 111 twice, at 8048 eV: what passes is a thousandth of the band."""
    energies = {"photonEnergy": 8048.0, "energySpread": 30.0, "energySpreadUnit": 0}
    source = {**SOURCES["Simple Undulator"], **energies}
    one = small("Crystal", source=source, source_type="Simple Undulator")
    start, first, screen = one.elements
    back = element("O2", "Crystal", {**ELEMENTS["Crystal"], "azimuthalAngle": 180.0})
    line = replace(one, elements=(start, first, back, screen))
    detector = Detector(photons=1e6, bins=(50, 50), bin_width=(0.05, 0.05), psf=(0.05, 0.05))
    joint = JointSimulator.alone(
        Simulator(line, ("O.rotationXerror",), ((-0.002,), (0.002,)), detector)
    )
    chosen = choose(joint, Tracing(), 0, most=2_000_000)
    assert chosen.good, chosen
    best = joint.changed(lambda each: each.traced(chosen.tracing))
    points = count_at(best, np.array([[0.001]]), ["inside"], 7, 1_000_000)
    (row,) = compare(best, points)
    assert row.good and row.point.transmission < 0.2
    assert row.transmission == pytest.approx(
        row.point.transmission, abs=4 * np.sqrt(row.point.transmission / 1e6)
    )


def test_what_takes_the_light_is_named():
    """A slit of 0.2 mm that one parameter moves out of the beam; another one does nothing."""
    line = small("Slit", source_type="Simple Undulator", openingWidth=0.2, openingHeight=50.0)
    names = ("O.translationXerror", "O.translationYerror")
    low, high = np.array([-20.0, -0.1]), np.array([20.0, 0.1])
    joint = JointSimulator.alone(Simulator(line, names, (low, high), Detector(photons=1e4)))
    marginals = tuple(Uniform(low=a, high=b) for a, b in zip(low, high, strict=True))
    found = dark(joint, Independent(names, marginals), 0)
    assert found.name == names[0] and found.lost_at == "O"
    assert 0.5 < found.share < 0.99 and -10 < found.low < 0 < found.high < 10
    assert "narrow O.translationXerror to" in described(found)


def test_few_photons_are_not_no_light():
    """Light arrives everywhere, less than a photon of it: what helps is no narrower prior."""
    line = small("Slit", source_type="Simple Undulator", openingWidth=5.0, openingHeight=50.0)
    names, ends = ("O.translationXerror",), (np.array([-0.1]), np.array([0.1]))
    joint = JointSimulator.alone(Simulator(line, names, ends, Detector(photons=0.5)))
    found = dark(joint, Independent(names, (Uniform(low=-0.1, high=0.1),)), 0)
    assert found.share == 1 and 0.5 < found.enough < 50
    assert "less than a photon" in too_dim(found) and "raise photons" in too_dim(found)
    brighter = replace(joint.settings[0].simulator, detector=Detector(photons=2 * found.enough))
    assert dark(JointSimulator.alone(brighter), Independent(names, (Uniform(low=-0.1, high=0.1),)),
                0).share < 0.5  # fmt: skip


@pytest.mark.slow
def test_the_drift_of_the_issue(shared):
    result = command("check-simulator", shared / "cases" / "optics" / "drift.toml", "--json")
    assert result.exit_code == 0 and '"good": true' in result.stdout
