"""Prior, flow, training and posterior against closed forms, autodiff and exact posteriors."""

import dataclasses
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optax.contrib import MuonDimensionNumbers
from pydantic import TypeAdapter, ValidationError
from scipy.stats import multivariate_normal, truncnorm

from raybayes.density import (
    FlowConfig,
    Pretraining,
    cinn,
    deep,
    flow_matching,
    maf_nsf,
    members,
    mixture,
    nsf,
    rnade,
)
from raybayes.density.config import DensityConfig
from raybayes.density.embeddings import Features
from raybayes.density.ensemble import Ensemble
from raybayes.density.mixing import ActNorm
from raybayes.density.pretraining import Frozen
from raybayes.density.rnade import Components
from raybayes.density.standardised import regressed
from raybayes.density.trees import stack, trainable
from raybayes.errors import InputError
from raybayes.inference.estimator import Estimator, Proposed, best_of
from raybayes.inference.posterior import Posterior
from raybayes.inference.train import Trainer, Training, _matrices
from raybayes.prior import (
    Independent,
    LogNormal,
    LogUniform,
    Marginal,
    Normal,
    Raw,
    TruncatedNormal,
    Uniform,
    box,
)
from raybayes.store import read_arrays, write_arrays

BOX = box(("a", "b"), (-1.0, 2.0), (1.0, 6.0))
SMALL = {"layers": 4, "widths": (32,), "embedding": {"widths": (32, 16)}}
DENSITIES = {
    "deep": deep(**SMALL),
    "the talk's": cinn(**{**SMALL, "embedding": {"widths": ()}}),
    "rotations, actnorm": FlowConfig(**SMALL, actnorm=True, activation="tanh"),
    "spline coupling": nsf(**SMALL),
    "affine and spline": nsf(**SMALL, transform="affine_spline", bins=5),
    "autoregressive splines": maf_nsf(**{**SMALL, "widths": (32, 32)}),
    "autoregressive affine": FlowConfig(**SMALL, structure="autoregressive", mixing="permutation"),
    "residual embedding": deep(**{**SMALL, "embedding": {"kind": "residual", "width": 16}}),
    "convolution": deep(
        **{**SMALL, "embedding": {"kind": "convolution", "shape": (1, 5), "channels": (4,)}}
    ),
    "image": deep(
        **{**SMALL, "embedding": {"kind": "convolution", "shape": (1, 5, 1), "channels": (3, 4)}}
    ),
    "set": deep(**{**SMALL, "embedding": {"kind": "set", "items": 5, "widths": (16, 16)}}),
    "autoregressive mixtures": rnade(components=3, widths=(32, 32), embedding={"widths": (32, 16)}),
    "mixtures, linear start": rnade(
        components=3, widths=(32, 32), embedding={"widths": (32, 16)}, start="linear"
    ),
    "mixture": mixture(components=3, widths=(16,), embedding={"widths": (32, 16)}),
    "flow matching": flow_matching(widths=(32, 32), embedding={"widths": (32, 16)}),
    "ensemble": deep(**SMALL, members=3),
    "linear start": deep(**SMALL, start="linear"),
    "few wide layers": deep(**{**SMALL, "widths": (256, 256)}),
}


# --- prior -------------------------------------------------------------------------------------


PRIORS = {
    "box": BOX,
    "normal": Independent(("a", "b"), (Normal(mean=3, sd=0.1), Normal(mean=0, sd=1))),
    "logarithms": Independent(
        ("a", "b"), (LogUniform(low=0.01, high=10), LogNormal(mean=-1, sd=0.5))
    ),
    "truncated": Independent(
        ("a", "b"), (TruncatedNormal(mean=0, sd=1, low=-1, high=3), Uniform(low=0, high=1))
    ),
}


def test_every_marginal_has_a_case():
    kinds = {m.kind for prior in PRIORS.values() for m in prior.marginals}
    schema = TypeAdapter(Marginal).json_schema()
    assert kinds == set(schema["discriminator"]["mapping"])


@pytest.mark.parametrize("case", PRIORS)
def test_bijection_and_its_determinant(case):
    prior = PRIORS[case]
    theta = prior.sample(200, np.random.default_rng(0))
    z = prior.to_real(theta)
    np.testing.assert_allclose(prior.from_real(z), theta, rtol=1e-10, atol=1e-12)
    step = 1e-6 * prior.sd
    slope = (prior.to_real(theta + step) - prior.to_real(theta - step)) / (2 * step)
    inside = np.isfinite(prior.log_prob(theta + 2 * step) + prior.log_prob(theta - 2 * step))
    np.testing.assert_allclose(
        prior.log_det_to_real(theta)[inside], np.log(slope).sum(axis=1)[inside], atol=1e-3
    )


