"""Prior, flow, training and posterior against closed forms, autodiff and exact posteriors."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from raybayes.density import CINN, Flow, trainable
from raybayes.errors import InputError
from raybayes.posterior import Posterior
from raybayes.prior import BoxPrior
from raybayes.train import Trainer, Training

BOX = BoxPrior(("a", "b"), (-1.0, 2.0), (1.0, 6.0))
SMALL = {"blocks": 4, "width": 32, "embedding": (32, 16)}
FLOWS = {
    "default": Flow(**SMALL),
    "permutations, relu": Flow(**SMALL, mixing="permutation", activation="relu"),
    "the talk's, two halves": Flow(**SMALL, halves=2, mixing="permutation"),
}


# --- prior -------------------------------------------------------------------------------------


def test_bijection_and_its_determinant():
    theta = BOX.sample(200, np.random.default_rng(0))
    z = BOX.to_real(theta)
    np.testing.assert_allclose(BOX.from_real(z), theta, atol=1e-12)
    step = 1e-6
    slope = (BOX.to_real(theta + step) - BOX.to_real(theta - step)) / (2 * step)
    np.testing.assert_allclose(BOX.log_det_to_real(theta), np.log(slope).sum(axis=1), atol=1e-4)


def test_prior_becomes_standard_normal():
    z = BOX.to_real(BOX.sample(20_000, np.random.default_rng(0)))
    np.testing.assert_allclose(np.cov(z.T), np.eye(2), atol=0.04)


def test_nothing_leaves_the_box():
    theta = BOX.from_real(1e3 * np.random.default_rng(0).standard_normal((1_000_000, 2)))
    assert np.isfinite(BOX.log_prob(theta)).all()
    assert np.array_equal(BOX.log_prob([[0, 1.9], [0, 4]]), [-np.inf, -np.log(8)])


BOXES = {
    "reversed": ((("a",), (1.0,), (0.0,)), "prior of a: low 1 must be below high 0"),
    "empty": ((("a",), (1.0,), (1.0,)), "must be below"),
    "not finite": ((("a",), (0.0,), (np.inf,)), "must be below"),
    "twice": ((("a", "a"), (0.0, 0.0), (1.0, 1.0)), "stands twice"),
    "lengths": ((("a",), (0.0, 0.0), (1.0, 1.0)), "one name, one low"),
}


@pytest.mark.parametrize("case", BOXES)
def test_bad_boxes(case):
    arguments, message = BOXES[case]
    with pytest.raises(InputError, match=message):
        BoxPrior(*arguments)


# --- flow --------------------------------------------------------------------------------------


def network(config, dim, size=5, spread=0.5):
    """A flow away from its start, where every block is nearly the identity."""
    flow = CINN(config, dim, size, 1.0, seed=1)
    weights, rest = eqx.partition(flow, trainable(flow))
    leaves, tree = jax.tree.flatten(weights)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    noisy = [a + spread * jax.random.normal(k, a.shape) / a.shape[-1] ** 0.5
             for a, k in zip(leaves, keys, strict=True)]  # fmt: skip
    return eqx.combine(jax.tree.unflatten(tree, noisy), rest)


@pytest.mark.parametrize("dim", [1, 2, 5, 6])
@pytest.mark.parametrize("case", FLOWS)
def test_inverse_and_determinant(case, dim, strict_jax):
    """Samples pushed back give the base, and log_prob has autodiff's log-determinant."""
    flow = network(FLOWS[case], dim)
    x, key = jnp.arange(5.0), jax.random.key(0)
    with jax.enable_x64(True):
        flow = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, flow)
        x = x.astype(jnp.float64)
        base = jax.random.normal(key, (1, dim))

        def to_base(z):
            c = flow.embed(x)
            for coupling, mixing in zip(flow.couplings, flow.constants.mixings, strict=True):
                z, _ = coupling.forward(mixing @ z, c)
            return z

        z = flow.sample(x, key, 1)[0]
        # The mixings are orthogonal to float32.
        np.testing.assert_allclose(to_base(z), base[0], atol=2e-5)
        jacobian = jax.jacfwd(to_base)(z)
        exact = jnp.linalg.slogdet(jacobian)[1] + multivariate_normal(np.zeros(dim)).logpdf(base[0])
        np.testing.assert_allclose(flow.log_prob(z, x), exact, atol=1e-4)


