"""Point estimates against closed forms: Gaussians behind two priors, and two moons."""

import jax.numpy as jnp
import numpy as np
import pytest
from exact import Gaussian, TwoMoons
from scipy.special import ndtr
from scipy.stats import multivariate_normal, norm

from raybayes.density import deep
from raybayes.density.ensemble import Ensemble
from raybayes.density.trees import stack
from raybayes.diagnostics import c2st
from raybayes.errors import InputError
from raybayes.inference.estimates import basins, estimate, geometric_median, modes
from raybayes.inference.posterior import Posterior
from raybayes.inference.tasks import two_moons
from raybayes.prior import Independent, Normal, box

D = 5
RNG = np.random.default_rng(7)
ROOT = np.tril(RNG.normal(0, 0.15, (D, D)), -1) + np.diag(RNG.uniform(0.2, 0.5, D))
CENTRE = RNG.normal(0, 0.7, D)
X = np.zeros(3)
NAMES = tuple("abcde")
PLAIN = Independent(NAMES, (Normal(mean=2, sd=3),) * D)
BOX = box(NAMES, [-1] * D, [3] * D)


def gaussian(centre=CENTRE, root=ROOT):
    return Gaussian(jnp.asarray(centre, jnp.float32), jnp.asarray(root, jnp.float32))


def posterior(prior, density, config=None, size=3):
    return Posterior(prior, density, config or deep(), size, {})


def test_gaussian():
    """Where theta is linear in z, all estimates are its mean, and Laplace is exact."""
    result = estimate(posterior(PLAIN, gaussian()), X, 4096)
    mean, covariance = 2 + 3 * CENTRE, 9 * ROOT @ ROOT.T
    sd = np.sqrt(np.diag(covariance))
    for point in (result.mean, result.median, result.geometric_median):
        np.testing.assert_array_less(np.abs(point - mean), 6 * sd / np.sqrt(4096))
    np.testing.assert_allclose(result.sd, sd, rtol=0.06)
    np.testing.assert_allclose(result.standard_error, sd / 64, rtol=0.06)
    np.testing.assert_array_less(np.abs(result.mean_of_256 - mean), 5 * 0.0625 * sd)
    assert len(result.modes) == 1 and result.modes[0].mass == 1 and result.network_sd is None
    np.testing.assert_allclose(result.map, mean, atol=1e-2 * sd.min())
    np.testing.assert_allclose(result.modes[0].covariance, covariance, atol=1e-3 * sd.max() ** 2)
    peak = multivariate_normal(mean, covariance).logpdf(mean)
    assert result.modes[0].log_q == pytest.approx(peak, abs=1e-2)


def test_standard_error_of_256_draws_is_its_scatter():
    q = posterior(PLAIN, gaussian())
    means = np.array([q.mean(X, 256, seed) for seed in range(200)])
    share = means.std(axis=0) / (3 * np.sqrt(np.diag(ROOT @ ROOT.T)))
    np.testing.assert_allclose(share, 0.0625, rtol=0.2)


def test_map_is_of_physical_theta():
    """Behind a box the Jacobian counts: z = (1 - s^2)^-1 m, not m, in closed form."""
    s, m = np.array([0.3, 0.5, 0.7, 0.2, 0.4]), np.array([0.8, -0.6, 0.4, 1.5, 0.0])
    result = modes(*_drawn(posterior(BOX, gaussian(m, np.diag(s)))))
    assert len(result) == 1
    z = m / (1 - s**2)
    np.testing.assert_allclose(result[0].theta, -1 + 4 * ndtr(z), atol=2e-3)
    stretch = 4 * norm.pdf(z)  # dtheta / dz
    exact = stretch**2 / (1 / s**2 - 1)
    np.testing.assert_allclose(result[0].covariance, np.diag(exact), atol=2e-3 * exact.max())
    assert not result[0].at_edge.any()


def test_a_parameter_that_is_not_told_has_its_map_at_the_edge():
    """A shade wider than the prior, and the highest density is at its end; that is said."""
    s = np.array([0.3, 1.05, 0.3, 0.3, 0.3])
    top = modes(*_drawn(posterior(BOX, gaussian(np.zeros(D) + 0.1, np.diag(s)))))[0]
    np.testing.assert_array_equal(top.at_edge, [False, True, False, False, False])
    assert np.isnan(top.covariance).all()