@pytest.mark.parametrize("case", PRIORS)
def test_prior_becomes_standard_normal(case):
    theta = PRIORS[case].sample(20_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.cov(PRIORS[case].to_real(theta).T), np.eye(2), atol=0.04)
    np.testing.assert_allclose(theta.std(axis=0), PRIORS[case].sd, rtol=0.06)


@pytest.mark.parametrize("case", PRIORS)
def test_prior_density_integrates_to_one(case):
    prior = PRIORS[case]
    axes = [np.linspace(*ends, 2001) for ends in zip(prior.low, prior.high, strict=True)]
    for i, axis in enumerate(axes):
        theta = np.tile(prior.from_real(np.zeros(2)), (len(axis), 1))
        middle = (axis[1:] + axis[:-1]) / 2
        theta = theta[1:]
        theta[:, i] = middle
        other = PRIORS[case].marginals[1 - i].distribution.pdf(theta[0, 1 - i])
        mass = np.exp(prior.log_prob(theta)).sum() * (axis[1] - axis[0]) / other
        assert mass == pytest.approx(1, abs=5e-3)


def test_nothing_leaves_the_box():
    theta = BOX.from_real(1e3 * np.random.default_rng(0).standard_normal((1_000_000, 2)))
    assert np.isfinite(BOX.log_prob(theta)).all()
    np.testing.assert_allclose(BOX.log_prob([[0, 1.9], [0, 4]]), [-np.inf, -np.log(8)])


def test_the_edge_is_as_far_as_the_last_number_before_it():
    """A draw that rounding puts on the edge must not get a density of another order."""
    inside = BOX.to_real([np.nextafter(1.0, 0), 4])
    np.testing.assert_allclose(BOX.to_real([1.0, 4]), inside, atol=0.3)
    assert np.isfinite(BOX.log_det_to_real([[1.0, 6.0], [-1.0, 2.0]])).all()


@pytest.mark.parametrize("case", PRIORS)
def test_no_z_leaves_the_support(case):
    far = np.array([[-1e9, 1e9], [-40.0, 39.0], [0.0, -np.inf], [np.inf, 37.0]])
    theta = PRIORS[case].from_real(far)
    assert np.isfinite(theta).all() and np.isfinite(PRIORS[case].log_prob(theta)).all()


def test_rounding_takes_no_draw_across_an_end():
    """SciPy's ends are a sum, which may be the next number to that which was given."""
    rng = np.random.default_rng(0)
    lows, widths = rng.normal(size=300), rng.uniform(0.01, 10, 300)
    pairs = zip(lows, lows + widths, strict=True)
    cut = [
        kind(low=low, high=high, **rest)
        for low, high in pairs
        for kind, rest in ((Uniform, {}), (TruncatedNormal, {"mean": 0.3, "sd": 0.7}))
    ]
    prior = Independent(tuple(f"t{i}" for i in range(len(cut))), tuple(cut))
    theta = prior.from_real(np.array([[-50.0], [50.0]]) * np.ones(prior.dim))
    assert (theta[0] >= [m.low for m in cut]).all() and (theta[1] <= [m.high for m in cut]).all()
    assert np.isfinite(prior.log_prob(theta)).all()


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
        box(*arguments)


# --- densities ---------------------------------------------------------------------------------

X = jnp.linspace(-1, 1, 5)  # like those that a network is fitted to
GRID = np.linspace(-10, 10, 251, dtype=np.float32)
STEP = float(GRID[1] - GRID[0])


def network(config, dim, size=5, spread=0.5):
    """A density away from its start, where every layer is nearly its mixing."""
    rng = np.random.default_rng(3)
    built = members(config, rng.normal(size=(50, dim)), rng.normal(size=(50, size)), seed=3)
    density = Ensemble(stack(built), len(built)) if len(built) > 1 else built[0]
    weights, rest = eqx.partition(density, trainable(density))
    leaves, tree = jax.tree.flatten(weights)
    noisy = [
        a
        + np.float32(spread / max(a.shape[-1], 1) ** 0.5) * rng.standard_normal(a.shape, np.float32)
        for a in map(np.asarray, leaves)
    ]
    return eqx.combine(jax.tree.unflatten(tree, map(jnp.asarray, noisy)), rest)


