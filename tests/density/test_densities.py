"""Is every kind of network a density that it also draws from?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from densities import DENSITIES
from pydantic import TypeAdapter
from scipy.stats import multivariate_normal

from raybayes.density import (
    members,
)
from raybayes.density.config import DensityConfig
from raybayes.density.ensemble import Ensemble
from raybayes.density.trees import stack, trainable

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
