"""Rounds for one observation: against an exact posterior, with every method and kind of density."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from raybayes.density import Pretraining, cinn, nsf
from raybayes.density.atomic import Atomic, with_atoms
from raybayes.density.pretraining import Frozen
from raybayes.errors import InputError
from raybayes.inference.estimator import Estimator, Proposed, held_rows
from raybayes.inference.rounds import run_rounds
from raybayes.inference.sequential import Method, Sequential, inside, leakage, snpe_c, tsnpe
from raybayes.inference.train import Training
from raybayes.prior import Independent, Normal, Raw, box

PRIOR = Independent(("a", "b"), (Normal(mean=0, sd=2), Normal(mean=1, sd=1)))
NOISE = 0.3
A = np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]])
X = np.array([1.5, 1.2, -0.4])
PRECISION = np.diag([1 / 4, 1.0]) + A.T @ A / NOISE**2
COVARIANCE = np.linalg.inv(PRECISION)
MEAN = COVARIANCE @ (np.array([0.0, 1.0]) + A.T @ X / NOISE**2)
SMALL = {"layers": 3, "widths": (32,), "embedding": {"widths": (32, 16)}}
DENSITIES = {"cinn": cinn(**SMALL), "nsf": nsf(**SMALL)}
METHODS = {"snpe-c": snpe_c(), "tsnpe": tsnpe()}
TRAINING = Training(epochs=50, patience=50, batch=64, learning_rate=5e-3, validation=0.1)


def simulate(theta, rng):
    return theta @ A.T + NOISE * rng.standard_normal((len(theta), 3))


def sequential(density, method, prior=PRIOR, training=TRAINING, noise=None):
    return Sequential(Estimator(prior, density, training), X, simulate, method, noise)


def after(rounds, task, n):
    state = task.init()
    for _ in range(rounds):
        state = task.step(state, n)
    return state


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("density", DENSITIES)
def test_rounds_reach_the_exact_posterior(density, method):
    """The proposal's distribution must not show in the posterior."""
    state = after(2, sequential(DENSITIES[density], METHODS[method]), 600)
    assert state.rounds == 2 and state.theta.shape == (1200, 2) and state.x.shape == (1200, 3)
    later = state.theta[600:]
    assert (later.std(axis=0) < 0.8 * PRIOR.sd).all()  # nearer to where it matters
    draws = state.posterior.sample(X, 4000)
    sd = np.sqrt(np.diag(COVARIANCE))
    np.testing.assert_allclose(draws.mean(axis=0), MEAN, atol=0.4 * sd.max())
    low, high = np.quantile(draws, [0.16, 0.84], axis=0)
    np.testing.assert_allclose((high - low) / 2, sd, rtol=0.3)
    exact = multivariate_normal(MEAN, COVARIANCE).rvs(4000, random_state=1)
    gap = multivariate_normal(MEAN, COVARIANCE).logpdf(exact) - state.posterior.log_prob(exact, X)
    assert gap.mean() < 0.15  # nats


@pytest.mark.slow
def test_proposals_without_correction_would_be_wrong():
    """What the atoms are for: plain likelihood on SNPE-C's proposals counts the data twice."""
    naive = Method("naive", snpe_c().propose, atoms=1)
    sds = [
        after(4, sequential(DENSITIES["cinn"], m), 400).posterior.sample(X, 4000).std(axis=0)
        for m in (naive, snpe_c())
    ]
    assert sds[0].mean() < 0.85 * sds[1].mean()


def test_a_step_depends_on_the_state_alone():
    """So rounds can be kept, and gone on with, bit by bit."""
    task = sequential(DENSITIES["cinn"], snpe_c(), training=Training(epochs=3))
    state = task.step(task.init(), 100)
    again = task.step(task.init(), 100)
    np.testing.assert_array_equal(state.theta, again.theta)
    one, two = (task.step(s, 100).posterior.sample(X, 5) for s in (state, again))
    np.testing.assert_array_equal(one, two)