def test_every_kind_has_a_case():
    """A new kind of density, structure, transform, mixing or embedding needs a case above."""
    dumped = [config.model_dump() for config in DENSITIES.values()]
    schema = TypeAdapter(DensityConfig).json_schema()["$defs"]
    for owner, field in [
        ("FlowConfig", "structure"), ("FlowConfig", "transform"), ("FlowConfig", "mixing")
    ]:  # fmt: skip
        options = set(schema[owner]["properties"][field]["enum"])
        assert options == {d[field] for d in dumped if field in d}
    kinds = {s["properties"]["kind"]["const"] for n, s in schema.items() if "kind" in str(s)}
    assert {d["lu"] for d in dumped if "lu" in d} == {True, False}
    assert kinds == {d["kind"] for d in dumped} | {d["embedding"]["kind"] for d in dumped}


@pytest.mark.parametrize("dim", [1, 5, 6])
@pytest.mark.parametrize("case", [c for c, d in DENSITIES.items() if d.kind == "flow"])
def test_inverse_and_determinant(case, dim, strict_jax):
    """Base points come back from z, and log_prob has autodiff's log-determinant."""
    flow = network(DENSITIES[case].model_copy(update={"members": 1}), dim).density
    with jax.enable_x64(True):
        flow = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, flow)
        x = X.astype(jnp.float64)
        base = 1.5 * np.random.default_rng(0).standard_normal(dim)

        @jax.jit
        def both(base):
            h = flow.context(x)
            z = flow.from_base(base, h)
            jacobian = jax.jacfwd(lambda one: flow.to_base(one, h)[0])(z)
            return flow.to_base(z, h)[0], jacobian, flow.log_prob(z, x)

        again, jacobian, log_q = both(base)
        # The fixed rotations are orthogonal to float32.
        np.testing.assert_allclose(again, base, atol=3e-5)
        exact = np.linalg.slogdet(jacobian)[1] + multivariate_normal(np.zeros(dim)).logpdf(base)
        np.testing.assert_allclose(log_q, exact, atol=2e-4)


@pytest.mark.parametrize("case", DENSITIES)
def test_density_integrates_to_one(case, strict_jax):
    density = network(DENSITIES[case], 2, spread=0.15)
    z = jnp.asarray(np.stack(np.meshgrid(GRID, GRID), axis=-1).reshape(-1, 2))
    log_q = jax.jit(jax.vmap(lambda one: density.log_prob(one, X)))(z)
    integral = np.exp(np.asarray(log_q, np.float64)).sum() * STEP**2
    assert integral == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("case", DENSITIES)
def test_samples_follow_log_prob(case, strict_jax):
    """Histogram of draws against the density on a grid: the same moments and the same mass."""
    density = network(DENSITIES[case], 2, spread=0.15)
    key = jax.random.key(5)
    draws = np.asarray(jax.jit(lambda: density.sample(X, key, 20_000))(), np.float64)
    z = np.stack(np.meshgrid(GRID, GRID), axis=-1).reshape(-1, 2)
    log_q = jax.jit(jax.vmap(lambda one: density.log_prob(one, X)))(jnp.asarray(z))
    mass = np.exp(np.asarray(log_q, np.float64)) * STEP**2
    mean = mass @ z
    covariance = (z - mean).T @ ((z - mean) * mass[:, None])
    standard_error = np.sqrt(np.diag(covariance) / len(draws))
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - mean), 5 * standard_error)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05 * np.trace(covariance))
    for quadrant in [(0, 1), (1, 0)]:
        above = (z > mean) == np.array(quadrant, bool)
        expected = mass[above.all(axis=1)].sum()
        got = ((draws > mean) == np.array(quadrant, bool)).all(axis=1).mean()
        assert got == pytest.approx(expected, abs=0.02)


