"""The benchmark tasks: their simulators against their likelihoods, and published references."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import binom, norm

from raybayes.diagnostics import c2st
from raybayes.inference.nested import reference_posterior
from raybayes.inference.tasks import TASKS

SBIBM = Path(os.environ.get("RAYBAYES_SHARED", "../shared")) / "sbibm"
DRAWS = 1000
SHAPES = {  # theta, x
    "two_moons": (2, 2),
    "slcp": (5, 8),
    "gaussian_linear": (10, 10),
    "gaussian_linear_uniform": (10, 10),
    "gaussian_mixture": (2, 2),
    "bernoulli_glm": (10, 10),
    "sir": (2, 10),
    "lotka_volterra": (4, 20),
    "inverse_kinematics": (4, 2),
}
STEP = {"two_moons": 0.002, "inverse_kinematics": 0.002, "lotka_volterra": 0.001, "sir": 0.003}


def test_every_task_has_a_case():
    assert SHAPES.keys() == TASKS.keys()


@pytest.mark.parametrize("name", SHAPES)
def test_the_likelihood_is_the_simulators(name):
    """E[p(x | theta + step) / p(x | theta)] = 1 over x of theta."""
    task, rng = TASKS[name](), np.random.default_rng(0)
    theta = task.prior.sample(1, rng)
    nearby = theta + STEP.get(name, 0.03) * task.prior.sd
    n = 100 if name in ("sir", "lotka_volterra") else 4000
    x = task.simulate(np.repeat(theta, n, axis=0), rng)
    assert (theta.shape[1], x.shape[1]) == SHAPES[name]
    pair = np.concatenate([theta, nearby])
    at, beside = np.array([task.log_likelihood(pair, one) for one in x]).T
    ratio = np.exp(beside - at)
    assert ratio.std() > 0.02  # the step is seen
    assert ratio.mean() == pytest.approx(1, abs=4.5 * ratio.std() / np.sqrt(n))


def epidemic(theta):
    """Log likelihood of sir, and the x that a hundredth of the people are ill every time."""
    contact, recovery = theta

    def slope(_, state):
        new = contact * state[0] * state[1] / 1e6
        return [-new, new - recovery * state[1]]

    days = 17.0 * np.arange(10)
    ill = solve_ivp(slope, (0, 160), [1e6 - 1, 1], "DOP853", days, rtol=1e-10, atol=1e-8).y[1]
    x = np.full(10, 10.0)
    return binom.logpmf(x, 1000, ill / 1e6).sum(), x


def hunt(theta):
    """Log likelihood of lotka_volterra at its noise-free counts, and these."""
    alpha, beta, gamma, delta = theta

    def slope(_, state):
        prey, predators = state
        return [prey * (alpha - beta * predators), predators * (delta * prey - gamma)]

    days = 2.1 * np.arange(10)
    found = solve_ivp(slope, (0, 20), [30, 1], "LSODA", days, rtol=1e-10, atol=1e-14)
    x = found.y.ravel()
    return 20 * norm.logpdf(0, 0, 0.1) - np.log(x).sum(), x


@pytest.mark.parametrize(("name", "solved"), [("sir", epidemic), ("lotka_volterra", hunt)])
def test_the_equations_are_solved(name, solved):
    task = TASKS[name]()
    theta = task.prior.sample(20, np.random.default_rng(3))
    expected, x = zip(*map(solved, theta), strict=True)
    ours = [task.log_likelihood(one[None], seen)[0] for one, seen in zip(theta, x, strict=True)]
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=0.02)


@pytest.mark.parametrize("name", [n for n in SHAPES if TASKS[n]().exact is not None])
def test_exact_draws_have_the_posteriors_density(name):
    """E[p(z + step | x) / p(z | x)] = 1 over the draws, in the z in which the prior is N(0, I)."""
    task, rng = TASKS[name](), np.random.default_rng(1)
    x = task.simulate(task.prior.sample(1, rng), rng)[0]
    draws = task.exact(x, 4000, rng)
    z = task.prior.to_real(draws)
    beside = z + STEP.get(name, 0.1) * z.std(axis=0)

    def log_density(points):
        theta = task.prior.from_real(points)
        return task.log_likelihood(theta, x) - 0.5 * (points**2).sum(axis=1)

    ratio = np.exp(log_density(beside) - log_density(z))
    # A hundredth: what a moon's straight edge, where its density ends, takes.
    assert ratio.mean() == pytest.approx(1, abs=0.01 + 4.5 * ratio.std() / np.sqrt(len(z)))


def published(name):
    """An observation of sbibm's, and DRAWS draws of its reference posterior."""
    path = SBIBM / f"{name}.npz"
    if not path.exists():
        pytest.skip("RAYBAYES_SHARED has no sbibm")
    with np.load(path, allow_pickle=False) as stored:
        draws = stored["reference_posterior_samples"][0]
        picked = np.random.default_rng(2).permutation(len(draws))[:DRAWS]
        return stored["observations"][0].ravel(), draws[picked]


@pytest.mark.parametrize("name", ["gaussian_linear", "gaussian_linear_uniform"])
def test_published_moments(name):
    x, theirs = published(name)
    ours = TASKS[name]().exact(x, DRAWS, np.random.default_rng(2))
    sd = theirs.std(axis=0)
    np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=0.2 * sd.max())
    np.testing.assert_allclose(ours.std(axis=0), sd, rtol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two_moons", "slcp"])
def test_published_references(name):
    """A classifier cannot tell our exact draws from sbibm's."""
    task, (x, theirs) = TASKS[name](), published(name)
    if task.exact is not None:
        ours = task.exact(x, DRAWS, np.random.default_rng(2))
    else:
        found = reference_posterior(
            task.prior, lambda theta: task.log_likelihood(theta, x), DRAWS, live=500
        )
        assert found.converged
        ours = found.draws
    assert c2st(theirs, ours).accuracy < 0.56