@pytest.mark.parametrize("case", FLOWS)
def test_density_integrates_to_one(case, strict_jax):
    flow = network(FLOWS[case], 2, spread=0.15)
    grid = np.linspace(-12, 12, 401, dtype=np.float32)
    z = jnp.asarray(np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2))
    log_q = jax.vmap(lambda one: flow.log_prob(one, jnp.arange(5.0)))(z)
    integral = np.exp(np.asarray(log_q, np.float64)).sum() * (grid[1] - grid[0]) ** 2
    assert integral == pytest.approx(1, abs=0.01)


# Random permutations between half blocks may leave a coordinate alone; the other two cannot.
@pytest.mark.parametrize("case", [c for c in FLOWS if c != "permutations, relu"])
def test_every_coordinate_depends_on_x(case, strict_jax):
    flow = network(FLOWS[case], 5)
    jacobian = jax.jacfwd(lambda x: flow.sample(x, jax.random.key(0), 1)[0])(jnp.arange(5.0))
    assert (jnp.abs(jacobian).max(axis=1) > 1e-4).all()


# --- training and posterior, on a problem with an exact answer ---------------------------------

SLOPE = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, -1.0]])
NOISE = 0.3


def problem(n, config, epochs=12, seed=0):
    """theta in a box, x = SLOPE z + noise + 20: in z = to_real(theta) it is linear Gaussian."""
    rng = np.random.default_rng(seed)
    theta = BOX.sample(n + 500, rng)
    z = BOX.to_real(theta).astype(np.float32)
    clean = z @ SLOPE.T + 20

    def observe(rows, stream):
        noise = NOISE * np.random.default_rng((seed, stream)).standard_normal((len(rows), 3))
        return (rows + noise).astype(np.float32)

    flow = CINN(config, 2, 3, 1.0, seed).standardised(observe(clean[:n], 0))
    settings = Training(epochs=epochs, batch=100, patience=epochs)
    held_out = (z[n:], observe(clean[n:], 999))
    return Trainer(
        flow, trainable(flow), settings, lambda e: (z[:n], observe(clean[:n], e)), held_out, n, seed
    )


def exact_posterior(x):
    precision = np.eye(2) + SLOPE.T @ SLOPE / NOISE**2
    covariance = np.linalg.inv(precision)
    return (x - 20) @ SLOPE @ covariance / NOISE**2, covariance


@pytest.fixture(scope="module")
def trained():
    config = FLOWS["default"]
    trainer = problem(20_000, config)
    fit = trainer.fit()
    made_by = {"raybayes": "test"}
    return trainer, fit, Posterior(BOX, fit.density, config, 3, made_by)


def test_linear_gaussian_likelihood(trained):
    """Held-out -log q within 0.02 nat of the exact posterior's."""
    trainer, fit, _ = trained
    z, x = (np.asarray(a, np.float64) for a in trainer.held_out)
    mean, covariance = exact_posterior(x)
    exact = -multivariate_normal(np.zeros(2), covariance).logpdf(z - mean).mean()
    assert fit.history[fit.best_epoch][1] == pytest.approx(exact, abs=0.02)


def test_posterior_moments(trained):
    _, _, posterior = trained
    x = np.array([20.4, 19.5, 21.0])
    mean, covariance = exact_posterior(x)
    z = BOX.to_real(posterior.sample(x, 20_000, seed=1))
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(z.mean(axis=0), mean, atol=0.15 * sd.max())
    np.testing.assert_allclose(z.std(axis=0), sd, rtol=0.08)


def test_log_prob_is_the_density_of_theta(trained):
    _, _, posterior = trained
    x = np.array([20.4, 19.5, 21.0])
    draws = posterior.sample(x, 4000, seed=2)
    mean, covariance = exact_posterior(x)
    exact = multivariate_normal(mean, covariance).logpdf(BOX.to_real(draws))
    exact += BOX.log_det_to_real(draws)
    difference = posterior.log_prob(draws, x) - exact
    assert np.abs(difference.mean()) < 0.05 and difference.std() < 0.3
    assert posterior.log_prob([2.0, 3.0], x) == -np.inf


