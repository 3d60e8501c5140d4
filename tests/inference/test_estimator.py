"""Does an estimator fit pairs, simulators and noise of one's own, and refuse the rest?"""

from dataclasses import replace

import numpy as np
import pytest
from densities import BOX, DENSITIES, PRIORS, SMALL
from linear_task import NOISE, SLOPE, exact_loss, exact_posterior, simulated
from scipy.stats import multivariate_normal

from raybayes.density import (
    deep,
    flow_matching,
    mixture,
)
from raybayes.errors import InputError
from raybayes.inference.estimator import Estimator, Proposed, best_of
from raybayes.inference.noise import Nuisance
from raybayes.inference.posterior import Posterior
from raybayes.inference.train import Training
from raybayes.prior import (
    Independent,
    Normal,
    Raw,
    box,
)


def test_fit_of_plain_pairs():
    """theta, x -> posterior, without a word of noise: an ensemble on fixed pairs."""
    rng = np.random.default_rng(1)
    prior = PRIORS["normal"]
    theta = prior.sample(4000, rng)
    z = prior.to_real(theta)
    x = z @ SLOPE.T + NOISE * rng.standard_normal((4000, 3))
    estimator = Estimator(prior, DENSITIES["ensemble"], Training(epochs=12, patience=12))
    posterior, fit = estimator.train(theta, x)
    mean, covariance = exact_posterior(x[0] + 20)
    draws = prior.to_real(posterior.sample(x[0], 5000))
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05)
    assert fit.density.count == 3 and posterior.size == 3


def test_parameters_that_cost_no_simulations():
    """Stored pairs know nothing of the last parameter, which every epoch draws anew."""
    rng = np.random.default_rng(1)
    prior = PRIORS["normal"]
    theta = prior.sample(2000, rng)
    z = prior.to_real(theta)
    clean = z[:, :-1] @ SLOPE[:, :-1].T
    asked = []

    def afresh(theta, clean, rng):
        new = prior.to_real(prior.sample(len(theta), rng))[:, -1:]
        asked.append(new.sum())
        both = np.column_stack([prior.to_real(theta)[:, :-1], new])
        return prior.from_real(both), clean + new @ SLOPE[:, -1:].T

    noise = Nuisance(lambda x, rng: x + NOISE * rng.standard_normal(x.shape), afresh)
    estimator = Estimator(prior, DENSITIES["ensemble"], Training(epochs=16, patience=16))
    posterior, _ = estimator.train(theta, clean, noise)
    x = clean[0] + SLOPE[:, -1]
    mean, covariance = exact_posterior(x + 20)
    draws = prior.to_real(posterior.sample(x, 5000))
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05)
    assert len(set(asked)) == len(asked) >= 16


def test_a_simulator_cannot_change_its_theta():
    """Nor what the network learns that they were."""

    def in_place(theta, rng):
        x = simulated(theta, rng)
        theta *= 0
        return x

    estimator = Estimator(BOX, DENSITIES["deep"], Training(epochs=2))
    x = np.zeros(3)
    one, two = (estimator.fit_online(s, 60).sample(x, 5) for s in (simulated, in_place))
    np.testing.assert_array_equal(one, two)


def test_online_fit(tmp_path):
    """No simulation is seen twice, and a killed fit goes on to the same weights."""
    seen, path = [], tmp_path / "checkpoint.safetensors"

    def simulate(theta, rng):
        x = simulated(theta, rng)
        seen.append(x)
        return x

    def fitted(**more):
        training = Training(epochs=10, batch=100)
        estimator = Estimator(BOX, DENSITIES["deep"], training)
        return estimator.fit_online(simulate, 4000, **more)

    posterior = fitted()
    rows = np.concatenate(seen)
    assert len(rows) == 10 * 4000 + 200 and len(np.unique(rows, axis=0)) == len(rows)

    def kill(state):
        if state.epoch == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(checkpoint=path, progress=kill)
    again = fitted(checkpoint=path)
    rng = np.random.default_rng(5)
    theta = BOX.sample(500, rng)
    x = simulated(theta, rng)
    log_q = posterior.log_prob(theta[:, None], x)[:, 0]
    np.testing.assert_array_equal(log_q, again.log_prob(theta[:, None], x)[:, 0])
    loss = -(log_q - BOX.log_det_to_real(theta)).mean()
    assert loss == pytest.approx(exact_loss(theta, x), abs=0.05)


