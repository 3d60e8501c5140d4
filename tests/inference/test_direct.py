"""Is a posterior without a network the exact one, by closed forms and by a grid?"""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from raybayes.errors import InputError
from raybayes.inference.adaptive import adaptive
from raybayes.inference.direct import Effort, Seen, direct
from raybayes.inference.scoring import Task, climb
from raybayes.inference.surrogate import surrogate

SMALL = Effort(design=128, starts=8, each=400, draws=1000)
PLACE = np.linspace(-1, 1, 40)
NOISE = 3.0


def seen(predict, x):
    """An observation with Gaussian noise of what is expected [n, 40]."""

    def summarise(expected):
        total = expected.sum(axis=1)
        middle = expected @ PLACE / np.where(total > 1, total, np.nan)
        return np.stack([total, middle], axis=1)

    task = Task(
        predict,
        lambda expected: norm.logpdf(x, expected, NOISE).sum(axis=1),
        lambda expected: (x - expected, np.full(expected.shape, NOISE**-2.0)),
    )
    summary = summarise(x[None])[0]
    return Seen(task, lambda y: y / NOISE, x / NOISE, summarise, summary, np.array([20.0, 0.05]))


def beam(middle, width, light=100.0):
    """[n, 40]: a Gaussian beam."""
    return light * np.exp(-(((PLACE - middle[:, None]) / width[:, None]) ** 2) / 2)


def curved(z):
    """A beam's place by one parameter, and its width by both: a banana."""
    return beam(0.3 * z[:, 0], 0.1 * np.exp(0.5 * (z[:, 1] + 0.7 * z[:, 0] ** 2)))


def mirrored(z):
    """A beam whose place knows not the sign of a parameter."""
    return beam(0.2 * np.abs(z[:, 0]), 0.2 * np.exp(0.1 * z[:, 1]))


def on_grid(predict, x, n=500):
    """Mean and sd [2] of |z| and of z, share of z_0 > 0, and log evidence."""
    axis = np.linspace(-4, 4, n)
    z = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    log_p = norm.logpdf(x, predict(z), NOISE).sum(axis=1) + norm.logpdf(z).sum(axis=1)
    weight = np.exp(log_p - logsumexp(log_p))
    return *moments(z, weight), float(logsumexp(log_p) + 2 * np.log(axis[1] - axis[0]))


def moments(z, weight):
    mean = weight @ z
    return mean, np.sqrt(weight @ (z - mean) ** 2), float(weight @ (z[:, 0] > 0))


@pytest.mark.parametrize("predict", [curved, mirrored])
def test_it_is_that_of_a_grid(predict):
    rng = np.random.default_rng(1)
    x = predict(np.array([[0.8, -0.3]]))[0] + NOISE * rng.standard_normal(40)
    mean, sd, share, evidence = on_grid(predict, x)
    found = direct(seen(predict, x), 2, SMALL, seed=2)
    weighed = found.weighed
    own_mean, own_sd, own_share = moments(weighed.theta, weighed.weight)
    assert weighed.trusted
    np.testing.assert_allclose(own_mean, mean, atol=0.15 * sd.max())
    np.testing.assert_allclose(own_sd, sd, rtol=0.1)
    assert own_share == pytest.approx(share, abs=0.06)
    assert weighed.log_evidence == pytest.approx(evidence, abs=4 * weighed.standard_error + 0.05)
    assert len(found.tops.z) == (2 if predict is mirrored else 1)


def test_it_is_that_of_a_closed_form():
    """Linear in five parameters, of which the observation knows three."""
    rng = np.random.default_rng(4)
    slope = rng.standard_normal((5, 40)) * np.array([30, 10, 5, 0, 0])[:, None]
    x = 50 + rng.standard_normal(5) @ slope + NOISE * rng.standard_normal(40)
    found = direct(seen(lambda z: 50 + z @ slope, x), 5, SMALL, seed=0).weighed
    covariance = np.linalg.inv(np.eye(5) + slope @ slope.T / NOISE**2)
    mean = covariance @ slope @ (x - 50) / NOISE**2
    exact = multivariate_normal(np.full(40, 50), slope.T @ slope + NOISE**2 * np.eye(40))
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((found.mean() - mean) / sd, 0, atol=0.15)
    np.testing.assert_allclose(found.sd() / sd, 1, atol=0.12)
    assert found.log_evidence == pytest.approx(exact.logpdf(x), abs=0.1)