def test_mixtures_take_last_what_others_tell():
    """x tells b, and a + c only: given b, each of a and c tells the other."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((500, 3))
    x = np.stack([z[:, 1], z[:, 0] + z[:, 2]], 1) + 0.1 * rng.standard_normal((500, 2))
    (network,) = members(rnade(), z, x, seed=0)
    assert network.density.order.matrix.argmax(axis=1).tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    "mean, sd",
    [(0.3, 2e-3), (0, 3), (1.02, 0.01), (-1.14, 0.008), (1.5, 0.05), (-4, 0.02), (-2, 2e-3)],
)
@pytest.mark.parametrize("box", [(-1.0, 1.0), (-0.2, 1.1), (-7.0, -1.3)])
def test_components_are_normals_cut_to_the_box(mean, sd, box):
    """Also where a mean is far outside: the box is in a tail, and draws lie at its near end."""
    mean, sd = mean * (box[1] - box[0]) / 2 + sum(box) / 2, sd * (box[1] - box[0]) / 2
    exact = truncnorm((box[0] - mean) / sd, (box[1] - mean) / sd, mean, sd)
    ends = map(jnp.float32, box)
    component = Components(jnp.zeros(1), jnp.array([float(mean)]), jnp.array([np.log(sd)]), *ends)
    share = np.linspace(0.001, 0.999, 31).astype(np.float32)
    u = jax.jit(jax.vmap(lambda one: component.draw(jnp.float32(0.5), one)))(share)
    spread = np.ptp(exact.ppf([0.25, 0.75])) / 2  # below the sd, which scipy lacks in a far tail
    assert np.abs(u - exact.ppf(share)).max() < 1e-3 * spread + 1e-6 * np.abs(box).max()
    log_prob = jax.jit(jax.vmap(component.log_prob))(u)
    np.testing.assert_allclose(log_prob, exact.logpdf(np.asarray(u, float)), atol=0.02)


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


@pytest.mark.parametrize("case", DENSITIES)
def test_every_coordinate_depends_on_x(case, strict_jax):
    density = network(DENSITIES[case], 5)
    key = jax.random.key(0)
    jacobian = np.asarray(jax.jit(jax.jacrev(lambda x: density.sample(x, key, 1)[0]))(X))
    assert (np.abs(jacobian).max(axis=1) > 1e-4).all()


def test_a_set_has_no_order(strict_jax):
    density = network(DENSITIES["set"], 2)
    log_prob, z = jax.jit(lambda *pair: density.log_prob(*pair)), jnp.zeros(2)
    np.testing.assert_allclose(log_prob(z, X), log_prob(z, X[::-1]), atol=1e-4)


@pytest.mark.parametrize("recipe", [rnade, maf_nsf])
def test_autoregressive_networks_have_one_width(recipe):
    with pytest.raises(ValidationError, match="has one width"):
        recipe(widths=(16, 8))


def test_embeddings_refuse_a_wrong_size():
    x = np.zeros((20, 7))
    for case, message in [("convolution", "holds 5 numbers"), ("set", "into 5 items")]:
        with pytest.raises(InputError, match=message):
            members(DENSITIES[case], np.zeros((20, 2)), x, seed=0)


def test_features_of_what_is_smaller_than_all_that_was_seen():
    """A logarithm of 0, of counts that were never 0, would be far from everything."""
    x = np.exp(np.random.default_rng(0).normal(size=(500, 1)))
    features = Features(1, "auto").fitted(x)
    assert features.log == 1
    least = features(np.float32(x.min(axis=0)))
    assert -5 < least < -2.5
    np.testing.assert_array_equal([features(np.float32([a])) for a in (0.0, -3.0)], [least] * 2)


def test_actnorm_standardises_its_first_batch():
    z = jnp.asarray(np.random.default_rng(0).normal([3, -1], [0.1, 20], (500, 2)), jnp.float32)
    norm = ActNorm(2).fitted(z)
    v = jax.vmap(lambda one: norm.forward(one)[0])(z)
    np.testing.assert_allclose(v.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(v.std(axis=0), 1, atol=1e-3)
    np.testing.assert_allclose(jax.vmap(norm.inverse)(v), z, atol=1e-3)


# --- training and posterior, on a problem with an exact answer ---------------------------------

SLOPE = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, -1.0]])
NOISE = 0.3


def problem(n, config, epochs=12, seed=0, **training):
    """theta in a box, x = SLOPE z + noise + 20: in z = to_real(theta) it is linear Gaussian."""
    rng = np.random.default_rng(seed)
    theta = BOX.sample(n + 500, rng)
    z = BOX.to_real(theta).astype(np.float32)
    clean = z @ SLOPE.T + 20

    def observe(rows, stream):
        noise = NOISE * np.random.default_rng((seed, stream)).standard_normal((len(rows), 3))
        return (rows + noise).astype(np.float32)

    networks = members(config, z[:n], observe(clean[:n], 0), seed)
    settings = Training(epochs=epochs, batch=100, patience=epochs, **training)
    held_out = (z[None, n:], observe(clean[n:], 999)[None])
    rows = np.arange(n)[None]
    return Trainer(
        networks, settings, lambda e: (z[:n], observe(clean[:n], e)), rows, held_out, seed
    )


def exact_posterior(x):
    precision = np.eye(2) + SLOPE.T @ SLOPE / NOISE**2
    covariance = np.linalg.inv(precision)
    return (x - 20) @ SLOPE @ covariance / NOISE**2, covariance


@pytest.fixture(scope="module")
def trained():
    config = DENSITIES["deep"]
    trainer = problem(20_000, config)
    fit = trainer.fit()
    made_by = {"raybayes": "test"}
    return trainer, fit, Posterior(BOX, fit.density, config, 3, made_by)


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
        _matrices(alone), is_leaf=lambda m: m is None or isinstance(m, MuonDimensionNumbers)
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


def test_a_regression_of_noise_predicts_nothing():
    """More features than pairs: the ridge keeps the residual at the prior's width."""
    rng = np.random.default_rng(0)
    z, f = rng.standard_normal((100, 2)), rng.standard_normal((100, 150))
    fitted = regressed(z, f)
    fresh = rng.standard_normal((2000, 2)), rng.standard_normal((2000, 150))
    r = np.asarray(jax.vmap(fitted.residual)(*(jnp.asarray(a, jnp.float32) for a in fresh)))
    np.testing.assert_allclose(np.cov(r.T), np.eye(2), atol=0.35)


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