def test_noise_of_ones_own():
    """It cannot change the pairs, and what it makes is looked at."""
    rng = np.random.default_rng(0)
    theta = BOX.sample(60, rng)
    x = simulated(theta, rng)
    estimator = Estimator(BOX, DENSITIES["deep"], Training(epochs=2))

    def in_place(rows, rng):
        rows += rng.standard_normal(rows.shape)
        return rows

    with pytest.raises(ValueError, match="read-only"):
        estimator.fit(theta, x, in_place)
    bad = {
        r"x with its noise has shape \(\d+,\)": lambda rows, rng: rows[:, 0],
        "x with its noise is not finite as float32 in 1 of 3 rows": lambda rows, rng: (
            rows / (rows != rows[0])
        ),
        r"(\d+) of \1 rows, the first is row 0 .* give x in a larger unit": lambda rows, rng: (
            rows * 1e39
        ),
    }
    for message, noise in bad.items():
        with pytest.raises(InputError, match=message), np.errstate(all="ignore"):
            estimator.fit(theta, x, noise)
    with pytest.raises(InputError, match=message):
        estimator.fit(theta, 1e39 * x)
    with pytest.raises(InputError, match=message):
        estimator.fit_online(lambda t, r: 1e39 * simulated(t, r), 60)
    with pytest.raises(
        InputError, match=r"x is not finite as float32 in 1 of 60 .* row 40 of them"
    ):
        estimator.fit(theta, np.where(np.arange(60)[:, None] == 40, 1e39, x))
    posterior = estimator.fit(theta, x, lambda rows, rng: rows[:, :2])
    assert posterior.size == 2 and posterior.sample(x[0, :2], 4).shape == (4, 2)


def test_a_start_is_of_the_same_kind():
    rng = np.random.default_rng(0)
    theta = BOX.sample(60, rng)
    x = simulated(theta, rng)
    estimator = Estimator(BOX, DENSITIES["deep"], Training(epochs=1))
    start = estimator.fit(theta, x)
    wider = box(BOX.names, [-2, -2], [9, 9])
    others = [
        (replace(estimator, prior=Raw(BOX)), x),
        (replace(estimator, density=DENSITIES["mixture"]), x),
        (replace(estimator, density=DENSITIES["ensemble"]), x),
        (replace(estimator, prior=wider), x),
        (estimator, x[:, :2]),
    ]
    for other, seen in others:
        with pytest.raises(InputError, match="start: this posterior has another prior"):
            other.fit(theta, seen, proposed=Proposed(start))


def test_an_estimator_is_data():
    assert Estimator(BOX) == Estimator(BOX) != Estimator(BOX, seed=1)
    with pytest.raises(InputError, match="seed = -1"):
        Estimator(BOX, seed=-1)


def test_the_best_of_two():
    """x linear in z with 10 parameters and few pairs: only the linear start comes near."""
    rng = np.random.default_rng(3)
    prior = box([f"t{i}" for i in range(10)], [-1] * 10, [1] * 10)
    theta = prior.sample(400, rng)
    x = prior.to_real(theta) + 0.3 * rng.standard_normal(theta.shape)
    tried = [
        Estimator(prior, deep(**SMALL, members=2, start=start), Training(epochs=3))
        for start in ("prior", "linear")
    ]
    estimator, posterior, fit = best_of(tried, theta, x)
    assert estimator is tried[1]
    draws = prior.to_real(posterior.sample(x[0], 4000))
    gain = 1 / (1 + 0.3**2)
    np.testing.assert_allclose(draws.mean(axis=0), gain * x[0], atol=0.2)
    np.testing.assert_allclose(draws.std(axis=0), 0.3 * gain**0.5, rtol=0.25)
    assert posterior.density.count == 2 and len(fit.best_epochs) == 2
    with pytest.raises(InputError, match="at least one estimator"):
        best_of([], theta, x)


