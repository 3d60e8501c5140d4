"""Does each part of a network do what it says?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from densities import DENSITIES
from pydantic import ValidationError
from scipy.stats import truncnorm

from raybayes.density import (
    maf_nsf,
    members,
    rnade,
)
from raybayes.density.embeddings import Features
from raybayes.density.mixing import ActNorm
from raybayes.density.rnade import Components
from raybayes.density.standardised import regressed
from raybayes.errors import InputError


def test_mixtures_take_last_what_others_constrain():
    """x constrains b, and a + c only: given b, each of a and c constrains the other."""
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


def test_a_regression_of_noise_predicts_nothing():
    """More features than pairs: the ridge keeps the residual at the prior's width."""
    rng = np.random.default_rng(0)
    z, f = rng.standard_normal((100, 2)), rng.standard_normal((100, 150))
    fitted = regressed(z, f)
    fresh = rng.standard_normal((2000, 2)), rng.standard_normal((2000, 150))
    r = np.asarray(jax.vmap(fitted.residual)(*(jnp.asarray(a, jnp.float32) for a in fresh)))
    np.testing.assert_allclose(np.cov(r.T), np.eye(2), atol=0.35)
