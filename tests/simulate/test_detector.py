"""Is the detector's likelihood that of its own readings?"""

import numpy as np
import pytest
from beamlines import small
from pydantic import ValidationError
from scipy.special import logsumexp
from scipy.stats import norm, poisson

from raybayes.simulate.detector import Detector
from raybayes.simulate.simulator import Simulator, Tracing


def brute_force(x, mean, sigma):
    k = np.arange(0, int(mean + 40 * np.sqrt(mean) + abs(x) + 200))
    return logsumexp(poisson.logpmf(k, mean) + norm.logpdf(x, k, sigma))


@pytest.mark.parametrize("sigma", [0.05, 0.7, 5.0, 40.0])
@pytest.mark.parametrize("mean", [1e-9, 0.3, 10.0, 400.0, 1e5])
def test_likelihood_by_brute_force(mean, sigma):
    detector = Detector(bins=(1, 1), photons=1.0, background=mean, read_noise=sigma)
    profile = np.zeros(2)
    for x in (mean - 3 * sigma, mean, mean + 6 * np.sqrt(mean + sigma**2), -2 * sigma):
        exact = 2 * brute_force(x, mean, sigma)
        assert detector.log_likelihood([x, x], profile) == pytest.approx(exact, rel=1e-9, abs=1e-9)
    assert detector.log_likelihood([np.inf, x], profile) == -np.inf


def test_likelihood_without_read_noise_is_poisson():
    detector = Detector(bins=(2, 1), photons=10.0, background=1.0, read_noise=0.0)
    profile = np.array([0.2, 0.5, 0.0])
    exact = poisson.logpmf([3, 7, 0], [3.0, 6.0, 1.0]).sum()
    assert detector.log_likelihood([3, 7, 0], profile) == pytest.approx(exact)
    assert detector.log_likelihood([3.5, 7, 0], profile) == -np.inf


def test_readings_have_the_stated_moments():
    detector = Detector(bins=(1, 1), photons=1e3, background=2.0, read_noise=4.0)
    x = detector.observe(np.tile([0.05, 0.2], (40_000, 1)), np.random.default_rng(0))
    mean = np.array([52.0, 202.0])
    np.testing.assert_allclose(x.mean(axis=0), mean, atol=5 * np.sqrt(218 / 40_000))
    np.testing.assert_allclose(x.var(axis=0), mean + 16, rtol=0.04)


WRONG = {
    "no bins": {"bins": (0, 0)},
    "bins of no width": {"bin_width": (0.0, 0.1)},
    "no number": {"psf": (float("nan"), 0.1)},
    "endless light": {"photons": float("inf")},
    "more than a number holds": {"photons": 1e16},
    "impossible counts": {"background": 0.0, "read_noise": 0.0},
}


@pytest.mark.parametrize("case", WRONG)
def test_detectors_that_cannot_be(case):
    with pytest.raises(ValidationError):
        Detector(**WRONG[case])


def test_rounding_below_zero_is_no_light():
    detector = Detector(bins=(2, 1), background=0.0, read_noise=1.0)
    assert np.isfinite(detector.observe([-1e-18, 0.1, 0.1], np.random.default_rng(0))).all()


def test_the_width_of_a_bin_has_an_older_name():
    """`pitch` is read as `bin_width`, and stands in hashes and runs; both at once are refused."""
    old, new = Detector(pitch=(0.02, 0.01)), Detector(bin_width=(0.02, 0.01))
    assert old == new and old.edges(0)[1] - old.edges(0)[0] == pytest.approx(0.02)
    assert new.model_dump(by_alias=True)["pitch"] == (0.02, 0.01)
    with pytest.raises(ValidationError, match="pitch"):
        Detector(pitch=(0.02, 0.01), bin_width=(0.02, 0.01))


@pytest.mark.parametrize("noise", [0.1, 2.0])
def test_a_simulator_s_own_noise_widens_the_likelihood(noise):
    """By a share of the light's variance, not of the background's; by brute force."""
    detector = Detector(bins=(1, 1), photons=400.0, background=50.0, read_noise=5.0)
    profile, sigma = np.array([1.0, 0.25]), 5.0
    x = np.array([430.0, 180.0])
    exact = sum(
        brute_force(one, 50 + light, np.sqrt(sigma**2 + noise * light))
        for one, light in zip(x, (400.0, 100.0), strict=True)
    )
    assert detector.log_likelihood(x, profile, noise) == pytest.approx(exact, abs=1e-6)
    assert detector.variance(np.array([450.0]), noise) == pytest.approx(450 + 25 + noise * 400)
    counting = Simulator(small("Slit"), (), ((), ()), detector, Tracing(mode="counting", rays=4000))
    assert counting.noise == 0.1  # each counted ray stands for a tenth of a photon