def test_few_are_in_memory_at_once(trained, monkeypatch):
    """Many draws of one observation come in blocks, as those of many observations do."""
    _, _, posterior = trained
    x = 20 + np.random.default_rng(0).standard_normal((3, 3))
    whole = posterior.sample(x, 30, seed=1)
    log_q = posterior.log_prob(whole, x)
    monkeypatch.setattr("raybayes.inference.posterior.AT_ONCE", 16)
    np.testing.assert_allclose(posterior.log_prob(whole, x), log_q, atol=1e-4)
    np.testing.assert_allclose(posterior.log_prob(whole[0], x[0]), log_q[0], atol=1e-4)
    draws = posterior.sample(x, np.int64(1001), seed=1)
    assert draws.shape == (3, 1001, 2) and len(np.unique(draws[0], axis=0)) == 1001
    np.testing.assert_array_equal(posterior.sample(x[0], 1001, seed=1), draws[0])
    spread = whole.std(axis=1)
    assert (np.abs(draws.mean(axis=1) - whole.mean(axis=1)) < spread).all()


def test_no_observations(trained):
    none = np.empty((0, 3))
    assert trained[2].sample(none, 5).shape == (0, 5, 2)
    assert trained[2].log_prob(np.empty((0, 5, 2)), none).shape == (0, 5)
    assert trained[2].log_prob(np.empty((0, 2)), np.full(3, 20.0)).shape == (0,)


def test_save_and_load(trained, tmp_path):
    _, _, posterior = trained
    posterior.save(tmp_path / "p.safetensors")
    again = Posterior.load(tmp_path / "p.safetensors")
    x = np.array([20.4, 19.5, 21.0])
    assert np.array_equal(again.sample(x, 10), posterior.sample(x, 10))
    assert again.prior == BOX and again.made_by == posterior.made_by


def test_datatree(trained):
    _, _, posterior = trained
    x = np.array([[20.4, 19.5, 21.0], [20, 20, 20]])
    tree = posterior.to_datatree(x, 30, seed=4)
    draws = posterior.sample(x, 30, seed=4)
    assert tree["posterior"]["b"].dims == ("chain", "draw", "observation")
    np.testing.assert_array_equal(tree["posterior"]["b"].values[0].T, draws[..., 1])
    np.testing.assert_allclose(tree["sample_stats"]["lp"].values[0].T, posterior.log_prob(draws, x))
    one = posterior.to_datatree(x[0], 5)
    assert one["posterior"]["a"].shape == (1, 5) and one["observed_data"]["x"].shape == (3,)
    for name in ("draw", "M1/pitch"):
        other = replace(posterior, prior=replace(BOX, names=("a", name)))
        with pytest.raises(InputError, match=f"a parameter called {name} cannot stand"):
            other.to_datatree(x, 5)


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


