"""Observations of counted photons: Poisson counts around the expected profile, on two roads."""

from dataclasses import replace

import numpy as np
import pytest
from beamlines import NORMAL, small

from raybayes.simulate.detector import Detector
from raybayes.simulate.photons import counted_observations, rays_needed
from raybayes.simulate.settings import JointSimulator
from raybayes.simulate.simulator import Simulator, Tracing
from raybayes.study.plan import Plan

PLAN, BEAMLINE = Plan.read("ue112")
N = 300


def ue112(**detector):
    whole = PLAN.simulator(BEAMLINE).settings[0].simulator
    changed = whole.detector.model_copy(update=detector)
    return replace(whole, detector=changed, tracing=Tracing(rays=1 << 15, splat=0.1))


def of(simulator):
    """Readings [N, size] at one theta, and what they are expected to be."""
    theta = np.mean(simulator.support, axis=0)
    joint = JointSimulator.alone(simulator)
    x, rays = counted_observations(joint, np.tile(theta, (N, 1)), (3,))
    expected = simulator.detector.expected_counts(simulator.profiles(theta[None], None)[0][0])
    return x, expected, rays


@pytest.mark.parametrize("photons", [2000.0, 20_000.0])
@pytest.mark.parametrize("reads", ["profiles", "image"])
def test_their_mean_and_variance_are_the_detectors(photons, reads):
    size = {"bins": (20, 20), "bin_width": (0.05, 0.0125), "reads": reads}
    simulator = ue112(photons=photons, **size)
    x, expected, rays = of(simulator)
    one_by_one, needed = rays_needed(simulator)
    assert one_by_one and rays == pytest.approx(N * needed, rel=0.01)
    variance = simulator.detector.variance(expected)
    off = (x.mean(axis=0) - expected) / np.sqrt(variance / N)
    assert (off**2).mean() < 1.5
    assert ((x - expected) ** 2 / variance).mean() == pytest.approx(1, abs=0.03)


def test_weighted_rays_where_photons_are_too_many():
    """A slit that passes a hundredth: rays that may arrive are traced, with a tenth more noise."""
    beamline = small("Slit", source=NORMAL, openingWidth=0.5, openingHeight=0.5)
    detector = Detector(photons=3e5, bins=(20, 20), bin_width=(0.05, 0.05), psf=(0.02, 0.02))
    support = ((-0.001,), (0.001,))
    simulator = Simulator(
        beamline, ("O.translationXerror",), support, detector, Tracing(rays=1 << 15, splat=0.1)
    )
    one_by_one, needed = rays_needed(simulator)
    assert not one_by_one and needed < 2 * detector.photons
    x, expected, _ = of(simulator)
    ratio = ((x - expected) ** 2 / detector.variance(expected)).mean()
    assert 0.97 < ratio < 1.13
