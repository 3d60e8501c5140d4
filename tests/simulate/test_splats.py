"""Is a splat the Gaussian that it stands for, cut, blurred and put on bins?"""

import numpy as np
import pytest
from scipy.stats import norm, truncnorm

from raybayes.simulate.splat import NARROW, carry_energy, deposit, deposit_image, truncate


@pytest.mark.parametrize("half", [0.5, 1.5, 4.0])
@pytest.mark.parametrize("middle", [0.0, 1.0, -2.5])
def test_truncated_moments(half, middle):
    """Against scipy's truncated normal, and against draws for the other component."""
    cov = np.array([[1.3, 0.6], [0.6, 0.9]])
    mean, moved = np.array([middle, 0.2]), cov.copy()
    mass = truncate(mean, moved, 0, -half, half)
    sd = np.sqrt(cov[0, 0])
    exact = truncnorm((-half - middle) / sd, (half - middle) / sd, loc=middle, scale=sd)
    assert mass == pytest.approx(norm.cdf(half, middle, sd) - norm.cdf(-half, middle, sd))
    assert mean[0] == pytest.approx(exact.mean(), abs=1e-9)
    assert moved[0, 0] == pytest.approx(exact.var(), abs=1e-9)
    # The second component follows by regression on the first, exactly.
    slope = cov[1, 0] / cov[0, 0]
    assert mean[1] == pytest.approx(0.2 + slope * (exact.mean() - middle), abs=1e-9)
    assert moved[1, 1] == pytest.approx(0.9 - slope**2 * (cov[0, 0] - exact.var()), abs=1e-9)


@pytest.mark.parametrize("box", [0.0, 0.99 * NARROW * 0.31, 0.3, 1.5])
def test_deposit_is_the_integral_of_a_blurred_gaussian(box):
    """Against the Gaussian's integral, averaged over the box by a sum of many places."""
    out, sd, places = np.zeros(40), 0.31, 0.13 + box * np.linspace(-1, 1, 2001)
    deposit(out, 0.13, sd, box, 0.1, 2.0, np.empty(41))
    edges = (np.arange(41) - 20) * 0.1
    exact = 2 * np.diff(norm.cdf(edges[:, None], places, sd), axis=0).mean(axis=1)
    np.testing.assert_allclose(out, exact, atol=2e-3 * exact.max())


@pytest.mark.parametrize("band", [(-50.0, 50.0), (-0.5, 30.0), (2.0, 3.0)])
def test_carried_energy(band):
    """Against draws: uniform energy in the band, Gaussian places, those that pass the slit."""
    rng = np.random.default_rng(0)
    mean, slope = np.array([0.3, 0.2]), np.array([1.0, -0.4])
    cov = np.array([[0.01, 0.006], [0.006, 0.02]])
    places = rng.multivariate_normal(mean, cov, 400_000)
    places += rng.uniform(*band, (len(places), 1)) * slope
    passed = places[np.abs(places[:, 0]) < 2]
    box = slope.copy()
    share = carry_energy(mean, cov, box, 0, 2.0, *band)
    assert share == pytest.approx(len(passed) / len(places), rel=0.03, abs=2e-3)
    if share > 0:
        assert mean == pytest.approx(passed.mean(axis=0), abs=0.06)
        assert cov[1, 1] + box[1] ** 2 / 3 == pytest.approx(passed[:, 1].var(), rel=0.06)
        assert cov[0, 0] == 0 and box[0] <= 2


def test_a_slanted_splat_keeps_its_covariance():
    image, pitch = np.zeros((400, 300)), np.array([0.01, 0.01])
    deposit_image(image, (0.1, -0.2), (0.04, 0.03, 0.05), (0.02, 0.05), pitch, 2.0, np.empty(401))
    x, y = ((np.arange(n) + 0.5 - n / 2) * 0.01 for n in (300, 400))
    y, x = np.meshgrid(y, x, indexing="ij")
    mean = [(image * a).sum() / image.sum() for a in (x, y)]
    moments = [(image * (a - mean[i]) * (b - mean[j])).sum() / image.sum()
               for a, i, b, j in [(x, 0, x, 0), (x, 0, y, 1), (y, 1, y, 1)]]  # fmt: skip
    assert image.sum() == pytest.approx(2, rel=3e-4) and mean == pytest.approx([0.1, -0.2])
    exact = [0.04 + 0.02**2 / 3, 0.03 + 0.02 * 0.05 / 3, 0.05 + 0.05**2 / 3]
    assert moments == pytest.approx(exact, rel=3e-3)