def test_batches(trained):
    _, _, posterior = trained
    x = 20 + np.random.default_rng(0).standard_normal((3, 3))
    draws = posterior.sample(x, 50, seed=3)
    assert draws.shape == (3, 50, 2)
    assert np.isfinite(BOX.log_prob(draws)).all()
    log_q = posterior.log_prob(draws, x)
    assert log_q.shape == (3, 50)
    one = np.stack([posterior.log_prob(d, each) for d, each in zip(draws, x, strict=True)])
    np.testing.assert_allclose(log_q, one, atol=1e-3)
    assert posterior.mean(x).shape == posterior.median(x).shape == (3, 2)
    low, high = posterior.interval(x, 0.9)
    assert (low < high).all()
    inside = (low[:, None] <= draws) & (draws <= high[:, None])
    assert inside.mean() == pytest.approx(0.9, abs=0.06)


def test_save_and_load(trained, tmp_path):
    _, _, posterior = trained
    posterior.save(tmp_path / "p.safetensors")
    again = Posterior.load(tmp_path / "p.safetensors")
    x = np.array([20.4, 19.5, 21.0])
    assert np.array_equal(again.sample(x, 10), posterior.sample(x, 10))
    assert again.prior == BOX and again.made_by == posterior.made_by


def test_resume_ends_in_the_same_weights(tmp_path):
    config, path = FLOWS["default"], tmp_path / "checkpoint.safetensors"
    whole = problem(500, config, epochs=6).fit()

    class Killed(Exception):
        pass

    def kill(state):
        if state.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        problem(500, config, epochs=6).fit(path, "me", kill)
    resumed = problem(500, config, epochs=6).fit(path, "me")
    assert resumed.history == whole.history
    for a, b in zip(*(jax.tree.leaves(f.density) for f in (whole, resumed)), strict=True):
        assert np.array_equal(a, b)
    with pytest.raises(InputError, match="another study"):
        problem(500, config, epochs=6).fit(path, "somebody else")


def test_a_loss_that_is_not_finite_keeps_the_best():
    trainer = problem(500, FLOWS["default"], epochs=6)

    def draw(epoch):
        z, x = trainer.draw(epoch)
        return z, x * np.float32(np.nan if epoch == 3 else 1)

    fit = dataclasses.replace(trainer, draw=draw).fit()
    assert "not finite in epoch 4" in fit.stopped
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(fit.density))


def test_early_stop():
    trainer = problem(200, FLOWS["default"], epochs=60)
    config = trainer.config.model_copy(update={"patience": 2, "learning_rate": 0.05})
    fit = dataclasses.replace(trainer, config=config).fit()
    assert "no improvement in 2 epochs" in fit.stopped and len(fit.history) < 60
    assert fit.best_epoch == np.argmin([v for _, v in fit.history])


CALLS = {
    "wrong length": (lambda p: p.sample(np.zeros(4), 5), r"has shape \(4,\)"),
    "NaN": (lambda p: p.sample([20.0, np.nan, 20.0], 5), r"not finite in 1 places.*\[1\]"),
    "infinity": (lambda p: p.sample([[20.0, 1, np.inf]], 5), r"first at index \[0, 2\]"),
    "no draws": (lambda p: p.sample(np.full(3, 20.0), 0), "at least one draw"),
    "theta's shape": (lambda p: p.log_prob([1.0], np.full(3, 20.0)), "theta has shape"),
    "theta's batch": (lambda p: p.log_prob(np.zeros((4, 2)), np.full((3, 3), 20.0)), "for each"),
    "level": (lambda p: p.interval(np.full(3, 20.0), 1.5), "between 0 and 1"),
}


@pytest.mark.parametrize("case", CALLS)
def test_bad_calls(case, trained):
    call, message = CALLS[case]
    with pytest.raises(InputError, match=message):
        call(trained[2])


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match="not a whole raybayes file"):
        Posterior.load(tmp_path / "none")
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(InputError, match="not a whole raybayes file"):
        Posterior.load(tmp_path / "junk")
