"""The efficient score on a simulator that is linear, where the likelihood ratio is known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from raybayes.simulate.alternative import ascend, score
from raybayes.simulate.detector import Detector
from raybayes.simulate.settings import Detectors

RNG = np.random.default_rng(8)
BINS, D, M = 40, 3, 2000
BRIGHT = 1e4  # counts in a bin: as good as Gaussian
DETECTORS = Detectors((Detector(bins=(20, 20), photons=1.0, background=BRIGHT, read_noise=30.0),))


@dataclass(frozen=True)
class Linear:
    """Counts that are linear in theta; beside them `off`, which the study knows nothing of."""

    slopes: np.ndarray
    off: np.ndarray
    support: tuple = (np.full(D, -1.0), np.full(D, 1.0))
    detectors: Detectors = DETECTORS

    def profiles(self, theta, key):
        return theta @ self.slopes.T + self.off, None


STUDY = Linear(RNG.normal(size=(BINS, D)) * 300, np.zeros(BINS))
ALTERNATIVE = replace(STUDY, off=RNG.normal(size=BINS) * 40)
THETA = RNG.uniform(-0.3, 0.3, (M, D))


def observed(simulator):
    return simulator.detectors.observe(simulator.profiles(THETA, None)[0], RNG)


def test_it_climbs_to_the_maximum_and_stays_inside():
    x = observed(STUDY)
    found, value = ascend(STUDY, x, np.zeros((M, D)))
    assert (np.abs(found) <= 1).all()
    weight = 1 / DETECTORS.variance(DETECTORS.expected_counts(STUDY.profiles(found, None)[0]))
    for i in range(20):
        root = np.sqrt(weight[i])[:, None]
        solved = np.linalg.lstsq(root * STUDY.slopes, root[:, 0] * (x[i] - BRIGHT), rcond=None)[0]
        np.testing.assert_allclose(found[i], solved, atol=2e-3)
    at_truth = DETECTORS.log_likelihood(x, STUDY.profiles(THETA, None)[0])
    assert (value >= at_truth - 1e-3).all()
    assert 2 * (value - at_truth).mean() == pytest.approx(D, abs=0.2)  # Wilks
    beyond = BRIGHT + STUDY.slopes @ np.full(D, 3.0)
    assert ascend(STUDY, beyond[None], np.zeros((1, D)))[0] == pytest.approx(1.0)


def test_the_ratio_has_the_distribution_that_its_information_says():
    """Mean -I/2 and variance I without the alternative, mean +I/2 with it: Neyman and Pearson."""
    for simulator, sign in ((STUDY, -1), (ALTERNATIVE, 1)):
        x = observed(simulator)
        found = score(STUDY, ALTERNATIVE, x, ascend(STUDY, x, THETA)[0])
        information = found.information.mean()
        assert information > 1
        error = np.sqrt(information / M)
        assert found.log_ratio.mean() == pytest.approx(sign * information / 2, abs=4 * error)
        assert found.log_ratio.var() == pytest.approx(information, rel=0.15)


def test_what_the_parameters_take_up_is_no_evidence():
    inside = replace(STUDY, off=STUDY.slopes @ np.full(D, 0.1))
    x = observed(inside)
    found = score(STUDY, inside, x, ascend(STUDY, x, THETA)[0])
    # What is left is the prior's price: a twentieth of each range, of variance 1 / 12.
    np.testing.assert_allclose(found.information, 12 * D * 0.05**2, rtol=0.02)
    assert np.abs(found.value).max() < 0.01