def test_bad_descriptions(trained, tmp_path):
    path = tmp_path / "p.safetensors"
    trained[2].save(path)
    for prior in (box(BOX.names, [-9, -9], [9, 9]), Raw(BOX)):
        with pytest.raises(InputError, match="another prior of the same names"):
            Posterior.load(path, prior)
    arrays, header = read_arrays(path)
    for change in ({"density": {"kind": "flow", "depth": 3}}, {"prior": [{"kind": "magic"}]}):
        write_arrays(path, arrays, header | change)
        with pytest.raises(InputError, match="its description is not one of this version"):
            Posterior.load(path)
    for missing in ("density", "names", "size", "prior", "made_by"):
        write_arrays(path, arrays, {k: v for k, v in header.items() if k != missing})
        with pytest.raises(InputError, match="its description is not one of this version"):
            Posterior.load(path)


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match="not a whole raybayes file"):
        Posterior.load(tmp_path / "none")
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(InputError, match="not a whole raybayes file"):
        Posterior.load(tmp_path / "junk")


@pytest.mark.parametrize("change", ["fewer arrays", "other shapes"])
def test_a_network_of_another_version(change, trained, tmp_path):
    path = tmp_path / "p.safetensors"
    trained[2].save(path)
    arrays, header = read_arrays(path)
    if change == "fewer arrays":
        del arrays["0"]
    else:
        arrays["0"] = arrays["0"][:1]
    write_arrays(path, arrays, header)
    with pytest.raises(InputError, match="another version of raybayes wrote it"):
        Posterior.load(path)


# --- estimator ---------------------------------------------------------------------------------


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


def simulated(theta, rng):
    return BOX.to_real(theta) @ SLOPE.T + NOISE * rng.standard_normal((len(theta), 3))


def exact_loss(theta, x):
    mean, covariance = exact_posterior(x + 20)
    return -multivariate_normal(np.zeros(2), covariance).logpdf(BOX.to_real(theta) - mean).mean()


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


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("target", ["regression", "classification"])
def test_an_embedding_trained_before(target, frozen, tmp_path):
    """It fits as well as one trained jointly, and stays as it was where it is frozen."""
    rng = np.random.default_rng(0)
    theta = BOX.sample(4000, rng)
    x = simulated(theta, rng)
    config = deep(**SMALL, members=2)
    plan = Pretraining(target=target, bins=8, epochs=5, frozen=frozen)
    estimator = Estimator(BOX, config, Training(epochs=10, batch=100), plan)
    path = tmp_path / "checkpoint.safetensors"
    posterior, fit = estimator.train(theta, x, checkpoint=path)
    before, _ = read_arrays(tmp_path / "checkpoint-embedding.safetensors")
    learned = fit.density.members.density.embedding
    same = any(np.array_equal(a, jax.tree.leaves(learned)[0]) for a in before.values())
    assert same == frozen
    if frozen:  # going on from these networks does not train their embeddings anew
        more = replace(estimator, training=Training(epochs=1))
        warm = more.fit(theta[:500], x[:500], proposed=Proposed(posterior))
        warm = warm.density.members.density.embedding
        assert np.array_equal(jax.tree.leaves(warm)[0], jax.tree.leaves(learned)[0])
        more = replace(more, pretraining=None)
        warm = more.fit(theta[:500], x[:500], proposed=Proposed(posterior))
        warm = warm.density.members.density.embedding
        assert isinstance(learned, Frozen) and not isinstance(warm, Frozen)
    fresh = BOX.sample(500, rng)
    x = simulated(fresh, rng)
    log_q = posterior.log_prob(fresh[:, None], x)[:, 0] - BOX.log_det_to_real(fresh)
    assert -log_q.mean() == pytest.approx(exact_loss(fresh, x), abs=0.1)
    posterior.save(tmp_path / "p.safetensors")
    again = Posterior.load(tmp_path / "p.safetensors")
    assert np.array_equal(again.sample(x[0], 5), posterior.sample(x[0], 5))


def test_an_embedding_without_layers_has_nothing_to_learn_before():
    rng = np.random.default_rng(0)
    theta = BOX.sample(100, rng)
    config = deep(**SMALL | {"embedding": {"widths": ()}})
    with pytest.raises(InputError, match="pretraining: the embedding has no layers"):
        Estimator(BOX, config, pretraining=Pretraining()).fit(theta, simulated(theta, rng))


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
