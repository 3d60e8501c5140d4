"""Does training reach the exact likelihood, and end the same after a stop?"""

import dataclasses
from dataclasses import replace

import jax
import numpy as np
import pytest
from densities import BOX, DENSITIES, SMALL
from linear_task import exact_posterior, problem, simulated
from optax.contrib import MuonDimensionNumbers
from scipy.stats import multivariate_normal

from raybayes.density import (
    deep,
    rnade,
)
from raybayes.errors import InputError
from raybayes.inference.estimator import Estimator
from raybayes.inference.muon import matrices
from raybayes.inference.train import Training
from raybayes.prior import (
    box,
)


@pytest.mark.slow
def test_mixtures_start_at_the_linear_posterior_in_the_box():
    """x = A theta + noise in a uniform box: few pairs do (from the prior: .4 to .5 nat)."""
    rng, noise, pairs = np.random.default_rng(0), 0.2, 300
    slope = np.array([[1.0, 0.4], [0.0, 1.0], [0.5, -0.5]])
    prior = box(["a", "b"], [-1, -1], [1, 1])
    theta = prior.sample(pairs + 500, rng)
    x = theta @ slope.T + noise * rng.standard_normal((len(theta), 3))
    config = rnade(start="linear", components=2, widths=(16,), embedding={"widths": ()})
    training = Training(epochs=15, batch=50, learning_rate=1e-2)
    found = Estimator(prior, config, training).fit(theta[:pairs], x[:pairs])
    axis = np.linspace(-1, 1, 201)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    exact = []
    for one, true in zip(x[pairs:], theta[pairs:], strict=True):
        log_p = -(((np.vstack([grid, true]) @ slope.T - one) / noise) ** 2).sum(axis=1) / 2
        exact.append(log_p[-1] - np.logaddexp.reduce(log_p[:-1]) - 2 * np.log(axis[1] - axis[0]))
    log_q = found.log_prob(theta[pairs:, None], x[pairs:])[:, 0]
    assert abs(np.mean(exact - log_q)) < 0.2


def test_linear_gaussian_likelihood(trained):
    """Held-out -log q within 0.02 nat of the exact posterior's."""
    trainer, fit, _ = trained
    z, x = (np.asarray(a[0], np.float64) for a in trainer.held_out)
    mean, covariance = exact_posterior(x)
    exact = -multivariate_normal(np.zeros(2), covariance).logpdf(z - mean).mean()
    assert fit.history[fit.best_epochs[0] - 1][1] == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("case", ["deep", "autoregressive mixtures"])
def test_muon_reaches_the_exact_likelihood(case):
    """Mixtures in the box come within .05 nat of a posterior that is Gaussian outside of it."""
    trainer = problem(20_000, DENSITIES[case], optimiser="muon")
    z, x = (np.asarray(a[0], np.float64) for a in trainer.held_out)
    mean, covariance = exact_posterior(x)
    exact = -multivariate_normal(np.zeros(2), covariance).logpdf(z - mean).mean()
    assert min(trainer.fit().least) == pytest.approx(exact, abs=0.02 if case == "deep" else 0.05)


def test_muon_takes_the_matrices_of_every_layer():
    """Those of stacked layers too; small ones and biases are left to AdamW, however many."""
    params = problem(500, deep(**SMALL | {"layers": 8})).init().params
    alone = jax.tree.map(lambda a: a[0], params)
    weights = jax.tree.leaves(alone, is_leaf=lambda a: a is None)
    marks = jax.tree.leaves(
        matrices(alone), is_leaf=lambda m: m is None or isinstance(m, MuonDimensionNumbers)
    )
    taken = [a.shape for a, mark in zip(weights, marks, strict=True) if mark is not None]
    # Of the embedding its second matrix, of the eight layers what reads the context.
    assert sorted(taken) == [(8, 32, 16), (16, 32)]


def test_the_start_is_the_linear_gaussian_posterior():
    trainer = problem(5000, DENSITIES["linear start"])
    z, x = (np.asarray(a[0], np.float64) for a in trainer.held_out)
    mean, covariance = exact_posterior(x)
    exact = -multivariate_normal(np.zeros(2), covariance).logpdf(z - mean).mean()
    assert trainer.init().least == pytest.approx(exact, abs=0.02)


def test_resume_ends_in_the_same_weights(tmp_path):
    config, path = DENSITIES["deep"], tmp_path / "checkpoint.safetensors"
    own = {"epochs": 6}
    whole = problem(500, config, **own).fit()

    class Killed(Exception):
        pass

    def kill(state):
        if state.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        problem(500, config, **own).fit(path, "me", kill)
    resumed = problem(500, config, **own).fit(path, "me")
    assert resumed.history == whole.history
    for a, b in zip(*(jax.tree.leaves(f.density) for f in (whole, resumed)), strict=True):
        assert np.array_equal(a, b)
    with pytest.raises(InputError, match="of another study, other data"):
        problem(500, config, **own).fit(path, "somebody else")


@pytest.mark.parametrize("online", [False, True])
def test_a_checkpoint_serves_its_own_fit_alone(online, tmp_path):
    """Of the same data, architecture, training and seed; also where no study is named."""
    path = str(tmp_path / "checkpoint.safetensors")
    rng = np.random.default_rng(0)
    theta = BOX.sample(100, rng)
    x = simulated(theta, rng)

    def fit(estimator, sign=1.0):
        if online:
            return estimator.fit_online(lambda t, r: sign * simulated(t, r), 100, checkpoint=path)
        return estimator.fit(theta, sign * x, checkpoint=path)

    estimator = Estimator(BOX, DENSITIES["deep"], Training(epochs=2))
    first = fit(estimator)
    np.testing.assert_array_equal(fit(estimator).sample(x[0], 5), first.sample(x[0], 5))
    with pytest.raises(InputError, match="not the checkpoint of this fit"):
        fit(estimator, sign=-1.0)
    for change in ({"density": DENSITIES["mixture"]}, {"training": Training()}, {"seed": 1}):
        with pytest.raises(InputError, match="not the checkpoint of this fit"):
            fit(replace(estimator, **change))
    first.save(path)
    with pytest.raises(InputError, match="not the checkpoint of this fit"):
        fit(estimator)


def test_the_running_mean_of_a_short_run_forgets_its_start():
    def least(averaging):
        return problem(1000, DENSITIES["deep"], averaging=averaging).fit().least[0]

    assert abs(least(0.999) - least(0)) < 0.05  # nats


def test_a_loss_that_is_not_finite_keeps_the_best():
    trainer = problem(500, DENSITIES["deep"], epochs=6)

    def draw(epoch):
        z, x = trainer.draw(epoch)
        return z, x * np.float32(np.nan if epoch == 3 else 1)

    fit = dataclasses.replace(trainer, draw=draw).fit()
    assert "not finite in epoch 4" in fit.stopped
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(fit.density))


def test_early_stop():
    trainer = problem(200, DENSITIES["deep"], epochs=60)
    config = trainer.config.model_copy(update={"patience": 2, "learning_rate": 0.05})
    fit = dataclasses.replace(trainer, config=config).fit()
    assert "no improvement in 2 epochs" in fit.stopped and len(fit.history) < 60
    losses = [trainer.init().least[0], *(valid for _, valid in fit.history)]
    assert fit.best_epochs == (np.argmin(losses),)