def test_rounds_that_were_interrupted_go_on(tmp_path):
    """The same weights, whether a run was stopped after a round or not; nothing is done twice."""
    task = sequential(DENSITIES["cinn"], snpe_c(), training=Training(epochs=3))
    whole = run_rounds(task, 2, 100, tmp_path / "whole")
    run_rounds(task, 1, 100, tmp_path / "halted")

    def refuse(theta, rng):
        raise AssertionError("simulated again")

    posterior = (tmp_path / "halted" / "posterior-000.safetensors").read_bytes()
    assert run_rounds(replace(task, simulate=refuse), 1, 100, tmp_path / "halted").rounds == 1
    resumed = run_rounds(task, 2, 100, tmp_path / "halted")
    assert posterior == (tmp_path / "halted" / "posterior-000.safetensors").read_bytes()
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    np.testing.assert_array_equal(resumed.posterior.sample(X, 5), whole.posterior.sample(X, 5))
    other = replace(PRIOR, marginals=(Normal(mean=0, sd=3), PRIOR.marginals[1]))
    estimators = (replace(task.estimator, prior=other), replace(task.estimator, seed=1))
    changes = ({"x_o": X + 1}, {"noise": simulate}, *({"estimator": e} for e in estimators))
    for change in changes:
        with pytest.raises(InputError, match="rounds of another observation, prior, estimator"):
            run_rounds(replace(task, **change), 2, 100, tmp_path / "halted")


def test_an_embedding_stays_frozen_where_rounds_go_on(tmp_path):
    """A file of weights does not tell that they are."""
    task = sequential(DENSITIES["cinn"], snpe_c(), training=Training(epochs=3))
    plan = Pretraining(epochs=2)
    task = replace(task, estimator=replace(task.estimator, pretraining=plan))
    whole = run_rounds(task, 2, 100, tmp_path / "whole").posterior
    run_rounds(task, 1, 100, tmp_path / "halted")
    resumed = run_rounds(task, 2, 100, tmp_path / "halted").posterior
    np.testing.assert_array_equal(resumed.sample(X, 5), whole.sample(X, 5))
    assert isinstance(resumed.density.density.embedding, Frozen)


@pytest.mark.parametrize("n", [62, 100, 333, 1250])
@pytest.mark.parametrize("share", [0.05, 0.07, 0.3, 0.49])
def test_what_a_round_holds_out_the_next_does_too(n, share):
    """A network that goes on learning is never judged by pairs that it has seen."""
    (now,), (later,) = held_rows(n, share, 1), held_rows(2 * n, share, 1)
    assert set(now) == set(later[later < n]) and len(set(now)) == len(now)
    assert len(now) == pytest.approx(share * n, abs=1)
    assert len(set(held_rows(20 * n, 0.05, 4).ravel())) == 4 * n  # each member other ones


EDGE = box(["a", "b"], [-1, 0], [1.6, 1.3])  # the posterior leans on two edges


@pytest.mark.slow
def test_a_raw_density_leaks_more():
    training = Training(epochs=8, patience=8, learning_rate=5e-3)
    outside = {}
    for name, prior in {"raw": Raw(EDGE), "behind": EDGE}.items():
        task = sequential(DENSITIES["cinn"], snpe_c(), prior, training)
        state = after(2, task, 300)
        assert np.isfinite(EDGE.log_prob(state.theta)).all()  # proposals never leave the prior
        outside[name] = leakage(state.posterior, X)
    assert outside["behind"] < 0.001 and 0.01 < outside["raw"] < 1


