"""Are the derivatives right, and the Fisher information that they give?"""

import numpy as np
import pytest
from beamlines import P, small

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