def _drawn(q, n=2048):
    return q, X, q.sample(X, n)


@pytest.fixture(scope="module")
def moons():
    return posterior(two_moons().prior, TwoMoons(), size=2)


def test_the_exact_two_moons_are_the_task_s(moons):
    x, rng = np.array([0.1, -0.05]), np.random.default_rng(0)
    task = two_moons()
    exact = task.exact(x, 1000, rng)
    assert c2st(exact, moons.sample(x, 1000)).accuracy < 0.55
    grid = np.stack(np.meshgrid(*[np.linspace(-0.999, 0.999, 1000)] * 2), axis=-1).reshape(-1, 2)
    assert np.exp(moons.log_prob(grid, x)).mean() * 4 == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_moons_have_two_modes(moons, seed):
    x = np.array([0.1, -0.05])
    found = estimate(moons, x, 2048, seed).modes
    assert len(found) == 2 and sum(m.mass for m in found) == pytest.approx(1)
    np.testing.assert_allclose([m.mass for m in found], 0.5, atol=5 * 0.5 / np.sqrt(2048))
    assert found[0].theta.sum() * found[1].theta.sum() < 0  # one on either side
    for mode in found:
        place = np.array([-np.abs(mode.theta.sum()), np.diff(mode.theta)[0]]) / np.sqrt(2)
        radius = np.linalg.norm(x - place - [0.25, 0])
        # The ridge of N(r; 0.1, 0.01) / r: r (r - 0.1) = -0.01^2.
        assert radius == pytest.approx(0.05 + np.sqrt(0.05**2 - 1e-4), abs=5e-4)


def test_the_mean_of_two_moons_lies_between_them_and_no_mode_does(moons):
    result = estimate(moons, np.zeros(2), 4096)
    assert np.abs(result.mean.sum()) < 0.05 and np.abs(result.map.sum()) > 0.3


def test_unequal_masses():
    rng = np.random.default_rng(1)
    points = rng.standard_normal((3000, 6))
    points[:600, 0] += 7
    log_q = np.logaddexp(
        np.log(0.8) + multivariate_normal(np.zeros(6)).logpdf(points),
        np.log(0.2) + multivariate_normal([7, 0, 0, 0, 0, 0]).logpdf(points),
    )
    share = np.sort(np.unique(basins(points, log_q), return_counts=True)[1]) / 3000
    np.testing.assert_allclose(share, [0.2, 0.8], atol=0.01)


def test_a_handful_of_draws_has_its_modes_too():
    """Fewer than a path would look around among."""
    points = np.array([[0.1 * i, 0] for i in range(5)] + [[9, 0.1 * i] for i in range(3)])
    assert set(basins(points, np.array([-3, -2, -1, -2, -3, -9, 0, -9]))) == {6}
    assert set(basins(points[:1], np.zeros(1))) == {0}
    assert set(basins(points[:5], np.array([-3, -2, -1, -2, -3]))) == {2}


def test_geometric_median_is_robust():
    """A tenth of the draws far off moves the mean by their share, the geometric median little."""
    points = np.random.default_rng(2).standard_normal((2000, 3))
    points[:200] += 30
    assert np.linalg.norm(points.mean(axis=0)) > 5
    assert np.linalg.norm(geometric_median(points)) < 0.5


def test_sd_over_an_ensemble():
    apart = np.array([0.3, 0, 0, 0, 0])
    pair = Ensemble(stack([gaussian(CENTRE - apart), gaussian(CENTRE + apart)]), 2)
    q = posterior(PLAIN, pair, deep(members=2))
    assert len(q.members) == 2 and q.members[0].config.members == 1
    network_sd = estimate(q, X, 4096).network_sd
    assert (
        network_sd[0] == pytest.approx(np.sqrt(2) * 0.9, rel=0.05) and (network_sd[1:] < 0.15).all()
    )


BAD = {
    "few draws": (lambda: estimate(posterior(PLAIN, gaussian()), X, 100), "give n >= 256"),
    "batch": (lambda: estimate(posterior(PLAIN, gaussian()), [X, X]), "one observation"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_calls(case):
    call, message = BAD[case]
    with pytest.raises(InputError, match=message):
        call()
