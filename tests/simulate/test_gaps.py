"""Are gaps as the measurements' may be, and does the likelihood leave them out?"""

import numpy as np
import pytest
from scipy.stats import norm, poisson

from raybayes.simulate.detector import Detector
from raybayes.simulate.gaps import MOST, with_gaps
from raybayes.simulate.settings import Detectors

PROFILES = Detector(bins=(30, 20))
IMAGE = Detector(reads="image", bins=(12, 9))


def made(detectors, share=1.0, n=4000, seed=0):
    rng = np.random.default_rng(seed)
    return with_gaps(Detectors(detectors), np.ones((n, Detectors(detectors).size)), share, rng)


def test_never_more_than_most_of_an_exposure():
    lost = np.isnan(made((PROFILES, IMAGE)))
    for part in (lost[:, :30], lost[:, 30:50], lost[:, 50:]):
        share = part.mean(axis=1)
        assert share.max() <= MOST and 0.05 < share.mean() < MOST
        assert share.max() > 0.8 * MOST  # and as much as a measurement may have
        assert part.mean(axis=0).min() > 0.3 * part.mean(axis=0).max()  # anywhere
    one = (lost[:, :30].sum(axis=1) == 1).mean()
    assert one > 0.02  # single columns are common, too


def test_gaps_of_images_are_rectangles_or_go_through():
    lost = np.isnan(made((IMAGE,))).reshape(-1, 9, 12)
    assert (lost.all(axis=1).any(axis=1)).mean() > 0.1  # a column from below to above
    assert (lost.all(axis=2).any(axis=1)).mean() > 0.1


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_so_many_observations_have_gaps(share):
    found = np.isnan(made((PROFILES,), share)).any(axis=1).mean()
    assert found == pytest.approx(share * 15 / 16, abs=0.03)  # of 16 one has none after all


def test_what_is_given_is_not_changed():
    x = np.ones((50, 50))
    with_gaps(Detectors((PROFILES,)), x, 1.0, np.random.default_rng(0))
    assert (x == 1).all()


def test_the_likelihood_is_that_of_the_known_bins():
    """By sums over photons with SciPy's densities."""
    detector = Detector(bins=(4, 2), photons=50.0, background=2.0, read_noise=1.5)
    profile = np.array([0.1, 0.3, 0.2, 0.05, 0.4, 0.3])
    x = detector.observe(profile, np.random.default_rng(1))
    x[[1, 4]] = np.nan
    k, mean = np.arange(200)[:, None], 50 * profile + 2.0
    terms = poisson.pmf(k, mean) * norm.pdf(x - k, scale=1.5)
    want = np.log(terms.sum(axis=0)[~np.isnan(x)]).sum()
    assert detector.log_likelihood(x, profile) == pytest.approx(want, rel=1e-9)


def test_an_image_is_summed_over_what_is_known():
    image = np.arange(108.0).reshape(9, 12)
    image[2:4, 5] = image[:, 7] = np.nan
    found = IMAGE.profiles(image.ravel())
    assert np.isnan(found[7]) and np.isfinite(np.delete(found, 7)).all()
    assert found[5] == np.nansum(image[:, 5]) and found[12 + 2] == np.nansum(image[2])
    both = IMAGE.alike(image.ravel(), np.ones((3, 108)))
    assert both[0, 5] == 7 and both[0, 12 + 2] == 10