def test_a_place_that_cannot_be_simulated_fails_alone():
    """The posterior ends there."""
    rng = np.random.default_rng(1)

    def predict(z):
        return np.where(z[:, :1] > 0.9, np.nan, curved(z))

    x = curved(np.array([[0.8, -0.3]]))[0] + NOISE * rng.standard_normal(40)
    found = direct(seen(predict, x), 2, SMALL, seed=2).weighed
    axis = np.linspace(-4, 4, 800)
    z = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    log_p = norm.logpdf(x, curved(z), NOISE).sum(axis=1) - 0.5 * (z**2).sum(axis=1)
    log_p = np.where(z[:, 0] > 0.9, -np.inf, log_p)
    mean, sd, _ = moments(z, np.exp(log_p - logsumexp(log_p)))
    np.testing.assert_allclose(found.mean(), mean, atol=0.2 * sd.max())
    assert found.theta[np.isfinite(found.log_weight), 0].max() <= 0.9


def test_nothing_to_see():
    with pytest.raises(InputError, match="at none of 128 places over the prior does light arrive"):
        direct(seen(lambda z: np.zeros((len(z), 40)), np.full(40, 5.0)), 2, SMALL)


def test_a_seed_determines_it():
    x = curved(np.array([[0.8, -0.3]]))[0]
    one, two, other = (direct(seen(curved, x), 2, SMALL, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.weighed.theta, two.weighed.theta)
    assert one.weighed.log_evidence == two.weighed.log_evidence
    assert not np.array_equal(one.weighed.theta[:50], other.weighed.theta[:50])
    assert one.simulations == two.simulations > 1000


def test_climbs_end_at_the_top():
    x = curved(np.array([[0.8, -0.3]]))[0]
    task = seen(curved, x).task
    tops = climb(task, np.random.default_rng(0).standard_normal((6, 2)))
    axis = np.linspace(-3, 3, 601)
    z = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert tops.value.max() >= task.judged(z)[1].max() - 1e-6


def test_a_surrogate_goes_through_its_nodes_and_is_near_elsewhere():
    rng = np.random.default_rng(0)
    x = curved(np.array([[0.8, -0.3]]))[0]
    around = np.array([0.8, -0.3]) + 0.1 * rng.standard_normal((900, 2))
    near = surrogate(around[:600], curved(around[:600]) / NOISE, x / NOISE, around)

    def exact(z):
        return -0.5 * (((x - curved(z)) / NOISE) ** 2).sum(axis=1) - 0.5 * (z**2).sum(axis=1)

    inner = np.linalg.norm(around - around.mean(axis=0), axis=1) < 0.2
    for rows in (np.arange(600), np.arange(600, 900)[inner[600:]]):
        np.testing.assert_allclose(near.log_p(around[rows]), exact(around[rows]), 1e-3, 0.05)
    assert (near.log_p(np.array([[9.0, 9.0]])) == -np.inf).all()


def test_adaptive_draws_of_a_banana():
    """Its integral is known: a normal one, bent."""

    def log_p(z):
        bent = np.stack([z[:, 0], z[:, 1] - z[:, 0] ** 2], axis=1)
        return norm.logpdf(bent, 0, [1.0, 0.3]).sum(axis=1) + 7.0

    rng = np.random.default_rng(0)
    rough = rng.standard_normal((500, 2)) * [0.5, 1.0] + [0.0, 0.5]
    found = adaptive(log_p, rough, 3000, rng)
    assert found.log_mass == pytest.approx(7.0, abs=0.05 + 3 * found.standard_error)
    drawn = found.sample(4000, rng)
    np.testing.assert_allclose(drawn.mean(axis=0), [0, 1], atol=0.12)
    np.testing.assert_allclose(drawn.std(axis=0), [1, np.sqrt(2 + 0.09)], rtol=0.1)