def test_losses_of_several_kinds_are_not_compared():
    """That of flow matching is a squared error; what is judged is log q."""
    rng = np.random.default_rng(3)
    prior = Independent(tuple("abcdefgh"), (Normal(mean=0, sd=1),) * 8)
    theta = prior.sample(2000, rng)
    x = theta + rng.standard_normal(theta.shape)
    small = {"embedding": {"widths": (16,)}}
    tried = [
        Estimator(prior, mixture(components=2, widths=(16,), **small), Training(epochs=15)),
        Estimator(prior, flow_matching(widths=(32, 32), **small), Training(epochs=15)),
    ]

    def same(rows, rng):
        return rows

    best, *_ = best_of(tried, theta, x, same)
    losses = [float(one.train(theta, x, same)[1].least[0]) for one in tried]
    assert best is tried[1] and losses[0] < losses[1]


class Shifted:
    """A prior of one's own: a standard normal around 5."""

    names, dim, sd = ("a",), 1, np.ones(1)

    def sample(self, n, rng):
        return 5 + rng.standard_normal((n, 1))

    def log_prob(self, theta):
        return multivariate_normal([5.0]).logpdf(theta)

    def to_real(self, theta):
        return np.asarray(theta) - 5

    def from_real(self, z):
        return np.asarray(z) + 5

    def log_det_to_real(self, theta):
        return np.zeros(np.shape(theta)[:-1])


def test_a_prior_of_ones_own(tmp_path):
    prior, path = Shifted(), tmp_path / "p.safetensors"
    theta = prior.sample(500, np.random.default_rng(0))
    posterior = Estimator(prior, DENSITIES["deep"], Training(epochs=2)).fit(theta, theta * [[1, 1]])
    posterior.save(path)
    with pytest.raises(InputError, match=r"prior of your own; give it to load\(prior=...\)"):
        Posterior.load(path)
    again = Posterior.load(path, prior)
    assert np.array_equal(again.sample([5.0, 5.0], 9), posterior.sample([5.0, 5.0], 9))
    with pytest.raises(InputError, match="made with the parameters a"):
        Posterior.load(path, BOX)


PAIRS = {
    "theta's columns": (np.ones((30, 3)), np.ones((30, 2)), r"theta has shape \(30, 3\)"),
    "rows": (np.full((30, 2), [0, 3]), np.ones((29, 2)), r"must be \[30, size\]"),
    "too few": (np.full((5, 2), [0, 3]), np.ones((5, 2)), "5 pairs are too few"),
    "NaN": (np.full((30, 2), [0, 3]), np.full((30, 2), np.nan), "30 of 30 pairs"),
    "outside": (np.full((30, 2), [0, 9]), np.ones((30, 2)), "outside the prior, the first is row"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_bad_pairs(case):
    theta, x, message = PAIRS[case]
    with pytest.raises(InputError, match=message):
        Estimator(BOX, DENSITIES["deep"]).fit(theta, x)


def test_missing_entries_are_left_out():
    """Beside the exact posterior of the entries that are there, also of single ones."""
    rng = np.random.default_rng(5)
    theta = BOX.sample(20_000, rng)
    x = simulated(theta, rng) + 20
    missing = rng.random(x.shape) < 0.3
    holed = np.where(missing, np.nan, x)
    config = mixture(components=2, missing=True)
    estimator = Estimator(BOX, config, Training(epochs=25, patience=25))
    posterior = estimator.fit(theta, holed)
    for lost in ([0], [1], [2], [0, 2]):
        seen = np.delete(np.arange(3), lost)
        slope, one = SLOPE[seen], np.array([20.4, 20.1, 19.7])
        covariance = np.linalg.inv(np.eye(2) + slope.T @ slope / NOISE**2)
        mean = covariance @ slope.T @ (one[seen] - 20) / NOISE**2
        one[lost] = np.nan
        z = BOX.to_real(posterior.sample(one, 4000, 1))
        sd = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose((z.mean(axis=0) - mean) / sd, 0, atol=0.25)
        np.testing.assert_allclose(z.std(axis=0) / sd, 1, atol=0.2)


def test_missing_entries_are_refused_by_those_that_have_not_seen_any():
    rng = np.random.default_rng(5)
    theta = BOX.sample(200, rng)
    x = simulated(theta, rng)
    x[3, 1] = np.nan
    with pytest.raises(InputError, match="1 of 200 pairs have an x that is not finite"):
        Estimator(BOX, mixture(), Training(epochs=1)).fit(theta, x)
    posterior = Estimator(BOX, mixture(), Training(epochs=1)).fit(theta, np.nan_to_num(x))
    with pytest.raises(InputError, match="not finite in 1 places"):
        posterior.sample(x[3], 10)