def test_leakage_to_the_ends_of_a_prior_is_seen_and_cut():
    """Behind the bijection nothing leaves the support, but all may lie at its very ends."""

    class Leaking:
        prior = EDGE

        def sample(self, x, n, seed):
            z = np.random.default_rng(seed).standard_normal((n, 2))
            z[: n // 4, 1] = -8
            return EDGE.from_real(z)

    assert abs(leakage(Leaking(), X) - 0.25) < 0.001
    draws = inside(Leaking(), X, 10_000)
    assert len(draws) == 10_000 and (np.abs(EDGE.to_real(draws)) < 5.5).all()
    np.testing.assert_allclose(EDGE.to_real(draws).std(axis=0), 1, rtol=0.03)  # the rest is whole


@pytest.mark.slow
def test_noise_is_fresh_in_every_epoch():
    def noise(x, rng):
        return x + NOISE * rng.standard_normal(x.shape)

    task = Sequential(
        Estimator(PRIOR, DENSITIES["cinn"], TRAINING), X, lambda t, rng: t @ A.T, tsnpe(), noise
    )
    state = after(2, task, 400)
    np.testing.assert_array_equal(state.x, state.theta @ A.T)
    sd = np.sqrt(np.diag(COVARIANCE))
    np.testing.assert_allclose(state.posterior.sample(X, 4000).std(axis=0), sd, rtol=0.25)


def test_atoms_hold_their_own_pair_first():
    z, log_p, drawn = np.arange(12.0).reshape(6, 2), np.arange(6.0), np.arange(6) < 2
    every = np.arange(6)
    for rows in (every, np.array([4])):  # all that are compared may be few
        atoms = with_atoms(z, log_p, drawn, rows, 4, np.random.default_rng(0))
        np.testing.assert_array_equal(atoms[:, 0], np.column_stack([z, log_p, drawn])[rows])
        assert atoms.shape == (len(rows), 4, 4)
        assert not (atoms[:, 1:, 0] == z[rows, None, 0]).any()
    atoms = with_atoms(z, log_p, drawn, every, 4, np.random.default_rng(0))
    assert set(atoms[..., 2].flat) == set(range(6))


def test_few_held_out_pairs_are_compared_with_all():
    """One pair held out has ten atoms, too, or nothing would be compared."""
    theta = PRIOR.sample(60, np.random.default_rng(0))
    x = simulate(theta, np.random.default_rng(1))
    estimator = Estimator(PRIOR, DENSITIES["cinn"], Training(epochs=1, validation=0.01))
    _, fit = estimator.train(theta, x, proposed=Proposed(atoms=10))
    assert all(0.2 < loss < 2.5 * np.log(10) for loss in fit.history[0])


@pytest.mark.parametrize("drawn", [0, 600])
def test_atomic_loss_is_least_for_the_posterior(drawn):
    """The exact posterior beats one made wrong, under a proposal that is not the prior.

    Pairs that the prior drew add their plain likelihood, which the exact one maximises, too.
    """
    import jax
    import jax.numpy as jnp
    from jax.scipy.stats import multivariate_normal as normal

    class Exact:
        def __init__(self, scale):
            self.scale = scale

        def log_prob(self, z, x):
            precision = jnp.asarray(PRECISION) / self.scale**2
            mean = jnp.asarray(COVARIANCE) @ (jnp.array([0, 1.0]) + A.T @ x / NOISE**2)
            return normal.logpdf(z, mean, jnp.linalg.inv(precision))

    rng = np.random.default_rng(0)
    theta = np.concatenate([PRIOR.sample(drawn, rng), MEAN + 0.5 * rng.standard_normal((2000, 2))])
    x = simulate(theta, rng).astype(np.float32)
    keys = jax.random.split(jax.random.key(0), len(theta))

    def losses(scale, drawn):
        rows = np.arange(len(theta))
        first = rows < drawn
        atoms = with_atoms(theta, PRIOR.log_prob(theta), first, rows, 10, np.random.default_rng(1))
        return jax.vmap(Atomic(Exact(scale)).loss)(atoms, x, keys)

    loss = {scale: losses(scale, drawn).mean() for scale in (0.6, 1.0, 1.6)}
    assert loss[1.0] < loss[0.6] and loss[1.0] < loss[1.6]
    plain = -jax.vmap(Exact(1.0).log_prob)(theta, x) * (np.arange(len(theta)) < drawn)
    np.testing.assert_allclose(losses(1.0, drawn) - losses(1.0, 0), plain, atol=1e-3)


@pytest.mark.parametrize("x_o", [X[None], X[:0, None], np.array([1.0, np.nan, 0.0])])
def test_bad_observations(x_o):
    task = sequential(DENSITIES["cinn"], tsnpe())
    with pytest.raises(InputError, match="must be one observation"):
        replace(task, x_o=x_o).init()
    with pytest.raises(InputError, match=r"gave x of shape \(30, 3\); it must be \[30, 2\]"):
        short = replace(task, x_o=X[:2])
        short.step(short.init(), 30)


def test_bad_input():
    with pytest.raises(InputError, match="compares at least two"):
        snpe_c(1)
