"""Have the likelihoods of images and of counted rays the stated moments?"""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, poisson

from raybayes.errors import InputError
from raybayes.simulate.detector import Detector
from raybayes.simulate.likelihoods import (
    counting_log_likelihood,
    image_log_likelihood,
    image_marginals,
    separable_image,
)
from raybayes.study.study import read_study


def spot(bins, tilt):
    """A tilted Gaussian spot of 60 % of the light: [rows, columns], rows from below."""
    across, along = np.meshgrid(*(np.linspace(-3, 3, n) for n in bins))
    spot = multivariate_normal([0, 0.5], [[1, tilt], [tilt, 1]])
    image = spot.pdf(np.stack([across, along], axis=-1))
    return 0.6 * image / image.sum()


def test_marginals_of_one_image_have_the_stated_moments():
    detector = Detector(bins=(6, 5), photons=300.0, background=2.0, read_noise=1.5)
    image, rng = spot((6, 5), 0.7), np.random.default_rng(0)
    pixels = rng.poisson(300 * image + 2, (40_000, 5, 6)) + 1.5 * rng.standard_normal(
        (40_000, 5, 6)
    )
    x = np.concatenate([pixels.sum(axis=1), pixels.sum(axis=2)], axis=1)
    mean, covariance = image_marginals(detector, image)
    np.testing.assert_allclose(x.mean(axis=0), mean, atol=5 * np.sqrt(covariance.max() / 40_000))
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.03 * covariance.max())
    # The density of what both profiles say together: 11 numbers, of which 10 are free.
    sd = np.linalg.svd(covariance, compute_uv=False)[:-1]
    constant = -5 * np.log(2 * np.pi) - 0.5 * np.log(sd).sum()
    chi2 = -2 * (image_log_likelihood(x, detector, image) - constant)
    assert chi2.mean() == pytest.approx(10, rel=0.02) and chi2.var() == pytest.approx(20, rel=0.1)


def test_separable_image_has_the_profiles():
    detector = Detector(bins=(6, 5))
    image = spot((6, 5), 0.0)
    profile = np.concatenate([image.sum(axis=0), image.sum(axis=1)])
    np.testing.assert_allclose(separable_image(detector, profile), image, atol=1e-12)
    with pytest.raises(InputError, match=r"\[rows, columns\], is \(5, 6\)"):
        image_marginals(detector, image.T)


def test_a_square_image_is_not_read_transposed():
    """The observation of a study that reads images, and the sums of the same image, share axes."""
    study, beamline = read_study("ue112-image")
    detector, prior = study.detector, study.prior
    rng = np.random.default_rng(2)
    profile = study.simulator(beamline).profiles(prior.sample(1, rng), None)[0][0]
    image = profile.reshape(40, 40)
    mean = image_marginals(detector, image)[0]
    np.testing.assert_allclose(mean, detector.profiles(detector.expected_counts(profile)))
    sums = detector.profiles(detector.observe(profile, rng))
    right, wrong = (image_log_likelihood(sums, detector, each) for each in (image, image.T))
    assert right > wrong + 100


def test_counting_is_multinomial():
    """Bin by bin: the first is binomial, the next binomial among what is left."""
    profile, counts, rays = np.array([0.2, 0.5]), np.array([3, 4]), 10
    exact = np.log(math.comb(10, 3) * math.comb(7, 4) * 0.2**3 * 0.5**4 * 0.3**3)
    assert counting_log_likelihood(counts, profile, rays) == pytest.approx(exact)
    both = counting_log_likelihood(np.stack([counts, counts]), np.stack([profile, profile]), rays)
    np.testing.assert_allclose(both, exact)
    # Of many rays in many bins it is nearly Poisson's, which counts rays as if each were free.
    few = np.full(200, 1e-4)
    near = poisson.logpmf(1, 1.0) * 200
    assert counting_log_likelihood(np.ones(200), few, 10_000) == pytest.approx(near, abs=3)
    with pytest.raises(InputError, match="no more than 10 in all"):
        counting_log_likelihood([6, 6], profile, 10)
